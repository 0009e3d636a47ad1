"""The source of IDX files, the format in which MNIST, Fashion-MNIST and similar sets are distributed."""

import gzip
import math
import pathlib
import re
import zlib
from typing import BinaryIO, cast

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.data.splits import Splits
from keras_vae.utils.errors import reason
from keras_vae.utils.memory import check_memory, inflated

# Some unpacking tools turn the dash before idx into a dot.
_NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx([13])-ubyte(\.gz)?")
_RANKS = {"images": 3, "labels": 1}


def find(folder: pathlib.Path) -> dict[tuple[str, str], pathlib.Path]:
    """Returns (split, kind) -> IDX file of a folder, with split "train" or "t10k" and kind "images" or "labels"."""
    files = {}
    for path in sorted(folder.iterdir(), reverse=True):  # if a file is there packed and unpacked, the latter comes last
        match = _NAME.fullmatch(path.name)
        if match and int(match[3]) == _RANKS[match[2]] and path.is_file():
            files[match[1], match[2]] = path
    return files


def read_folder(folder: pathlib.Path) -> Splits:
    """Reads train-images-idx3-ubyte, train-labels-idx1-ubyte and the two of t10k, each plain or with .gz.

    Returns:
      Images uint8 `(count, height, width, 1)` presented in [0, 1], in the order of the files, with labels int64
      `(count,)`, or without labels if neither split has them.

    Raises:
      ValueError: if a file is missing, damaged, or does not fit the others.
    """
    files = find(folder)
    labeled = any(kind == "labels" for _, kind in files)
    wanted = [(split, kind) for split in ("train", "t10k") for kind in ("images", "labels")[: 1 + labeled]]
    missing = [f"{split}-{kind}-idx{_RANKS[kind]}-ubyte" for split, kind in wanted if (split, kind) not in files]
    if missing:
        raise ValueError(
            f"Folder {folder} must hold {' and '.join(missing)}, plain or with .gz. "
            f"Received: {', '.join(sorted(path.name for path in files.values()))}"
        )
    train, test = (_split(files, split, labeled) for split in ("train", "t10k"))
    if train.event_shape != test.event_shape:
        sizes = [f"{part.event_shape[0]}x{part.event_shape[1]}" for part in (train, test)]
        raise ValueError(
            f"Training and test images must have one size. Received: {sizes[0]} in {files['train', 'images']} and "
            f"{sizes[1]} in {files['t10k', 'images']}"
        )
    return Splits(train, test, source=f"IDX files in {folder}", ordered=True)


def _split(files, split, labeled):
    images = read(files[split, "images"], 3)[..., None]
    if not labeled:
        return Examples(images, divisor=255.0)
    labels = read(files[split, "labels"], 1)
    if len(labels) != len(images):
        raise ValueError(
            f"{files[split, 'labels']} must hold a label for each of the {len(images)} images of "
            f"{files[split, 'images'].name}. Received: {len(labels)} labels"
        )
    return Examples(images, labels.astype(np.int64), divisor=255.0)


def read(path: pathlib.Path, rank: int) -> np.ndarray:
    """Reads one IDX file of unsigned bytes.

    Args:
      path: the file, compressed by gzip if its name ends in .gz.
      rank: number of dimensions that the array must have.

    Returns:
      uint8 array of that rank, not empty.

    Raises:
      ValueError: if the file cannot be read or is not exactly such an array.
    """
    packed = path.suffix == ".gz"
    try:
        size = path.stat().st_size
        with (gzip.open if packed else open)(path, "rb") as file:
            array = parse(cast(BinaryIO, file), inflated(size) if packed else size)
        if array.ndim != rank:
            raise ValueError(f"it must have {rank} dimensions, and has {array.ndim}")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"IDX file {path} cannot be read: {reason(error)}") from error
    return array


def parse(file: BinaryIO, most: int) -> np.ndarray:
    """Reads an IDX array of unsigned bytes from a file.

        0 0 8 rank | rank sizes, 4 big-endian bytes each | the values, last dimension fastest

    Args:
      file: a file that holds the array and nothing else.
      most: the largest number of bytes that the file can hold; a larger claim is refused before memory is allocated.

    Raises:
      ValueError: if the header is no such header, or the number of values is 0 or not that of the header.
    """
    start = file.read(4)
    if len(start) < 4 or start[:3] != b"\x00\x00\x08" or not start[3]:
        raise ValueError(f"it must start with the bytes 00 00 08 and its rank, and starts with {start.hex(' ')!r}")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError("it ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    count = math.prod(shape)
    if not count:
        raise ValueError(f"it is empty: its shape is {shape}")
    if count > most:
        raise ValueError(f"its header claims {shape}, which is more than the file can hold")
    check_memory(count, f"the array of shape {shape}")
    values = file.read(count + 1)  # gzip only compares its checksum when a read reaches the end of the file
    if len(values) != count:
        found = "more" if len(values) > count else f"{len(values)}"
        raise ValueError(f"its header says {shape}, {count} values, and there are {found}")
    return np.frombuffer(values, np.uint8).reshape(shape)
