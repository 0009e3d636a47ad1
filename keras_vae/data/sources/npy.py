"""Safe reading of .npy files and members of .npz files: the header is checked first, and pickle is never used."""

import io
import math
import pathlib
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_vae.utils.errors import reason
from keras_vae.utils.memory import check_memory, inflated

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# NumPy itself refuses headers above 10,000 characters.
_MAX_HEADER = 2**14


class Array(NamedTuple):
    """An array that is not read yet.

    Attributes:
      where: file and key, for errors.
      shape: shape of the array, 1 to 4 dimensions, not empty.
      dtype: type of the array, never Python objects.
      read: returns the array, or raises `ValueError` if the file is damaged after the header.
      place: the file in which the array lies as it is in memory, and the bytes before it; None if there is none.
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]
    place: tuple[pathlib.Path, int] | None = None


def from_file(path: pathlib.Path) -> Array:
    """Returns the array of an .npy file; the file is mapped, so that only what is used is read into memory.

    Raises:
      ValueError: if the header is damaged or does not fit the size of the file, or holds Python objects.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        shape, order, dtype, offset = _header(file.read(_MAX_HEADER), size, str(path))
    place = (path, offset) if order == "C" else None
    return Array(str(path), shape, dtype, lambda: np.memmap(path, dtype, "r", offset, shape, order), place)


def from_archive(archive: zipfile.ZipFile, key: str) -> Array:
    """Returns the array `key` of an .npz file, to be read while the archive is open; raises as `from_file` does."""
    info, size = archive.getinfo(f"{key}.npy"), pathlib.Path(str(archive.filename)).stat().st_size
    where = f"{archive.filename} [{key}]"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{where} must be stored or deflated, as NumPy does. Received: type {info.compress_type}")
    if info.file_size > inflated(min(info.compress_size, size)):
        raise ValueError(f"{where} is damaged: it claims {info.file_size} bytes, more than the file can hold")
    shape, order, dtype, offset = _header(_content(archive, info, where, 0, _MAX_HEADER), info.file_size, where)

    def read():
        check_memory(info.file_size, where)
        content = _content(archive, info, where, offset, -1)
        if len(content) != info.file_size - offset:
            raise ValueError(f"{where} is damaged: it ends after {offset + len(content)} of {info.file_size} bytes")
        return np.frombuffer(content, dtype).reshape(shape, order=order)

    return Array(where, shape, dtype, read)


def _content(archive, info, where, offset, count):
    """Returns `count` bytes of a member from `offset` on; -1 stands for all."""
    try:
        with archive.open(info) as file:
            file.read(offset)
            return file.read(count)
    except MemoryError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds of error, depending on what is damaged
        raise ValueError(f"{where} is damaged: {reason(error)}") from error


def _header(start, size, where):
    """Returns (shape, order, dtype, offset of the values) after a check that they describe a file of `size` bytes."""
    buffer = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(buffer)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the format is for arrays of records")
        shape, fortran, dtype = _HEADERS[version](buffer)
    except Exception as error:  # NumPy lets every error of its parser through
        raise ValueError(f"{where} is damaged or no NumPy array: {reason(error)}") from error
    if dtype.hasobject:
        raise ValueError(f"{where} must hold numbers. Received: Python objects, which need pickle and are never loaded")
    if not all(n >= 0 for n in shape) or not 1 <= len(shape) <= 4:
        raise ValueError(f"{where} must be an array (count, ...) of up to 4 dimensions. Received: shape {shape}")
    if not math.prod(shape):
        raise ValueError(f"{where} must not be empty. Received: shape {shape}")
    expected, found = math.prod(shape) * dtype.itemsize, size - buffer.tell()
    if expected != found:
        raise ValueError(
            f"{where} is damaged: shape {shape} of {dtype} takes {expected} bytes, and {found} follow the header"
        )
    return shape, "F" if fortran else "C", dtype, buffer.tell()
