"""Values as text."""


def written(value) -> str:
    """Returns `repr(value)`, or words in its place where Python raises an error."""
    try:
        return repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "an integer of thousands of digits"
