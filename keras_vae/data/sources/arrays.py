"""Arrays of images, series or vectors, and of labels, in .npy and .npz files."""

import math
import pathlib
import zipfile
from typing import Literal

import numpy as np

from keras_vae.data.array_file import ArrayFile
from keras_vae.data.examples import Examples
from keras_vae.data.rows import ON_DISK_BYTES, Rows, map_rows
from keras_vae.data.sources import npy
from keras_vae.data.splits import Splits
from keras_vae.utils.errors import reason
from keras_vae.utils.memory import check_memory

DataKind = Literal["auto", "images", "series", "vectors"]
SUFFIXES = (".npy", ".npz")
_CHUNK = 2**22
_SHAPES = {
    "images": "images (count, height, width) or (count, height, width, channels)",
    "series": "series (count, time) or (count, time, channels)",
    "vectors": "vectors (count, values)",
}
_RANKS = {"images": (3, 4), "series": (2, 3), "vectors": (2,)}
# Which integers images may be, and how others become such.
_INTEGERS = ("uint8 from 0 to 255", ".astype('uint8') or ")
_KIND_OF_RANK = {2: "vectors", 3: "images", 4: "images"}
_INT32 = np.iinfo(np.int32)


def read(path: pathlib.Path, data_kind: DataKind = "auto") -> Splits:
    """Reads examples from an .npy file, or examples and labels from an .npz file.

    The keys are `x_train` and `x_test` with or without `y_train` and `y_test`, or `x` with or without `y`, or one array
    of any name. Labels are integers or text `(count,)` or `(count, 1)`; if they are not 0, 1, 2, ..., they are numbered
    in sorted order.

      images   (count, height, width) or (count, height, width, channels), uint8, bool or floating; uint8 ones are
               presented in [0, 1], divided by 255 unless their values are only 0 and 1
      series   (count, time) or (count, time, channels), integers, bool or floating, presented as they are
      vectors  (count, values), integers, bool or floating, presented as they are

    Args:
      path: the file.
      data_kind: what the examples are; "auto" takes two dimensions for vectors, and three or four for images.

    Raises:
      ValueError: if the file is damaged, or holds something else; the message names file and key.
    """
    try:
        if path.suffix.lower() == ".npy":
            return _splits({"x": npy.from_file(path)}, path, data_kind)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {reason(error)}") from error
    with _archive(path) as archive:
        keys = _keys([name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")], path)
        return _splits({role: npy.from_archive(archive, key) for role, key in keys.items()}, path, data_kind)


def _archive(path):
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises a dozen kinds of error, depending on what is damaged
        raise ValueError(f"{path} cannot be read: {reason(error)}") from error


def _keys(there, path):
    """Returns role -> key of an archive, with the roles x and y, or x_train and so on if it is split."""
    pair = {"x_train", "x_test"} <= set(there)
    wanted = ("x_train", "y_train", "x_test", "y_test") if pair else ("x", "y")
    keys = {key: key for key in wanted if key in there}
    if len(keys) == 3:
        raise ValueError(f"{path} must hold both y_train and y_test, or none. Received: {_listed(there)}")
    if "x" not in keys and not pair:
        if len(there) != 1:
            raise ValueError(
                f"{path} must hold the arrays x_train and x_test (and y_train, y_test), or x (and y), or only one. "
                f"Received: {_listed(there)}"
            )
        return {"x": there[0]}
    return keys


def _listed(keys):
    return ", ".join([*sorted(keys)[:10], *(["..."] if len(keys) > 10 else [])]) or "no array"


def _splits(arrays, path, data_kind):
    names = ("train", "test") if "x_train" in arrays else ("",)
    x = [arrays[f"x_{name}" if name else "x"] for name in names]
    y = [arrays.get(f"y_{name}" if name else "y") for name in names]
    kind = _kind(x[0], data_kind)
    for part, labels in zip(x, y, strict=True):
        _check_examples(part, kind)
        if labels is not None:
            _check_labels(labels, part)
    if len(x) == 2 and (x[0].shape[1:], x[0].dtype) != (x[1].shape[1:], x[1].dtype):
        received = " and ".join(f"{part.dtype} {part.shape}" for part in x)
        raise ValueError(f"{path} must hold training and test {kind} of one size and type. Received: {received}")
    values = [_values(part, kind) for part in x]
    labels, class_names = _numbered(y)
    eight_bits = kind == "images" and x[0].dtype == np.uint8 and any(_is_above_1(v) for v in values)
    parts = [Examples(v, i, divisor=255.0 if eight_bits else 1.0) for v, i in zip(values, labels, strict=True)]
    return Splits(*parts, class_names=class_names, source=f"arrays in {path}")


def _kind(array, data_kind):
    if data_kind != "auto":
        return data_kind
    if len(array.shape) not in _KIND_OF_RANK:
        raise ValueError(f"{array.where} must be {', or '.join(_SHAPES.values())}. Received: shape {array.shape}")
    return _KIND_OF_RANK[len(array.shape)]


def _check_examples(array, kind):
    if len(array.shape) not in _RANKS[kind]:
        raise ValueError(f"{array.where} must be {_SHAPES[kind]}. Received: shape {array.shape}")
    is_allowed = array.dtype in (np.uint8, bool) or array.dtype.kind in ("f" if kind == "images" else "fiu")
    if array.dtype.shape or not is_allowed:
        integers, convert = _INTEGERS if kind == "images" else ("integers", "")
        is_wide = array.dtype.kind in "iu" and len(array.shape) == 3
        other = ", or read it as series: data_kind='series', --data_kind=series" if is_wide else ""
        raise ValueError(
            f"{array.where} must be {integers}, bool, or floating. Received: {array.dtype}; convert it with "
            f"{convert}.astype('float32'){other}"
        )


def _check_labels(array, examples):
    if array.shape not in ((examples.shape[0],), (examples.shape[0], 1)):
        raise ValueError(f"{array.where} must be labels of shape ({examples.shape[0]},). Received: shape {array.shape}")
    if array.dtype.kind not in "iubU":
        raise ValueError(f"{array.where} must be labels, integers or text. Received: {array.dtype}")


def _values(array, kind):
    """Returns images and series with a channel axis: 8-bit ones as they are stored, integers as int32, else float32.

    Of a large file they are `Rows`, which are read when they are asked for.
    """
    one_channel = len(array.shape) == min(_RANKS[kind]) and kind != "vectors"
    shape = (*array.shape, 1) if one_channel else array.shape
    dtype = np.dtype(np.uint8) if array.dtype.kind == "b" else array.dtype
    is_wide = dtype.itemsize > 1
    convert = _CONVERT[array.dtype.kind] if is_wide or array.dtype.kind == "b" else None
    size = math.prod(shape) * (4 if is_wide else 1)
    if array.place is not None and size >= ON_DISK_BYTES:
        values = Rows(ArrayFile(array.place[0], shape, dtype, array.place[1]))
    else:
        check_memory(size, array.where)
        values = np.asarray(array.read()).view(dtype).reshape(shape, order="A")
    if array.dtype.kind == "f":
        _check_finite(values, array.where, kind)
    elif array.dtype.kind in "iu" and is_wide:
        _check_int32(values, array.where)
    return values if convert is None else map_rows(values, lambda x, _: convert(x))


def _float32(x):
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(np.float32, order="C")


# A file may hold other bytes than 0 and 1 as truth values.
_CONVERT = {
    "b": lambda x: (x != 0).astype(np.uint8),
    "f": _float32,
    "i": lambda x: x.astype(np.int32),
    "u": lambda x: x.astype(np.int32),
}


def _is_above_1(values):
    return any(int(part.max()) > 1 for _, part in _parts(values))


def _parts(values):
    """Yields `(start, examples)`, some of them at a time."""
    step = max(1, _CHUNK // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), step):
        part = values[start : start + step]
        yield start, np.asarray(part)


def _check_int32(values, where):
    low = min(int(part.min()) for _, part in _parts(values))
    high = max(int(part.max()) for _, part in _parts(values))
    if low < _INT32.min or high > _INT32.max:
        raise ValueError(
            f"{where} must hold integers from {_INT32.min} to {_INT32.max}. Received: from {low} to {high}; convert it "
            "with .astype('float32')"
        )


def _check_finite(values, where, kind):
    for start, part in _parts(values):
        bad = int((~np.isfinite(_float32(part))).sum())
        if bad:
            raise ValueError(
                f"{where} must hold finite float32 numbers. Received: {bad} that are NaN or infinite in the {kind} "
                f"from {start} to {start + len(part) - 1}"
            )


def _numbered(arrays):
    """Returns labels as int64 0, 1, 2, ... and their names; there are no names if the labels were such numbers."""
    if arrays[0] is None:
        return [None] * len(arrays), ()
    read = [array.read().reshape(-1) for array in arrays]
    try:
        classes, index = np.unique(np.concatenate(read), return_inverse=True)
        names = tuple(map(str, classes))
    except (ValueError, TypeError) as error:  # the text is not valid Unicode
        raise ValueError(f"{arrays[0].where} must be labels, integers or text. Received: {reason(error)}") from error
    if classes.dtype.kind != "U" and np.array_equal(classes, np.arange(len(classes))):
        names = ()
    return np.split(index.reshape(-1).astype(np.int64), [len(read[0])])[: len(read)], names
