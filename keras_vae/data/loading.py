"""A name -> three disjoint sets in memory, with a description."""

import dataclasses
import pathlib

import numpy as np

from keras_vae import checks
from keras_vae.data import mnist
from keras_vae.data.images import BINARIZATIONS, Images, binarize


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three disjoint sets of examples.

    Attributes:
      name: what it was loaded by.
      train: examples to fit; with dynamic binarisation each presentation is a fresh draw.
      validation: examples cut from the training set, to choose by; one fixed draw if binarised.
      test: examples to measure with, once, at the end; one fixed draw if binarised.
      binarization: "dynamic", "static", "threshold" or "none".
    """

    name: str
    train: Images
    validation: Images
    test: Images
    binarization: str

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example, (height, width, channels)."""
        return self.train.event_shape

    def describe(self) -> dict:
        """Returns shape, range, counts, classes and binarisation, as plain values for a JSON file."""
        low, high = self.train.limits()
        labels = self.train.labels
        return {
            "name": self.name,
            "shape": list(self.event_shape),
            "range": [float(low), float(high)],
            "binarization": self.binarization,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "classes": None if labels is None else len(np.unique(labels)),
        }


def load(
    name: str = "mnist",
    data_dir: str | None = None,
    binarization: str | None = None,
    validation_fraction: float = 1 / 12,
    seed: int = 0,
) -> Dataset:
    """Loads a data set into memory.

    Args:
      name: "mnist" ships with the package; every other name is one of tensorflow-datasets.
      data_dir: folder of prepared tensorflow-datasets; None is their default, `~/tensorflow_datasets`.
      binarization: "dynamic" (a fresh Bernoulli draw at each presentation in training, one fixed draw for validation
        and test), "static" (one fixed draw for all), "threshold" (at 0.5) or "none". None is "dynamic" for MNIST and
        "none" for the others.
      validation_fraction: part of the training set that is cut off its end for validation, between 0 and 1. The
        default leaves 55,000 + 5,000 of MNIST.
      seed: seed of the fixed draws.

    Raises:
      ValueError: if a value is out of range, or the data cannot be had; the message says where it was looked for.
    """
    if not isinstance(validation_fraction, int | float) or not 0 < validation_fraction < 1:
        raise ValueError(
            f"`validation_fraction` must lie between 0 and 1. Received: validation_fraction={validation_fraction!r}"
        )
    checks.nonnegative_int("seed", seed)
    if binarization is None:
        binarization = "dynamic" if name == "mnist" else "none"
    checks.one_of("binarization", binarization, BINARIZATIONS)
    train, test = mnist.read() if name == "mnist" else _read_tfds(name, data_dir)
    train, test = Images(*train, divisor=_divisor(train[0])), Images(*test, divisor=_divisor(test[0]))
    cut = len(train) - max(1, round(len(train) * validation_fraction))
    if cut < 1:
        raise ValueError(
            f"`validation_fraction` must leave at least 1 of {len(train)} training examples of {name!r}. "
            f"Received: validation_fraction={validation_fraction!r}"
        )
    fixed = "static" if binarization == "dynamic" else binarization
    return Dataset(
        name,
        train=binarize(train[:cut], binarization, seed),
        validation=binarize(train[cut:], fixed, seed + 1),
        test=binarize(test, fixed, seed + 2),
        binarization=binarization,
    )


def _divisor(values):
    return 255.0 if values.dtype == np.uint8 else 1.0


def _read_tfds(name, data_dir):
    import tensorflow_datasets as tfds  # slow, and only needed here

    folder = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    try:
        # No download: tensorflow-datasets would try for minutes where there is no network.
        loaded, info = tfds.load(name, data_dir=str(folder), batch_size=-1, download=False, with_info=True)
    except Exception as error:  # tensorflow-datasets raises whatever its readers raise
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"Data set {name!r} cannot be loaded. Looked for a prepared data set {name!r} in {folder} "
            f"({type(error).__name__}: {reason[0] if reason else 'no message'}). Prepare it on a machine with network: "
            f"`tfds build {name} --data_dir={folder}`, or name another folder with --data_dir"
        ) from error
    missing = {"train", "test"} - set(loaded)
    if missing:
        raise ValueError(
            f"Data set {name!r} must have the splits 'train' and 'test'. Received: splits {sorted(loaded)}"
        )
    if "image" not in info.features:
        raise ValueError(f"Data set {name!r} must have a feature 'image'. Received: features {sorted(info.features)}")
    if None in info.features["image"].shape:
        # tensorflow-datasets would fill the smaller images up with zeros.
        raise ValueError(f"Data set {name!r} must have images of one size. Received: images of several sizes")
    return tuple(_image_and_label(loaded[split]) for split in ("train", "test"))


def _image_and_label(split):
    label = split.get("label")
    return split["image"].numpy(), None if label is None else label.numpy()
