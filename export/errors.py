"""What can go wrong in an export that is no mistake of the caller."""


class ExportError(Exception):
    """An exported file is not what the model is, or cannot be made."""
