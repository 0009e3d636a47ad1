"""A name -> three disjoint sets in memory, with a description."""

import dataclasses
import pathlib

import numpy as np

from keras_vae import checks
from keras_vae.data import mnist
from keras_vae.data.images import BINARIZATIONS, Images, binarize, dequantize
from keras_vae.data.sprites import CATEGORICAL_FACTORS, FACTOR_NAMES, sprites

DEQUANTIZATIONS = ("auto", "uniform", "none")
# Of the sprites, which have no split of their own.
SPRITES_TEST_FRACTION = 1 / 6


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three disjoint sets of examples.

    Attributes:
      name: what it was loaded by.
      train: examples to fit; with dynamic binarisation each presentation is a fresh draw.
      validation: examples cut from the training set, to choose by; one fixed draw if binarised.
      test: examples to measure with, once, at the end; one fixed draw if binarised.
      binarization: "dynamic", "static", "threshold" or "none".
      dequantization: "uniform" or "none".
      factor_names: names of the generating factors in `Images.factors`, empty where they are not known.
      categorical_factors: numbers of those factors that have no order.
    """

    name: str
    train: Images
    validation: Images
    test: Images
    binarization: str
    dequantization: str = "none"
    factor_names: tuple[str, ...] = ()
    categorical_factors: tuple[int, ...] = ()

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example, (height, width, channels)."""
        return self.train.event_shape

    def describe(self) -> dict:
        """Returns shape, range, counts, classes and how it is presented, as plain values for a JSON file."""
        low, high = self.train.limits()
        labels = self.train.labels
        return {
            "name": self.name,
            "shape": list(self.event_shape),
            "range": [float(low), float(high)],
            "binarization": self.binarization,
            "dequantization": self.dequantization,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "classes": None if labels is None else len(np.unique(labels)),
            "factors": list(self.factor_names),
        }


def load(
    name: str = "mnist",
    data_dir: str | None = None,
    binarization: str | None = None,
    validation_fraction: float = 1 / 12,
    seed: int = 0,
    dequantization: str = "none",
) -> Dataset:
    """Loads a data set into memory.

    Args:
      name: "mnist" ships with the package, "sprites" is drawn (`keras_vae.data.sprites`, a sixth of it for the test);
        every other name is one of tensorflow-datasets.
      data_dir: folder of prepared tensorflow-datasets; None is their default, `~/tensorflow_datasets`.
      binarization: "dynamic" (a fresh Bernoulli draw at each presentation in training, one fixed draw for validation
        and test), "static" (one fixed draw for all), "threshold" (at 0.5) or "none". None is "dynamic" for MNIST and
        "none" for the others.
      validation_fraction: part of the training set that is cut off its end for validation, between 0 and 1. The
        default leaves 55,000 + 5,000 of MNIST.
      seed: seed of the fixed draws.
      dequantization: "uniform" presents 8-bit images as draws from the density that is constant over each of their
        levels (`keras_vae.data.images.dequantize`), in training anew at each presentation; "auto" does so where the
        images are 8-bit; "none" as they are.

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
    checks.one_of("dequantization", dequantization, DEQUANTIZATIONS)
    if binarization != "none" and dequantization != "none":
        raise ValueError(
            f"`dequantization` must be 'none' for binarised images. "
            f"Received: dequantization={dequantization!r} and binarization={binarization!r}"
        )
    train, test = _read(name, data_dir)
    if dequantization == "auto":
        dequantization = "uniform" if train.values.dtype == test.values.dtype == np.uint8 else "none"
    cut = len(train) - max(1, round(len(train) * validation_fraction))
    if cut < 1:
        raise ValueError(
            f"`validation_fraction` must leave at least 1 of {len(train)} training examples of {name!r}. "
            f"Received: validation_fraction={validation_fraction!r}"
        )

    def presented(images, fixed, seed):
        if dequantization == "uniform":
            return dequantize(images, fixed, seed)
        return binarize(images, "static" if fixed and binarization == "dynamic" else binarization, seed)

    known = {"factor_names": FACTOR_NAMES, "categorical_factors": CATEGORICAL_FACTORS} if name == "sprites" else {}
    return Dataset(
        name,
        train=presented(train[:cut], False, seed),
        validation=presented(train[cut:], True, seed + 1),
        test=presented(test, True, seed + 2),
        binarization=binarization,
        dequantization=dequantization,
        **known,
    )


def _read(name, data_dir):
    if name == "sprites":
        return _split_sprites()
    parts = mnist.read() if name == "mnist" else _read_tfds(name, data_dir)
    return tuple(Images(*part, divisor=_divisor(part[0])) for part in parts)


def _split_sprites():
    images = sprites()
    order = np.random.default_rng(0).permutation(len(images))
    cut = round(len(images) * SPRITES_TEST_FRACTION)
    return images[order[cut:]], images[order[:cut]]


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
