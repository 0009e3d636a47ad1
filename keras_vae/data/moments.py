"""Smallest and largest value, sum and sum of squares of examples, in one pass over parts of them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

# So many squares of 8 bits have a sum that 32 bits can hold.
_MOST_ROWS = 2**16


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
    """Returns the figures of examples that come in parts `(n, ...)`; the parts do not change them, to the bit."""
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
        for start in range(0, len(part), _MOST_ROWS):
            rows = part[start : start + _MOST_ROWS]
            total += np.add.reduce(rows, axis=0, dtype=np.uint32)
            squares += np.add.reduce(np.multiply(rows, rows, dtype=np.uint16), axis=0, dtype=np.uint32)
    return Moments(np.min(lows), np.max(highs), total, squares)
