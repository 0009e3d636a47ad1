"""Values as text for errors."""

from typing import Any


def written(value: Any) -> str:
    """Returns `repr(value)`, or a description if Python refuses to write the value."""
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "an integer of thousands of digits"
