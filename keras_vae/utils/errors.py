"""What an error of a library says, as text for an error of ours."""


def reason(error: Exception) -> str:
    """Returns the first line of an error, or its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
