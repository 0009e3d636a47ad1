"""The text of a library's error, in a form that fits into an error of this package."""


def reason(error: Exception) -> str:
    """Returns the first line of an error, or the name of its type if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
