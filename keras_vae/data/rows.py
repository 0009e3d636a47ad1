"""Examples that stay on the disk: rows of an array in an order of their own, read when they are asked for."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np

from keras_vae.data.array_file import runs
from keras_vae.data.moments import Moments, moments
from keras_vae.utils.arguments import ArrayLike, Kind, checked

# Arrays of this many bytes or more stay on the disk.
ON_DISK_BYTES = 2**28
# Bytes that a pass over all rows holds at a time.
_CHUNK_BYTES = 2**22


# An array that `Rows` can read from, for example a map of NumPy, or an array of Zarr or HDF5.
Source = Annotated[Any, Kind("an array (count, ...) with shape and dtype", "arrays", lambda v: len(_shape(v)) > 0)]


def _shape(value):
    return getattr(value, "shape", ()) if hasattr(value, "dtype") else ()


class Rows:
    """Rows of an array on the disk; takes the place of an array in `Examples.values`.

    It has the shape and the type of the rows. A slice or a selection of it is `Rows` again, which costs 8 bytes a row
    and reads nothing. `read` and `np.asarray` read.

    Args:
      source: array `(count, ...)` that has `shape` and `dtype` and gives an array for an array of places, for example a
        `np.memmap`.
      places: integers, the place in `source` of each row; None takes all in their order.
    """

    @checked
    def __init__(self, source: Source, places: ArrayLike | None = None) -> None:
        self._source = source
        self._places = None if places is None else np.arange(len(source))[np.asarray(places)]

    @classmethod
    def _at(cls, source, places):
        rows = cls(source)
        rows._places = places
        return rows

    def __len__(self) -> int:
        return len(self._source) if self._places is None else len(self._places)

    def __repr__(self) -> str:
        return f"Rows(shape={self.shape}, dtype={self.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._source.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self._source.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes that the rows would take in memory."""
        return math.prod(self.shape) * self.itemsize

    def __getitem__(self, index: Any) -> Any:
        """Returns `Rows` for a slice or a selection, and the row itself for an integer."""
        if isinstance(index, int | np.integer):
            return self.read(np.array([index]))[0]
        places = np.arange(len(self)) if self._places is None else self._places
        return Rows._at(self._source, places[index])

    @checked
    def read(self, index: ArrayLike) -> np.ndarray:
        """Returns the rows at an array of indices `(n,)`, as an array `(n, ...)`.

        Raises:
          IndexError: if there is no such row.
        """
        index = np.asarray(index)
        if index.dtype == bool or index.min() < 0 or index.max() >= len(self):
            index = np.arange(len(self))[index]
        places = index if self._places is None else self._places[index]
        # Each row is read once, and a disk from its start to its end.
        places, where = np.unique(places, return_inverse=True)
        return self._source[places][where]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.read(np.arange(len(self))).astype(dtype or self.dtype, copy=False)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yields all rows in order, about 4 MiB at a time."""
        size = max(1, _CHUNK_BYTES // max(1, self.nbytes // len(self)))
        for start in range(0, len(self), size):
            yield self.read(np.arange(start, min(start + size, len(self))))

    @functools.cached_property
    def moments(self) -> Moments:
        """Figures of all rows, found by one pass over them, unless the array in the file has kept them."""
        places = self._places
        # Sums of 8-bit values are exact in any order, and a disk is read from its start to its end.
        if places is not None and self.dtype == np.uint8:
            places = np.sort(places)

        def find():
            return moments(Rows._at(self._source, places).chunks())

        # Only an array of the package's own cache keeps moments.
        return self._source.kept_moments(places, find) if hasattr(self._source, "kept_moments") else find()

    def min(self) -> Any:
        return self.moments.low

    def max(self) -> Any:
        return self.moments.high


class _Mapped:
    """The results of a function of rows, computed when they are asked for."""

    def __init__(self, rows, function):
        self._rows, self._function = rows, function
        example = self[np.arange(1)]
        self.shape, self.dtype = (len(rows), *example.shape[1:]), example.dtype

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        return self._function(self._rows.read(index), index)


def map_rows(values: np.ndarray | Rows, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
    """Returns `function(values, indices)`: of an array at once, of `Rows` as `Rows` that call it when they are read.

    Args:
      values: examples `(count, ...)`.
      function: takes some of the examples `(n, ...)` and their indices `(n,)`, and returns an array `(n, ...)`.
    """
    if isinstance(values, Rows):
        return Rows(_Mapped(values, function))
    return function(values, np.arange(len(values)))


def uniform_rows(seed: int, index: np.ndarray, event_shape: tuple[int, ...]) -> np.ndarray:
    """Returns the rows at `index` of `np.random.default_rng(seed).random((count, *event_shape), np.float32)`.

    Other rows are not drawn: the generator is put forward to where a row begins.
    """
    size = math.prod(event_shape)
    result = np.empty((len(index), size), np.float32)
    bits = np.random.PCG64(seed)
    start = bits.state
    for run in runs(index):
        bits.state = start
        # Two float32 numbers are made of each 64 bits that the generator steps over.
        first = int(index[run.start]) * size
        bits.advance(first // 2)
        count = (run.stop - run.start) * size
        result[run] = np.random.Generator(bits).random(first % 2 + count, np.float32)[first % 2 :].reshape(-1, size)
    return result.reshape(len(index), *event_shape)
