"""Smallest and largest value, sum and sum of squares of examples, in one pass over parts of them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

# So many squares of 8 bits have a sum that 32 bits can hold; and bytes of which squares are held at a time.
_MOST_ROWS, _MOST_BYTES = 2**16, 2**22


class Moments(NamedTuple):
    """Figures of examples.

    Attributes:
      low: smallest value.
      high: largest value.
      total: sum over the examples, in each place; of 8-bit values it is exact.
      squares: sum of the squares of 8-bit values in each place, which is exact, or None for other types.
    """

    low: np.generic
    high: np.generic
    total: np.ndarray
    squares: np.ndarray | None


def moments(parts: Iterable[np.ndarray]) -> Moments:
    """Returns the figures of examples `(count, ...)` that come in parts `(n, ...)`.

    They do not depend on the parts, to the bit, but for floats of which an example is a single one.
    """
    lows, highs = [], []
    total: Any = None
    squares: Any = None
    for part in parts:
        lows.append(part.min())
        highs.append(part.max())
        if part.dtype != np.uint8:
            # NumPy adds row after row, so that a sum that goes on from the one before has the same rounding.
            part = part if total is None else np.concatenate([total[None], part])
            total = np.add.reduce(part, axis=0, dtype=np.float64)
            continue
        if total is None:
            total, squares = np.zeros((2, *part.shape[1:]), np.int64)
        step = min(_MOST_ROWS, max(1, _MOST_BYTES // max(1, part.nbytes // len(part))))
        for start in range(0, len(part), step):
            rows = part[start : start + step]
            total += np.add.reduce(rows, axis=0, dtype=np.uint32)
            squares += np.add.reduce(np.multiply(rows, rows, dtype=np.uint16), axis=0, dtype=np.uint32)
    return Moments(np.min(lows), np.max(highs), total, squares)
