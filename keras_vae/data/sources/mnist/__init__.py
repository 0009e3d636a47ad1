"""The source "mnist", which is shipped with the package (README.md beside this file has its license)."""

import gzip
import hashlib
import io
import pathlib
import zlib

import numpy as np

from keras_vae.data.sources import idx

FOLDER = pathlib.Path(__file__).parent
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read(folder: pathlib.Path = FOLDER) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns `(train_images, train_labels), (test_images, test_labels)`.

    Images are uint8 `(60000, 28, 28, 1)` and `(10000, 28, 28, 1)`, labels int64.

    Raises:
      ValueError: if a file is missing, or damaged so that its SHA-256 is not the known one.
    """
    train, test = (
        (_read_idx(folder, f"{split}-images-idx3-ubyte")[..., None], _read_idx(folder, f"{split}-labels-idx1-ubyte"))
        for split in ("train", "t10k")
    )
    return (train[0], train[1].astype(np.int64)), (test[0], test[1].astype(np.int64))


def _read_idx(folder, name):
    path = folder / f"{name}.gz"
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"MNIST file {path} cannot be read: {error}. Install keras_vae again") from error
    if hashlib.sha256(raw).hexdigest() != SHA256[name]:
        raise ValueError(f"MNIST file {path} is damaged: its SHA-256 is not {SHA256[name]}. Install keras_vae again")
    return idx.parse(io.BytesIO(raw), len(raw))
