"""Single picture files -> arrays, by Pillow."""

import concurrent.futures
import errno
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from keras_vae.utils.errors import reason

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
# Pillow recognizes dozens of formats by their content, whatever a file is called. It is only allowed to try these.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_EXIF_ORIENTATION = 0x0112
_TURNED = ("JPEG", "WEBP")
# Errors that are those of a file until it is changed. Pillow's own have no number.
_OF_FILES = (None, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT)
# Pictures that wait for a thread at a time.
_PART = 10_000


class Header(NamedTuple):
    """What the header of a picture file tells, before the picture is decoded.

    Attributes:
      height: in pixels, after the turn that its EXIF orientation asks for.
      width: in pixels, after that turn.
      channels: 1 for gray, 3 for color.
      alpha: whether it has an alpha channel or a transparent color.
      deep: whether its values have more than 8 bits.
    """

    height: int
    width: int
    channels: int
    alpha: bool
    deep: bool


def as_color(background: str) -> tuple[int, int, int]:
    """Returns a color as (red, green, blue), each from 0 to 255.

    Args:
      background: a name of CSS, for example "white", or "#RRGGBB".

    Raises:
      ValueError: if it is neither.
    """
    try:
        channels: tuple[int, ...] = ImageColor.getrgb(background)
        red, green, blue = channels
    except (ValueError, AttributeError, TypeError):
        raise ValueError(
            "`background` must be a color: a name of CSS, for example 'white', or '#RRGGBB'. "
            f"Received: background={background!r}"
        ) from None
    return red, green, blue


def read_header(path: pathlib.Path) -> Header:
    """Returns the header of a PNG, JPEG, BMP, GIF or WebP file.

    Raises:
      Exception: whatever Pillow raises for a damaged file or one of too many pixels (`PIL.Image.MAX_IMAGE_PIXELS`).
    """
    with _open(path) as image:
        width, height = image.size
        if _lies_on_its_side(image):
            width, height = height, width
        return Header(height, width, 1 if _is_gray(image) else 3, _is_transparent(image), _is_deep(image))


def decode(
    path: pathlib.Path, height: int, width: int, channels: int, background: tuple[int, int, int] = (255, 255, 255)
) -> np.ndarray:
    """Returns a picture as uint8 `(height, width, channels)`.

    A JPEG or WebP is turned the way its EXIF orientation says. A picture of another size is cut around its middle to
    the wanted aspect, then resized with a triangle filter as wide as the step between new pixels. A picture with an
    alpha channel or a transparent color is first laid on `background`, so that the hidden colors of transparent pixels
    do not bleed into their neighbors. Values of 16 bits are scaled to 8.

    Raises:
      Exception: Pillow raises errors of many classes for a damaged file or one of too many pixels.
    """
    with _open(path) as image:
        if image.format == "JPEG":
            side = 2 * max(height, width)
            shown = (image.height, image.width) if _lies_on_its_side(image) else image.size
            if shown != (width, height):
                # The decoder may skip work and decode at 1/2, 1/4 or 1/8, as long as twice the wanted size is left.
                image.draft(None, (side, side))
        if image.format in _TURNED:
            image = ImageOps.exif_transpose(image)
        if _is_deep(image):
            image = _to_8_bits(image)
        if _is_transparent(image):
            image = Image.alpha_composite(Image.new("RGBA", image.size, background), image.convert("RGBA"))
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(height, width, channels)


def decode_all(
    paths: Sequence[pathlib.Path],
    shape: tuple[int, int, int],
    background: tuple[int, int, int],
    bad: dict[int, str],
    write: Callable[[int, np.ndarray], None],
) -> dict[int, str]:
    """Calls `write(i, pixels)` for each picture that is not among `bad`.

    Returns:
      A dict from the index of each picture that cannot be read to the reason, with those of `bad`.

    Raises:
      ValueError: if a disk fails while a picture is read, which says nothing of the picture.
      OSError: if one cannot be written.
    """
    failed: list[Exception] = []

    def decode_one(i):
        if i in bad:
            return
        try:
            pixels = decode(paths[i], *shape, background)
        except OSError as error:
            if error.errno not in _OF_FILES:
                failed.append(ValueError(f"{paths[i]} cannot be read now: {reason(error)}"))
            raise
        try:
            write(i, pixels)
        except OSError as error:
            failed.append(error)

    _, reasons = for_each(decode_one, range(len(paths)))
    if failed:
        raise failed[0]
    return dict(sorted((bad | reasons).items()))


def _open(path):
    if not path.is_file():  # opening a pipe or a device may wait forever
        raise FileNotFoundError("not a file (a broken link?)")
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError("not a PNG, JPEG, BMP, GIF or WebP image") from None


def _lies_on_its_side(image):
    return image.format in _TURNED and image.getexif().get(_EXIF_ORIENTATION) in (5, 6, 7, 8)


def _is_transparent(image):
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def _is_deep(image):
    return image.mode.startswith("I")


def _to_8_bits(image):
    values = np.asarray(image)
    gray = Image.fromarray(np.rint(values * (255.0 / 65535.0)).clip(0, 255).astype(np.uint8))
    if not _is_transparent(image):
        return gray
    # One of 65,536 levels is transparent. Scaled to 256 levels it could no longer be told from its neighbors.
    opaque = 255 * (values != image.info["transparency"])
    return Image.merge("LA", [gray, Image.fromarray(opaque.astype(np.uint8))])


def _is_gray(image):
    if image.mode == "P":
        palette = np.reshape(image.getpalette("RGB"), (-1, 3))
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA") or _is_deep(image)


def for_each(function: Callable, items: Sequence) -> tuple[list, dict[int, str]]:
    """Calls a function for each item, in threads, because Pillow releases Python's lock while it decodes.

    Returns:
      A list of what the function returned, with None where it raised; and a dict from the index of each such item to
      the reason.

    Raises:
      MemoryError: if a call raises it.
    """
    reasons = {}

    def attempt(i):
        try:
            return function(items[i])
        except MemoryError:  # the machine is too small, and the picture may be fine
            raise
        except Exception as error:  # Pillow raises SyntaxError, struct.error and many more for a damaged file
            reasons[i] = reason(error)
            return None

    Image.preinit()
    with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # A part at a time, because the pool keeps an object for each call that waits.
        parts = (range(len(items))[i : i + _PART] for i in range(0, len(items), _PART))
        results = [result for part in parts for result in pool.map(attempt, part)]
    return results, dict(sorted(reasons.items()))
