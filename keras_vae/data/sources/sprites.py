"""The source "sprites": small drawn images whose generating factors are known, for measuring disentanglement."""

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.utils.arguments import PositiveInt, checked

SHAPES = ("square", "ellipse", "triangle")
FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
FACTOR_SIZES = (3, 4, 6, 8, 8)
# Indices of the factors whose values have no order.
CATEGORICAL_FACTORS = (0,)
# Both are shares of the image's side: the side of a square with the figure's area, and the place of its center.
SCALES = (0.15, 0.30)
CENTERS = (0.33, 0.67)
MIN_SIZE = 16


@checked
def sprites(size: PositiveInt = 32) -> Examples:
    """Draws every combination of five factors: 4608 gray images of one white figure on black.

        pixel = 255 * (part of the pixel that the figure covers)

    The last factor varies fastest. Figures of one scale have the same area, (scale * size)^2 pixels, and none is cut
    off by the border. Orientations are 0 to 75 degrees: the square looks the same after 90 degrees, so that no two
    images are equal and every factor can be read from the image. The idea is that of dSprites (Matthey et al., 2017).

    Args:
      size: height and width in pixels, an integer of at least 16.

    Returns:
      `Examples` of uint8 values `(4608, size, size, 1)` presented in [0, 1], with the shape as label, and factors int64
      `(4608, 5)` in the order of `FACTOR_NAMES`, factor i from 0 to `FACTOR_SIZES[i]` - 1.

    Raises:
      ValueError: if `size` is not such an integer.
    """
    if size < MIN_SIZE:
        raise ValueError(f"`size` must be an integer of at least {MIN_SIZE}. Received: size={size!r}")
    factors = np.indices(FACTOR_SIZES).reshape(len(FACTOR_SIZES), -1).T
    drawn = [_draw(coverage, factors[factors[:, 0] == i], size) for i, coverage in enumerate(_COVERAGE)]
    return Examples(np.concatenate(drawn), labels=factors[:, 0].copy(), factors=factors, divisor=255.0)


def _draw(coverage, factors, size):
    """Draws the images of one shape, uint8 `(count, size, size, 1)`."""
    scale, x, y = (_level(factors, i) for i in (1, 3, 4))
    side = (SCALES[0] + (SCALES[1] - SCALES[0]) * scale) * size
    angle = np.radians(90.0) * factors[:, 2, None, None].astype(np.float32) / FACTOR_SIZES[2]
    pixels = np.arange(size, dtype=np.float32) + 0.5
    across = pixels - size * (CENTERS[0] + (CENTERS[1] - CENTERS[0]) * x)
    down = pixels[:, None] - size * (CENTERS[0] + (CENTERS[1] - CENTERS[0]) * y)
    u = np.cos(angle) * across + np.sin(angle) * down
    v = np.cos(angle) * down - np.sin(angle) * across
    return np.rint(255.0 * coverage(u, v, side, angle)).astype(np.uint8)[..., None]


def _level(factors, i):
    """Returns factor i as a number from 0 to 1, `(count, 1, 1)`."""
    return factors[:, i, None, None].astype(np.float32) / (FACTOR_SIZES[i] - 1)


def _inside(distance, angle):
    """Returns how much of a pixel lies inside of a line: `distance` is signed, `angle` is that of the line's normal."""
    return np.clip(0.5 - distance / (np.abs(np.cos(angle)) + np.abs(np.sin(angle))), 0.0, 1.0)


def _polygon(u, v, angle, apothem, corners):
    """Returns how much of a pixel lies in a regular polygon: a product over its sides.

    It is exact at a corner of 90 degrees whose sides lie along the pixels.
    """
    covered = np.float32(1.0)
    for turn in 2.0 * np.pi * np.arange(corners) / corners:
        distance = np.float32(np.cos(turn)) * u + np.float32(np.sin(turn)) * v - apothem
        covered = covered * _inside(distance, angle + np.float32(turn))
    return covered


def _square(u, v, side, angle):
    return _polygon(u, v, angle, 0.5 * side, 4)


def _triangle(u, v, side, angle):
    return _polygon(u, v, angle, side / np.float32(np.sqrt(3.0 * np.sqrt(3.0))), 3)


def _ellipse(u, v, side, angle):
    """Draws an ellipse twice as long as wide; the distance from it is, to first order, (r - 1) / |gradient of r|."""
    width = side / np.float32(np.sqrt(2.0 * np.pi))
    a, b = u / (2.0 * width) ** 2, v / width**2
    radius = np.maximum(np.sqrt(a * u + b * v), 1e-3)
    distance = (radius - 1.0) * radius / np.maximum(np.hypot(a, b), 1e-6)
    return _inside(distance, angle + np.arctan2(b, a))


_COVERAGE = (_square, _ellipse, _triangle)
