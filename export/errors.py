"""The error of an export that fails although the caller made no mistake."""


class ExportError(Exception):
    """An exported file does not compute what the model computes, or cannot be made."""
