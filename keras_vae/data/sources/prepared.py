"""The source of data sets that tensorflow-datasets has prepared in a folder."""

import math
import os
import pathlib
import re

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.data.rows import ON_DISK_BYTES, Rows
from keras_vae.data.sources import decoded
from keras_vae.data.sources.texts import Texts
from keras_vae.data.splits import Splits
from keras_vae.utils.errors import reason

_SPLITS = ("train", "validation", "test")
# A version begins with a digit or a star, as in "mnist:3.0.1".
_NAMESPACE = re.compile(r":(?![\d*])")


class NotFoundError(ValueError):
    """There is no such prepared data set."""


def read(name: str, data_dir: str | None = None, cache_dir: str | os.PathLike | None = None) -> Splits:
    """Reads the splits `train`, `validation` and `test` of a prepared data set of tensorflow-datasets.

    Nothing is downloaded. The last two splits may be missing.

    Args:
      name: name of the data set, as `tfds.load` takes it.
      data_dir: folder of prepared data sets; None is tensorflow-datasets' own, `~/tensorflow_datasets`.
      cache_dir: folder that keeps 8-bit images decoded on the disk; None does so from 256 MiB on, see `folder.read`.

    Raises:
      ValueError: if it is not there, or does not hold images of one size; the message names the folder.
    """
    builder, source = _builder(name, data_dir)
    info = builder.info
    if "image" not in info.features:
        texts = [key for key, feature in info.features.items() if type(feature).__name__ == "Text"]
        hint = f"; --text_column={texts[0]} takes its texts" if texts else ""
        raise ValueError(
            f"Data set {name!r} must have a feature 'image'. Received: features {sorted(info.features)}{hint}"
        )
    if None in info.features["image"].shape:
        # tensorflow-datasets would fill the smaller images up with zeros.
        raise ValueError(f"Data set {name!r} must have images of one size. Received: images of several sizes")
    parts = {split: _images(builder, split, cache_dir) for split in _SPLITS if split in info.splits}
    return Splits(**parts, class_names=_class_names(info), source=source, ordered=True, manifest=info.full_name)


def read_texts(name: str, text_column: str, data_dir: str | None = None) -> Texts:
    """Reads a feature of strings of the splits `train`, `test` and, if there is one, `validation`.

    Args:
      name: name of the data set, as for `read`.
      text_column: name of the feature.
      data_dir: as for `read`.

    Raises:
      ValueError: if it is not there, or the feature is none of strings.
    """
    builder, source = _builder(name, data_dir)
    info = builder.info
    feature = dict(info.features.items()).get(text_column)
    if type(feature).__name__ != "Text":
        raise ValueError(
            f"`text_column` must be a feature of strings of the data set {name!r}, which has "
            f"{', '.join(sorted(info.features))}. Received: {text_column!r}"
        )
    parts = {
        split: [text.decode() for text in _whole(builder, split)[text_column].numpy()]
        for split in _SPLITS
        if split in info.splits
    }
    return Texts(**parts, source=source)


def _builder(name, data_dir):
    """Returns the builder of a data set, which knows its prepared files, and where it comes from."""
    if _NAMESPACE.search(name):
        raise ValueError(
            "A data set of tensorflow-datasets must be named without a namespace: those of namespaces, such as "
            f"kubric:, robotics: and huggingface:, are looked for in the network. Received: {name!r}"
        )
    import tensorflow_datasets as tfds  # the import is slow, and no other source needs it

    folder = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    try:
        builder = tfds.builder(name, data_dir=str(folder))
        builder.as_dataset()  # which reads nothing yet, and raises if nothing is prepared
    except MemoryError:
        raise
    except Exception as error:  # tensorflow-datasets lets every error of its readers through
        raise NotFoundError(
            f"Data set {name!r} cannot be loaded. Looked for a prepared data set {name!r} in {folder} "
            f"({type(error).__name__}: {reason(error)}). Prepare it on a machine with network: "
            f"`tfds build {name} --data_dir={folder}`, or name another folder with --data_dir"
        ) from error
    if "train" not in builder.info.splits:
        raise ValueError(f"Data set {name!r} must have a split 'train'. Received: splits {sorted(builder.info.splits)}")
    return builder, f"tensorflow-datasets {builder.info.full_name}"


def _whole(builder, split):
    """Returns the features of a split as tensors."""
    return builder.as_dataset(split=split, batch_size=-1)


def _images(builder, split, cache_dir):
    feature, count = builder.info.features["image"], builder.info.splits[split].num_examples
    shape = (count, *feature.shape)
    label = dict(builder.info.features.items()).get("label")
    on_disk = feature.np_dtype == np.uint8 and (label is None or np.dtype(label.np_dtype).kind in "biu")
    if on_disk and (cache_dir or math.prod(shape) >= ON_DISK_BYTES):
        return _images_on_disk(builder, split, shape, decoded.cache_folder(cache_dir))
    features = _whole(builder, split)
    values, labels = features["image"].numpy(), features.get("label")
    divisor = 255.0 if values.dtype == np.uint8 else 1.0
    return Examples(values, None if labels is None else labels.numpy(), divisor=divisor)


def _images_on_disk(builder, split, shape, cache):
    info = builder.info.splits[split]
    key = decoded.key_of([builder.info.full_name, str(builder.data_path), split, info.num_bytes], shape)

    def decode(write):
        labels = []
        for i, example in enumerate(builder.as_dataset(split=split).as_numpy_iterator()):
            write(i, example["image"])
            labels.append(np.asarray(example.get("label", 0)).tolist())
        if len(labels) != shape[0]:
            raise ValueError(f"Split {split!r} must have {shape[0]} examples. Received: {len(labels)}")
        return {"labels": labels}

    values, about = decoded.written(cache, key, shape, decode)
    label = dict(builder.info.features.items()).get("label")
    labels = None if label is None else np.array(about["labels"], label.np_dtype)
    return Examples(Rows(values), labels, divisor=255.0)


def _class_names(info):
    label = dict(info.features.items()).get("label")
    names = tuple(getattr(label, "names", None) or ())
    return () if names == tuple(map(str, range(len(names)))) else names
