"""Checks of an HDF5 file of weights that may be hostile, at a cost in proportion to its size."""

import io
import math
from typing import NamedTuple

import h5py

# Keras makes two groups for each layer inside another one, and `safe_loading` reads up to nine levels of layers.
_MAX_DEPTH = 50


class Weights(NamedTuple):
    """The size of a file of weights: how many numbers and how many arrays it holds."""

    numbers: int
    arrays: int


def count(content: bytes) -> Weights:
    """Returns how many numbers and arrays an HDF5 file holds.

    Raises:
      ValueError: if an array is not stored in the file itself, as plain numbers.
      Exception: if h5py finds that the file is damaged.
    """
    with h5py.File(io.BytesIO(content), "r") as file:
        arrays = _arrays(file)
        for array in arrays:
            # HDF5 has no bfloat16. Keras writes such a number as two bytes, and names the type in an attribute.
            is_number = array.dtype.kind in "biuf" or (
                array.dtype == "V2" and array.attrs.get("dtype") in ("bfloat16", b"bfloat16")
            )
            if not is_number or array.external or array.is_virtual or array.chunks:
                raise ValueError(f"the weights must be plain arrays of numbers. Received: {array.name}, {array.dtype}")
        size = sum(array.nbytes for array in arrays)
        if size > len(content):
            raise ValueError(f"the weights must be in the file. Received: {size} bytes in a file of {len(content)}")
        return Weights(sum(math.prod(array.shape) for array in arrays), len(arrays))


def _arrays(file):
    """Returns the arrays of a file, each once.

    h5py's own `visititems` would take time that grows with the square of the depth.
    """
    arrays, seen, left = [], set(), [(file["/"], 0)]
    while left:
        group, depth = left.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"the weights must be up to {_MAX_DEPTH} groups deep. Received: {group.name[:100]}...")
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"the weights must not have links. Received: {name} is a {type(link).__name__}")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:  # hard links may form a circle
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                left.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                arrays.append(item)
    return arrays
