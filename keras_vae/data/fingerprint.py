"""A fingerprint of a data set: a run stores it, and compares it when its data are loaded again."""

import hashlib
import math
import os
from typing import Any

import numpy as np
import PIL

from keras_vae.data.examples import Examples
from keras_vae.data.loading import Dataset

PARTS = ("train", "validation", "test")
# At most this much is hashed of the values and of the labels of each part, so that MNIST takes hundredths of a second.
_MOST_BYTES = 2**23


def fingerprint(dataset: Dataset) -> dict:
    """Returns shape, classes, files, and counts, types and hashes of the three parts, as plain values for a JSON file.

    Each array is hashed in the order of the split, so that another split of the same data has another hash. Of an array
    above 8 MiB only examples at equal distances are hashed, and a change between them goes unnoticed. The hashes do not
    depend on paths, times or the byte order of the machine. They do depend on libraries: another Pillow may decode a
    picture to other pixels, and another NumPy may split differently. The versions of both are part of the result.
    """
    return {
        "shape": list(dataset.event_shape),
        "classes": _hash("\n".join(dataset.class_names).encode()),
        "files": dataset.manifest,
        **{name: _of_part(getattr(dataset, name)) for name in PARTS},
        "versions": {"NumPy": np.__version__, "Pillow": PIL.__version__},
    }


def _of_part(examples: Examples) -> Any:
    return {
        "count": len(examples),
        "dtype": examples.values.dtype.name,
        "divisor": float(examples.divisor),
        "values": _of_array(examples.values),
        "labels": None if examples.labels is None else _of_array(examples.labels),
    }


def _of_array(array):
    most = max(1, _MOST_BYTES // max(1, array.itemsize * math.prod(array.shape[1:])))
    if len(array) > most:
        array = array[np.arange(most) * len(array) // most]
    return _hash(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def _hash(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def check_unchanged(dataset: Dataset, before: dict, run_dir: str | os.PathLike) -> None:
    """Raises `ValueError` if a data set differs from an earlier fingerprint; the message names every difference.

    Args:
      dataset: the data set as it is now.
      before: its `fingerprint` when the run began.
      run_dir: path of the run, for the error.
    """
    now = fingerprint(dataset)
    versions = now.pop("versions")
    changes = list(_changes("", before, now))
    if changes:
        raise ValueError(
            f"`dataset` must be as it was when {run_dir} began. Received: {dataset.name!r}, changed since in "
            f"{'; '.join(changes)}. Bring the data back as they were, or train anew in another --run_dir. If the data "
            f"are the same and libraries read them otherwise{_other_versions(before, versions)}, remove "
            f"{run_dir}/data.json"
        )


def _other_versions(before, now):
    """Returns for example " (NumPy 2.0.0, now 2.1.0)"; "" if the versions are equal or an older run stored none."""
    old = before.get("versions") if isinstance(before, dict) else None
    old = old if isinstance(old, dict) else {}
    others = [f"{name} {old[name]}, now {now[name]}" for name in now if old.get(name, now[name]) != now[name]]
    return f" ({'; '.join(others)})" if others else ""


def _changes(where, before, now):
    for name, value in now.items():
        old = before.get(name) if isinstance(before, dict) else None
        if isinstance(value, dict):
            yield from _changes(f"{name} ", old, value)
        elif old != value:
            shown = name in ("shape", "count", "dtype", "divisor") and old is not None
            yield f"{where}{name}" + (f" ({old}, now {value})" if shown else "")
