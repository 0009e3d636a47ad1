"""The bounds that a long evaluation has computed so far, in a file, from which the same call goes on after a kill."""

import hashlib
import itertools
import json
import os
import pathlib
import time
import zipfile
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_vae.utils.atomic_files import file_written_whole
from keras_vae.utils.version import __version__

# Seconds between two writings of the file.
SECONDS = 60.0


class KeptBounds:
    """Reads and writes the file.

    Args:
      path: the file; None keeps nothing.
      vae: the model.
      call: yields arrays, numbers and None that, with the model, tell this call from all others. What another call has
        kept is replaced.

    Raises:
      ValueError: if the file is there and no evaluation has written it, or its folder is not there.
    """

    def __init__(self, path: str | os.PathLike | None, vae: keras.Model, call: Iterable) -> None:
        self._kept_in = None if path is None else pathlib.Path(path)
        self._call = "" if path is None else _digest(itertools.chain(_parts(vae), call))
        self._saved_at = time.monotonic()
        if self._kept_in is not None and not self._kept_in.absolute().parent.is_dir():
            raise ValueError(f"`progress_file` must lie in a folder that exists. Received: {self._kept_in}")

    def read(self) -> list[np.ndarray]:
        """Returns what this call has kept before: nothing, or one array `(2, count)` for its first examples."""
        if self._kept_in is None or not self._kept_in.exists():
            return []
        try:
            if not self._kept_in.is_file():
                raise ValueError("a folder or a pipe")
            with np.load(self._kept_in) as file:
                call, bounds = str(file["call"]), file["bounds"]
        except (EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            raise ValueError(
                "`progress_file` must be the file of an evaluation, or no file; remove it to begin anew. "
                f"Received: {self._kept_in}"
            ) from None
        if call != self._call:
            return []
        logging.info("%d examples were measured before", bounds.shape[1])
        return [bounds]

    def keep(self, results: list[np.ndarray], count: int) -> None:
        """Writes what is done so far of `count` examples, once a minute and at the end."""
        if self._kept_in is None:
            return
        done = sum(part.shape[1] for part in results)
        if done < count and time.monotonic() - self._saved_at < SECONDS:
            return
        with file_written_whole(self._kept_in) as work, work.open("wb") as file:
            np.savez(file, call=self._call, bounds=np.concatenate(results, axis=1))
        if done < count:
            logging.info("%d of %d examples are measured", done, count)
        self._saved_at = time.monotonic()


def _parts(vae):
    try:
        configs = [json.dumps(keras.saving.serialize_keras_object(part)) for part in vae.layers]
    except (NotImplementedError, TypeError) as error:
        raise ValueError(f"`progress_file` needs a model that can be saved. Received: {error}") from error
    # Another version may draw or sum otherwise, and its numbers must not be mixed with those of this one.
    return [__version__, tf.__version__, keras.__version__, *configs, *vae.get_weights()]


def _digest(call):
    digest = hashlib.blake2b(digest_size=16)
    for part in call:
        array = np.asarray([] if part is None else part)
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
