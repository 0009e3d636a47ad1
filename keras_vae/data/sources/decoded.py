"""Pictures of a large folder, decoded once and kept as one array on the disk, in a cache folder."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import PIL
from absl import logging

from keras_vae.data.array_file import ArrayFile
from keras_vae.data.moments import Moments
from keras_vae.data.sources import npy
from keras_vae.utils.atomic_files import BeingWrittenError, file_written_whole, sync, written_whole
from keras_vae.utils.errors import reason

# Another number makes all folders be decoded anew.
_VERSION = 1
_VALUES, _ABOUT = "values.npy", "about.json"


class DecodedFile(ArrayFile):
    """An array in the cache. The moments of its rows are kept beside it: to find them takes a pass over all rows."""

    def kept_moments(self, places: np.ndarray | None, find: Callable[[], Moments]) -> Moments:
        """Returns the moments of the rows at `places`, or of all, as kept before, or else finds and keeps them."""
        of = "all" if places is None else hashlib.blake2b(places.tobytes(), digest_size=16).hexdigest()
        path = self.path.with_name(f"moments-{of}.npz")
        # None were kept before, or they are damaged, in whatever way.
        with contextlib.suppress(Exception), np.load(path) as file:
            return Moments(*(file[name][()] for name in Moments._fields))
        moments = find()
        with contextlib.suppress(OSError), file_written_whole(path) as work:  # the folder may be for reading only
            np.savez(work, **moments._asdict())
        return moments


class Decoded(NamedTuple):
    """What was decoded before.

    Attributes:
      values: uint8 `(count, height, width, channels)`.
      about: what else is known of the pictures, as plain values.
    """

    values: DecodedFile
    about: dict[str, Any]


def cache_folder(cache_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Returns a folder as it is given, or by default `keras_vae` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    if cache_dir:
        return pathlib.Path(os.path.expanduser(cache_dir))
    return pathlib.Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"), "keras_vae")


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
        return Decoded(DecodedFile(array.place[0], array.shape, array.dtype, array.place[1]), about)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def written(
    cache: pathlib.Path, key: str, shape: tuple[int, ...], decode: Callable[[Callable[[int, np.ndarray], None]], dict]
) -> Decoded:
    """Decodes pictures to the disk, or waits for another process that does so, and returns what is kept.

    Args:
      cache: the cache folder.
      key: what to keep them under.
      shape: shape of all pictures, `(count, height, width, channels)`.
      decode: is called with a function `write(i, pixels)`; returns what else is known of the pictures.

    Raises:
      ValueError: if the cache cannot be written.
    """
    waits = False
    while (kept := find(cache, key)) is None:
        try:
            _write(cache, key, shape, decode)
        except BeingWrittenError as error:
            if not waits:
                logging.info("%s", error)
            waits = True
            time.sleep(0.5)
        except _AlreadyKeptError:
            pass
        except OSError as error:
            if find(cache, key) is None:  # else another process has just kept the same, and was still tidying up
                raise ValueError(
                    f"`cache_dir` must be a folder that can be written. Received: {cache} ({reason(error)})"
                ) from error
    return kept


class _AlreadyKeptError(Exception):
    """Ends a decoding before it begins."""


def _write(cache, key, shape, decode):
    cache.mkdir(parents=True, exist_ok=True)
    size, free = math.prod(shape), shutil.disk_usage(cache).free
    if size > free:
        raise ValueError(
            f"`cache_dir` must have {size / 2**30:.1f} GiB of room for the decoded pictures. "
            f"Received: {cache} with {free / 2**30:.1f} GiB"
        )
    with written_whole(cache / key) as folder:
        # Another process may have ended between the look at what is kept and this lock. Its pictures may be in use, and
        # must not be replaced.
        if find(cache, key) is not None:
            raise _AlreadyKeptError
        logging.info("decoding %d images, %.1f GiB, once, to %s", shape[0], size / 2**30, cache / key)
        about = {**decode(ArrayFile.create(folder / _VALUES, shape, np.uint8).write), "shape": shape}
        sync(folder / _VALUES)
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
