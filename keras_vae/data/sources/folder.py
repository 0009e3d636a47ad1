"""The source of picture files in a folder: sub-folders are labels; train/, test/ and validation/ are splits."""

import functools
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from keras_vae.data.examples import Examples
from keras_vae.data.rows import ON_DISK_BYTES, Rows
from keras_vae.data.sources import decoded, pictures, texts
from keras_vae.data.splits import Splits
from keras_vae.utils.atomic_files import is_own
from keras_vae.utils.memory import check_memory

_SPLITS = ("train", "test", "validation")
_NAMED = 10  # one message names at most this many files


class Picture(NamedTuple):
    """A picture file: its path in the folder, its split ("" where there are none) and the name of its class or None.

    The path is a string, with slashes, because a million objects of `pathlib` take ten seconds to make.
    """

    inside: str
    split: str
    label: str | None


def read(
    folder: pathlib.Path,
    image_size: tuple[int, int] | None = None,
    on_bad_image: str = "stop",
    background: str = "white",
    cache_dir: str | os.PathLike | None = None,
) -> Splits:
    """Reads a folder of PNG, JPEG, BMP, GIF or WebP files.

    Args:
      folder: holds pictures, or sub-folders of pictures whose names are the labels. It may instead have the sub-folders
        train, test and validation, each of which is like that; test and validation may be missing.
      image_size: (height, width) that all pictures are resized to; None takes them as they are, all of one size.
      on_bad_image: "stop" raises for pictures that cannot be read, "skip" leaves them out.
      background: color that is shown through transparent pixels: a name of CSS or "#RRGGBB".
      cache_dir: folder that keeps the decoded pictures on the disk, from where they are read a batch at a time, until
        names, sizes or times of change of the files differ. None does so from 256 MiB on, in `~/.cache/keras_vae`.

    Returns:
      uint8 `(count, height, width, channels)` presented in [0, 1]: one channel if all pictures are gray, else three. A
      WebP always counts as color, because the format has no gray, and so does a transparent picture on a background
      that is not gray.

    Raises:
      ValueError: if there are no pictures, or bad ones, or pictures of several sizes without `image_size`; if
        `background` is no color.
      OSError: if the folder cannot be listed.
    """
    color = pictures.as_color(background)
    found, ignored = find(folder)
    if ignored:
        logging.info("%s: %d hidden files and files that are no images ignored", folder, ignored)
    states = _states(folder, found)
    values, bad = _decoded(folder, found, states, image_size, background, color, cache_dir)
    names = sorted({picture.label for picture in found if picture.label is not None})
    parts: dict[str, Any] = {}
    for split in dict.fromkeys(picture.split for picture in found):
        good = [i for i, picture in enumerate(found) if picture.split == split and i not in bad]
        parts[split] = _examples(values, good, found, names)
    if bad:
        message = _bad_images(folder, found, bad)
        empty = [str(folder / split) for split, part in parts.items() if part is None]
        if on_bad_image == "stop" or empty:
            raise ValueError(message)
        logging.warning("%s", message)
    return Splits(
        parts["train"] if "train" in parts else parts[""],
        parts.get("test"),
        parts.get("validation"),
        class_names=tuple(names),
        source=f"images in {folder}",
        manifest=_manifest(states),
    )


def find(folder: pathlib.Path) -> tuple[list[Picture], int]:
    """Returns the pictures of a folder in the order of their paths, and how many other files it holds.

    Links are followed, but no folder is read twice. Folders that the package wrote are left out, because the figures of
    a run are no data.

    Raises:
      ValueError: if there are no pictures, or only some of them are in sub-folders.
    """
    seen, own, found, ignored = set(), [], [], 0
    splits = [name for name in _SPLITS if (folder / name).is_dir() and not is_own(folder / name)]
    splits = splits if "train" in splits else [""]
    for split in splits:
        before, start = len(found), f"{split}/" if split else ""
        for inside, is_picture in _files(folder / split, seen, own):
            if not is_picture:
                ignored += 1
                continue
            first, slash, _ = inside.partition("/")
            found.append(Picture(start + inside, split, first if slash else None))
        if len(found) == before:
            raise ValueError(_nothing(folder / split, ignored, own))
    if own:
        logging.info("%s: %s", folder, _not_read(own))
    if splits != [""]:
        others = sorted(path.name for path in folder.iterdir() if path.name not in splits)
        if others:
            logging.warning("%s has train/, so what is beside it is ignored: %s", folder, ", ".join(others[:_NAMED]))
    _check_labels(folder, found)
    return found, ignored


