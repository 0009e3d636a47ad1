"""`load`: a name, folder or file -> a `Dataset` of three disjoint splits."""

import os
import pathlib
from typing import Annotated, Any, Literal

import numpy as np

from keras_vae.data.dataset import Dataset
from keras_vae.data.examples import Examples
from keras_vae.data.loading_texts import is_texts, load_texts
from keras_vae.data.presentation import binarize, dequantize
from keras_vae.data.sources import arrays, digits, folder, idx, mnist, pictures, prepared
from keras_vae.data.sources.sprites import CATEGORICAL_FACTORS, FACTOR_NAMES, sprites
from keras_vae.data.splits import Splits, divide
from keras_vae.utils.arguments import (
    Fraction,
    Kind,
    NonNegativeInt,
    Path,
    PositiveInt,
    checked,
    is_int,
    is_path,
    kind_of,
)

POSSIBLE = (
    "'mnist', 'sprites', 'digits', 'sentences', a folder of images, a folder of IDX files, an .npy or .npz file, a "
    "file or folder of texts, or the name of a prepared data set of tensorflow-datasets"
)


Name = Annotated[str | os.PathLike, Kind(POSSIBLE, "names", is_path)]
Color = Annotated[str, Kind("a color: a name of CSS, or '#RRGGBB'", "colors", lambda v: isinstance(v, str))]
# What is known of the generating factors of a data set.
_FACTORS: dict[str, Any] = {"sprites": {"factor_names": FACTOR_NAMES, "categorical_factors": CATEGORICAL_FACTORS}}
ImageSize = Annotated[
    int | tuple[int, int],
    Kind(
        "a positive integer or two, (height, width)",
        "sizes",
        kind_of(PositiveInt | tuple[PositiveInt, PositiveInt]).accepts,
    ),
]


@checked
def load(
    name: Name = "mnist",
    data_dir: Path | None = None,
    binarization: Literal["dynamic", "static", "threshold", "none"] | None = None,
    validation_fraction: Fraction = 1 / 12,
    seed: NonNegativeInt = 0,
    dequantization: Literal["auto", "uniform", "none"] = "none",
    image_size: ImageSize | None = None,
    test_fraction: Fraction = 1 / 6,
    on_bad_image: Literal["stop", "skip"] = "stop",
    background: Color = "white",
    data_kind: arrays.DataKind = "auto",
    cache_dir: Path | None = None,
) -> Dataset:
    """Loads a data set; a large one stays on the disk, from where it is read a batch at a time.

    Args:
      name: "mnist" ships with the package, "sprites" is drawn, "digits" comes with scikit-learn. A path is a folder of
        images or of IDX files, or an .npy or .npz file. "sentences", and a file or folder of texts, is loaded by
        `load_texts` at its defaults, with the fractions and the seed that are given here. Every other name is one of
        tensorflow-datasets. `keras_vae.data.sources` has a module for each kind.
      data_dir: folder of prepared tensorflow-datasets; None is their default, `~/tensorflow_datasets`. If it is given,
        `name` is taken for a path only if it starts with a dot, slash or tilde, or ends with .npy or .npz.
      binarization: "dynamic" (a fresh Bernoulli draw at each presentation in training, one fixed draw for validation
        and test), "static" (one fixed draw for all), "threshold" (at 0.5) or "none". None is "dynamic" for MNIST and
        "none" for the others.
      validation_fraction: share of the training set that becomes the validation set if the source has none, between 0
        and 1. The default splits MNIST into 55,000 + 5,000.
      seed: seed of the fixed draws, and of the splits that the source does not make.
      dequantization: "uniform" presents 8-bit images as draws from the density that is constant over each of their
        levels (`keras_vae.data.dequantize`), in training anew at each presentation; "auto" does so if the images
        are 8-bit; "none" presents them as they are.
      image_size: height and width, or one number for both, that the images of a folder are resized to; None takes the
        images as they are, which must then have one size.
      test_fraction: share of the examples that becomes the test set if the source has none, between 0 and 1.
      on_bad_image: what to do about pictures in a folder that cannot be read: "stop" raises, "skip" leaves them out.
      background: color behind the pictures of a folder that have an alpha channel or a transparent color; it is applied
        before they are resized. A name of CSS, for example "white", or "#RRGGBB".
      data_kind: what the arrays of an .npy or .npz file are: "vectors" `(count, values)`, "series" `(count, time)` or
        `(count, time, channels)`, "images" `(count, height, width)` or `(count, height, width, channels)`; "auto" takes
        two dimensions for vectors, and three or four for images. Only images are binarized and dequantized.
      cache_dir: folder that keeps the pictures of a folder decoded, until names, sizes or times of change of the files
        differ, or those of a prepared data set. None does so from 256 MiB of pixels on, in `$XDG_CACHE_HOME/keras_vae`
        or `~/.cache/keras_vae`; fewer are decoded into memory. An .npy file of that size is read where it is. Other
        kinds of data take no cache.

    Raises:
      ValueError: if a value is out of range, or the data cannot be found or read; the message says where it searched.
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if is_texts(name, data_dir=data_dir):
        return load_texts(name, test_fraction=test_fraction, validation_fraction=validation_fraction, seed=seed)
    pictures.as_color(background)  # a wrong color is an error before anything is read
    if binarization is None:
        binarization = "dynamic" if name == "mnist" else "none"
    if binarization != "none" and dequantization != "none":
        raise ValueError(
            f"`dequantization` must be 'none' for binarized images. "
            f"Received: dequantization={dequantization!r} and binarization={binarization!r}"
        )
    splits = _read(name, data_dir, _size(image_size), on_bad_image, background, data_kind, cache_dir)
    _check_presentation(splits.train.kind, binarization, dequantization)
    parts = divide(splits, test_fraction, validation_fraction, seed, name)
    if dequantization == "auto":
        gray = all(part.values.dtype == np.uint8 and part.divisor > 1 for part in parts)
        dequantization = "uniform" if gray else "none"
    train, validation, test = (
        _presented(part, i > 0, seed + i, binarization, dequantization) for i, part in enumerate(parts)
    )
    return Dataset(
        name,
        train,
        validation,
        test,
        binarization=binarization,
        dequantization=dequantization,
        class_names=splits.class_names,
        source=splits.source,
        manifest=splits.manifest,
        **_FACTORS.get(name, {}),
    )


def _check_presentation(kind, binarization, dequantization):
    """Raises `ValueError` if data that are no images are to be presented in a way that is for images."""
    for argument, value, others in (
        ("binarization", binarization, ("none",)),
        ("dequantization", dequantization, ("none", "auto")),
    ):
        if kind != "images" and value not in others:
            raise ValueError(
                f"`{argument}` must be 'none' for {kind}: it is for images. Received: {argument}={value!r}"
            )


def _presented(examples, fixed, seed, binarization, dequantization):
    """Returns one part of a data set as it is presented: with `fixed`, all draws are made once, here."""
    if dequantization == "uniform":
        return dequantize(examples, fixed, seed)
    return binarize(examples, "static" if fixed and binarization == "dynamic" else binarization, seed)


def _size(image_size: ImageSize | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size: Any = image_size
    height, width = (size, size) if is_int(size) else size
    return int(height), int(width)


def _read(name, data_dir, image_size, on_bad_image, background, data_kind, cache_dir):
    """Returns the `Splits` of a name, folder or file."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"`name` must be {POSSIBLE}. Received: {name!r}")
    path = pathlib.Path(os.path.expanduser(name))
    readers = {"mnist": _mnist, "sprites": _sprites, "digits": digits.read}
    here = name not in readers and (data_dir is None or _is_path(name))
    exists = here and os.path.exists(path)
    if here and os.path.isdir(path):
        _check_images(data_kind, name)
        return _read_folder(path, image_size, on_bad_image, background, cache_dir)
    if not exists and (_is_path(name) or (here and image_size is not None)):
        raise ValueError(f"There is no folder or file {path} (from {pathlib.Path.cwd()}). A data set is {POSSIBLE}")
    _check_no_size(image_size, name)
    if exists:
        return _read_file(path, data_kind)
    _check_images(data_kind, name)
    return readers[name]() if name in readers else _read_prepared(name, data_dir, cache_dir)


