"""Values as text for errors."""


def written(value) -> str:
    """Returns `repr(value)`, or a description if Python refuses to write the value."""
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "an integer of thousands of digits"