def _files(folder: Any, seen: Any, own: Any) -> Iterator[tuple[str, bool]]:
    """Yields the path, relative to a folder, of each file below it, and whether it is a picture.

    Hidden folders are yielded as if they were files.

    Each folder is read once. Those that have been read are added to `seen`. Folders that the package wrote are added to
    `own`, and nothing in them is yielded.
    """
    waiting = [""]
    while waiting:
        start = waiting.pop()
        here = folder / start
        if is_own(here):
            own.append(here)
            continue
        info = here.stat()
        if (info.st_dev, info.st_ino) in seen:
            logging.warning("%s is a link to a folder that is read already: ignored", here)
            continue
        seen.add((info.st_dev, info.st_ino))
        folders = []
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.name.startswith(".") and _is(entry.is_dir):
                    folders.append(f"{start}{entry.name}/")
                else:
                    yield start + entry.name, _is_picture(entry)
        waiting += reversed(folders)


def _is_picture(entry):
    # A broken link counts as a picture that cannot be read, so that it is reported. A pipe counts as no picture.
    is_named_so = not entry.name.startswith(".") and entry.name.lower().endswith(pictures.SUFFIXES)
    return is_named_so and (_is(entry.is_file) or entry.is_symlink())


def _is(kind):
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def _not_read(own):
    shown, more = ", ".join(map(str, own[:_NAMED])), f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
    return f"not read as data, since keras_vae wrote it: {shown}{more}"


def _nothing(folder, ignored, own):
    return (
        f"No images found in {folder}. Looked for {', '.join(pictures.SUFFIXES)} in it, in its sub-folders, whose "
        "names are the labels, and in those of train/ and test/; and for IDX files (train-images-idx3-ubyte, ...). "
        f"{ignored} other files were ignored. A data set of tensorflow-datasets needs --data_dir"
        + (f"; {_not_read(own)}" if own else "")
        + _beside_texts(folder)
    )


def _beside_texts(folder):
    """Returns a sentence on what keeps a folder that holds texts from being one of texts, or nothing."""
    content = sorted(texts.content_of(folder))
    text = next((file.name for file in content if texts.kind_of(file)), None)
    other = next((file.name for file in content if not texts.kind_of(file)), None)
    if text is None or other is None:
        return ""
    return f". It is no folder of texts, which holds nothing beside files such as {text}: there is {other}"


def _check_labels(folder, found):
    without = next((picture for picture in found if picture.label is None), None)
    labeled = next((picture for picture in found if picture.label is not None), None)
    if without and labeled:
        raise ValueError(
            f"{folder} must have all its images in sub-folders, whose names are the labels, or none. "
            f"Received: {folder / without.inside} and {folder / labeled.inside}"
        )