def _check_images(data_kind, name):
    if data_kind not in ("auto", "images"):
        raise ValueError(
            f"`data_kind` must be 'auto' or 'images' for all but .npy and .npz files. Received: "
            f"data_kind={data_kind!r} for {name!r}"
        )


def _check_no_size(image_size, name):
    if image_size is not None:
        raise ValueError(f"`image_size` is for folders of images only. Received: image_size={image_size} for {name!r}")


def _read_folder(path, image_size, on_bad_image, background, cache_dir):
    try:
        if not idx.find(path):
            return folder.read(path, image_size, on_bad_image, background, cache_dir)
        _check_no_size(image_size, str(path))
        return idx.read_folder(path)
    except OSError as error:
        raise ValueError(f"Folder {path} cannot be read: {error}") from error


def _is_path(name):
    return name.startswith((".", "~", "/")) or os.path.isabs(name) or name.lower().endswith(arrays.SUFFIXES)


def _read_file(path, data_kind):
    if path.suffix.lower() not in arrays.SUFFIXES or not path.is_file():
        raise ValueError(
            f"A file of data must be .npy, .npz or one of texts. Received: {path}. A data set is {POSSIBLE}"
        )
    return arrays.read(path, data_kind)


def _read_prepared(name, data_dir, cache_dir):
    try:
        return prepared.read(name, data_dir, cache_dir)
    except prepared.NotFoundError as error:
        tried = "" if data_dir else f". There is no folder or file of that name in {pathlib.Path.cwd()} either"
        raise ValueError(f"{error}{tried}. A data set is {POSSIBLE}") from error


def _mnist():
    train, test = (Examples(*part, divisor=255.0) for part in mnist.read())
    return Splits(train, test, source="MNIST as shipped with keras_vae", ordered=True)


def _sprites():
    images = sprites()
    order = np.random.default_rng(0).permutation(len(images))
    return Splits(images[order], source="drawn by keras_vae", ordered=True)
