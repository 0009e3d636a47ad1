"""An array in a file, whose rows are read and written at their places, and no other part of it."""

import math
import os
import pathlib
import weakref
from typing import Any

import numpy as np


class ArrayFile:
    """Rows of an array that lies in a file in C order.

    The file is not mapped: pages of a map count as memory of the process, and a file that is cut short while it is
    mapped kills the process.

    Args:
      path: the file, which must exist.
      shape: shape of the array, `(count, ...)`.
      dtype: type of its numbers.
      offset: bytes before the array.
      writable: whether rows may be written.
    """

    def __init__(
        self, path: pathlib.Path, shape: tuple[int, ...], dtype: Any, offset: int, writable: bool = False
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.path, self._offset = path.absolute(), offset
        self._row_bytes = math.prod(shape[1:]) * self.dtype.itemsize
        self._file = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    @classmethod
    def create(cls, path: pathlib.Path, shape: tuple[int, ...], dtype: Any) -> "ArrayFile":
        """Returns an array of zeros in a new .npy file, to be written to."""
        with path.open("wb") as file:
            header = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(np.dtype(dtype))}
            np.lib.format.write_array_header_1_0(file, header)
            offset = file.tell()
            # Room for all of it, so that a full disk is an error here.
            os.posix_fallocate(file.fileno(), 0, offset + math.prod(shape) * np.dtype(dtype).itemsize)
        return cls(path, shape, dtype, offset, writable=True)

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.shape, self.dtype, self._offset)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Returns the rows at an array of places `(n,)`.

        Raises:
          OSError: if the file cannot be read, or has become shorter.
        """
        rows = np.empty((len(places), *self.shape[1:]), self.dtype)
        content = rows.reshape(-1).view(np.uint8).data
        for run in runs(places):
            part = content[run.start * self._row_bytes : run.stop * self._row_bytes]
            self._read(part, self._offset + int(places[run.start]) * self._row_bytes)
        return rows

    def _read(self, part, offset):
        while len(part):
            count = os.preadv(self._file, [part], offset)  # at most 2 GiB at a time
            if not count:
                raise OSError(f"{self.path} has become shorter while it was read")
            part, offset = part[count:], offset + count

    def write(self, place: int, row: np.ndarray) -> None:
        """Writes a row at its place."""
        content = np.ascontiguousarray(row, self.dtype).reshape(-1).view(np.uint8).data
        offset = self._offset + place * self._row_bytes
        while len(content):
            count = os.pwrite(self._file, content, offset)
            content, offset = content[count:], offset + count


def runs(index: np.ndarray) -> list[slice]:
    """Returns slices of an array of indices, each of which holds indices one after the other."""
    ends = [*(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)] if len(index) else []
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