def _common_shape(folder, known, image_size, is_gray):
    """Returns (height, width, channels) of the data set, and logs how pictures will be changed to fit.

    Raises `ValueError` if they have several sizes and `image_size` is None. `is_gray` tells whether the background is.
    """
    channels = max(header.channels if is_gray or not header.alpha else 3 for _, header in known)
    size = image_size or known[0][1][:2]
    other = [(picture, header) for picture, header in known if header[:2] != size]
    if other and image_size is None:
        (first, _), (second, header) = known[0], other[0]
        raise ValueError(
            "Images must have one size, or --image_size=HEIGHTxWIDTH must say to which all are brought. "
            f"Received: {size[0]}x{size[1]} of {folder / first.inside} and "
            f"{header.height}x{header.width} of {folder / second.inside}"
        )
    cut = sum(header.height * size[1] != header.width * size[0] for _, header in other)
    for count, what in (
        (len(other), f"resized to {size[0]}x{size[1]}"),
        (cut, f"cut in the middle to the aspect of {size[0]}x{size[1]}"),
        (sum(header.deep for _, header in known), "scaled from 16 to 8 bits"),
        (sum(header.channels < channels for _, header in known), "gray, taken as color"),
    ):
        if count:
            logging.info("%d of %d images %s", count, len(known), what)
    return (*size, channels)


def _decoded(folder, found, states, image_size, background, color, cache_dir):
    """Returns all pictures, in memory or as `Rows`, and a dict from the index of each bad one to the reason."""
    cache, key = decoded.cache_folder(cache_dir), decoded.key_of([str(folder.resolve()), states], [image_size, color])
    kept = decoded.find(cache, key)
    if kept is not None:
        logging.info("%d images were decoded before: %s", len(found), cache / key)
        return _kept(kept)
    headers, bad = pictures.for_each(lambda picture: pictures.read_header(folder / picture.inside), found)
    known = [(picture, header) for picture, header in zip(found, headers, strict=True) if header]
    if not known:
        raise ValueError(_bad_images(folder, found, bad))
    shape = _common_shape(folder, known, image_size, is_gray=len(set(color)) == 1)
    transparent = sum(header.alpha for _, header in known)
    if transparent:
        logging.info("%d of %d images with transparent pixels laid on %s", transparent, len(known), background)
    size, paths = len(found) * math.prod(shape), [folder / picture.inside for picture in found]
    if size < ON_DISK_BYTES and not cache_dir:
        check_memory(size, f"{len(found)} images of shape {shape}")
        values = np.empty((len(found), *shape), np.uint8)
        return values, pictures.decode_all(paths, shape, color, bad, values.__setitem__)
    decode = functools.partial(pictures.decode_all, paths, shape, color, bad)
    kept = decoded.written(cache, key, (len(found), *shape), lambda write: {"bad": decode(write)})
    return _kept(kept)


def _kept(kept):
    return Rows(kept.values), {int(i): why for i, why in kept.about["bad"].items()}


def _examples(values, good, found, names):
    """Returns the pictures at the indices `good` as `Examples`, or None if there are none."""
    if not good:
        return None
    number = {name: i for i, name in enumerate(names)}
    labels = np.array([number[found[i].label] for i in good]) if names else None
    whole = good[-1] - good[0] + 1 == len(good)
    return Examples(values[good[0] : good[-1] + 1] if whole else values[np.array(good)], labels, divisor=255.0)


def _states(folder, found):
    """Returns path in the folder, size in bytes and times of change of content and state of each picture."""
    start = os.path.join(folder, "")
    return [[picture.inside, *_state(start + picture.inside)] for picture in found]


def _state(path):
    try:
        info = os.stat(path)
        return info.st_size, info.st_mtime_ns, info.st_ctime_ns
    except OSError:  # the link is broken
        return None, None, None


def _manifest(states):
    """Returns a hash of the pictures' paths in the folder and their sizes in bytes."""
    sizes = sorted((path, size) for path, size, *_ in states)
    return hashlib.blake2b(json.dumps(sizes).encode(), digest_size=16).hexdigest()


def _bad_images(folder, found, bad):
    listed = sorted((folder / found[i].inside, reason) for i, reason in bad.items())
    shown = "; ".join(f"{path} ({reason})" for path, reason in listed[:_NAMED])
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return (
        f"{len(bad)} of {len(found)} images in {folder} cannot be read: {shown}{more}. "
        "Mend or remove them, or go on without them by --on_bad_image=skip"
    )
