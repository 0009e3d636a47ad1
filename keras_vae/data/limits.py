"""How much a file may claim to hold, asked before anything is allocated."""

import os

# The best that deflate can do: a longer claim is a damaged or malicious header (zlib's technical notes).
DEFLATE_RATIO = 1032


def inflated(compressed_size: int) -> int:
    """Returns the largest number of bytes that deflated data of `compressed_size` bytes can hold."""
    return compressed_size * DEFLATE_RATIO


def check_memory(size: int, what: str) -> None:
    """Raises `ValueError` if `size` bytes of `what` are more than the machine has memory."""
    memory = _memory()
    if size > memory:
        raise ValueError(
            f"{what} must fit in memory, which is {memory / 2**30:.1f} GiB here. Received: {size / 2**30:.1f} GiB"
        )


def _memory():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not known, as on Windows
        return float("inf")


def reason(error: Exception) -> str:
    """Returns the first line of an error, or its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
