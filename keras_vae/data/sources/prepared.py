"""The source of data sets that tensorflow-datasets has prepared in a folder."""

import pathlib
import re

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.data.sources.texts import Texts
from keras_vae.data.splits import Splits
from keras_vae.utils.errors import reason

# A version begins with a digit or a star, as in "mnist:3.0.1".
_NAMESPACE = re.compile(r":(?![\d*])")


class NotFoundError(ValueError):
    """There is no such prepared data set."""


def read(name: str, data_dir: str | None = None) -> Splits:
    """Reads the splits `train` and `test` of a prepared data set of tensorflow-datasets; nothing is downloaded.

    Args:
      name: name of the data set, as `tfds.load` takes it.
      data_dir: folder of prepared data sets; None is tensorflow-datasets' own, `~/tensorflow_datasets`.

    Raises:
      ValueError: if it is not there, or does not hold images of one size; the message names the folder.
    """
    loaded, info, source = _loaded(name, data_dir)
    if "image" not in info.features:
        texts = [key for key, feature in info.features.items() if type(feature).__name__ == "Text"]
        hint = f"; --text_column={texts[0]} takes its texts" if texts else ""
        raise ValueError(
            f"Data set {name!r} must have a feature 'image'. Received: features {sorted(info.features)}{hint}"
        )
    if None in info.features["image"].shape:
        # tensorflow-datasets would fill the smaller images up with zeros.
        raise ValueError(f"Data set {name!r} must have images of one size. Received: images of several sizes")
    train, test = (_images(loaded[split]) for split in ("train", "test"))
    return Splits(train, test, None, _class_names(info), source, ordered=True, manifest=info.full_name)


def read_texts(name: str, text_column: str, data_dir: str | None = None) -> Texts:
    """Reads a feature of strings of the splits `train`, `test` and, if there is one, `validation`.

    Args:
      name: name of the data set, as for `read`.
      text_column: name of the feature.
      data_dir: as for `read`.

    Raises:
      ValueError: if it is not there, or the feature is none of strings.
    """
    loaded, info, source = _loaded(name, data_dir)
    feature = dict(info.features.items()).get(text_column)
    if type(feature).__name__ != "Text":
        raise ValueError(
            f"`text_column` must be a feature of strings of the data set {name!r}, which has "
            f"{', '.join(sorted(info.features))}. Received: {text_column!r}"
        )
    parts = {
        split: [text.decode() for text in loaded[split][text_column].numpy()]
        for split in ("train", "validation", "test")
        if split in loaded
    }
    return Texts(**parts, source=source)


def _loaded(name, data_dir):
    """Returns the splits of a data set as tensors, what is known of it, and where it comes from."""
    if _NAMESPACE.search(name):
        raise ValueError(
            "A data set of tensorflow-datasets must be named without a namespace: those of namespaces, such as "
            f"kubric:, robotics: and huggingface:, are looked for in the network. Received: {name!r}"
        )
    import tensorflow_datasets as tfds  # the import is slow, and no other source needs it

    folder = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    try:
        # Downloads are off, because without a network tensorflow-datasets would try for minutes.
        loaded, info = tfds.load(name, data_dir=str(folder), batch_size=-1, download=False, with_info=True)
    except MemoryError:
        raise
    except Exception as error:  # tensorflow-datasets lets every error of its readers through
        raise NotFoundError(
            f"Data set {name!r} cannot be loaded. Looked for a prepared data set {name!r} in {folder} "
            f"({type(error).__name__}: {reason(error)}). Prepare it on a machine with network: "
            f"`tfds build {name} --data_dir={folder}`, or name another folder with --data_dir"
        ) from error
    missing = {"train", "test"} - set(loaded)
    if missing:
        raise ValueError(
            f"Data set {name!r} must have the splits 'train' and 'test'. Received: splits {sorted(loaded)}"
        )
    return loaded, info, f"tensorflow-datasets {info.full_name}"


def _images(split):
    values, labels = split["image"].numpy(), split.get("label")
    divisor = 255.0 if values.dtype == np.uint8 else 1.0
    return Examples(values, None if labels is None else labels.numpy(), divisor=divisor)


def _class_names(info):
    label = dict(info.features.items()).get("label")
    names = tuple(getattr(label, "names", None) or ())
    return () if names == tuple(map(str, range(len(names)))) else names
