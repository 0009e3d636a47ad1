"""Pictures of a large folder, decoded once and kept as one array on the disk, in a cache folder."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import PIL

from keras_vae.data.array_file import ArrayFile
from keras_vae.data.sources import npy
from keras_vae.utils.atomic_files import sync, written_whole
from keras_vae.utils.errors import reason

# Another number makes all folders be decoded anew.
_VERSION = 1
_VALUES, _ABOUT = "values.npy", "about.json"


class Decoded(NamedTuple):
    """What was decoded before.

    Attributes:
      values: uint8 `(count, height, width, channels)`.
      about: what else is known of the pictures, as plain values.
    """

    values: ArrayFile
    about: dict[str, Any]


def cache_folder(cache_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Returns a folder as it is given, or by default `keras_vae` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    if cache_dir:
        return pathlib.Path(cache_dir).expanduser()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "keras_vae"


def key_of(files: Any, options: Any) -> str:
    """Returns the name of what is kept for some files, a hash.

    Args:
      files: what tells files from others, for example their names, sizes and times of change, as plain values.
      options: how they are decoded, as plain values.
    """
    content = json.dumps([_VERSION, PIL.__version__, files, options])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def find(cache: pathlib.Path, key: str) -> Decoded | None:
    """Returns what is kept under a key, or None if there is nothing or it is damaged."""
    try:
        about = json.loads((cache / key / _ABOUT).read_text(encoding="utf-8"))
        array = npy.from_file(cache / key / _VALUES)
        if array.place is None or array.dtype != np.uint8 or list(array.shape) != about["shape"]:
            return None
        return Decoded(ArrayFile(array.place[0], array.shape, array.dtype, array.place[1]), about)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def writing(cache: pathlib.Path, key: str, shape: tuple[int, ...]) -> Iterator[Decoded]:
    """Yields an array of zeros, to be written to, and a dict for what is known; when the block ends, both are kept.

    Raises:
      ValueError: if the disk has no room for them, or another process is writing them.
      OSError: if they cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        size, free = math.prod(shape), shutil.disk_usage(cache).free
    except OSError as error:
        raise ValueError(f"`cache_dir` must be a folder. Received: {cache} ({reason(error)})") from error
    if size > free:
        raise ValueError(
            f"`cache_dir` must have {size / 2**30:.1f} GiB of room for the decoded pictures. "
            f"Received: {cache} with {free / 2**30:.1f} GiB"
        )
    with written_whole(cache / key) as folder:
        about: dict[str, Any] = {"shape": shape}
        yield Decoded(ArrayFile.create(folder / _VALUES, shape, np.uint8), about)
        sync(folder / _VALUES)
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
