"""What tells a data set from a changed one: kept in a run, and compared when its data are loaded again."""

import hashlib
import math

import numpy as np

from keras_vae.data.images import Images
from keras_vae.data.loading import Dataset

PARTS = ("train", "validation", "test")
# Of values and of labels, in each part: MNIST takes hundredths of a second.
_MOST_BYTES = 2**23


def fingerprint(dataset: Dataset) -> dict:
    """Returns shape, classes, files, and counts, types and hashes of the three parts, as plain values for a JSON file.

    The hashes are of up to 8 MiB of each array, of examples at equal distances, in the order of the split; so they tell
    another split of the same data too. They are the same on every machine: neither paths nor times go in, and numbers
    in the order of little-endian bytes.
    """
    return {
        "shape": list(dataset.event_shape),
        "classes": _hash("\n".join(dataset.class_names).encode()),
        "files": dataset.manifest,
        **{name: _of_part(getattr(dataset, name)) for name in PARTS},
    }


def _of_part(images: Images):
    return {
        "count": len(images),
        "dtype": images.values.dtype.name,
        "divisor": float(images.divisor),
        "values": _of_array(images.values),
        "labels": None if images.labels is None else _of_array(images.labels),
    }


def _of_array(array):
    most = max(1, _MOST_BYTES // max(1, array.itemsize * math.prod(array.shape[1:])))
    if len(array) > most:
        array = array[np.arange(most) * len(array) // most]
    return _hash(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def _hash(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def check_unchanged(dataset: Dataset, before: dict, run_dir) -> None:
    """Raises `ValueError` that names all that is other than in an earlier fingerprint.

    Args:
      dataset: the data set as it is now.
      before: its `fingerprint` when the run began.
      run_dir: the run, for the error.
    """
    changes = list(_changes("", before, fingerprint(dataset)))
    if changes:
        raise ValueError(
            f"`dataset` must be as it was when {run_dir} began. Received: {dataset.name!r}, changed since in "
            f"{'; '.join(changes)}. Bring the data back as they were, or train anew in another --run_dir"
        )


def _changes(where, before, now):
    for name, value in now.items():
        old = before.get(name) if isinstance(before, dict) else None
        if isinstance(value, dict):
            yield from _changes(f"{name} ", old, value)
        elif old != value:
            shown = name in ("shape", "count", "dtype", "divisor") and old is not None
            yield f"{where}{name}" + (f" ({old}, now {value})" if shown else "")
