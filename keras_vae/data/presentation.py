"""How images are presented: made binary, or with noise as wide as one of their levels."""

import dataclasses
from typing import Literal

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.data.rows import map_rows
from keras_vae.utils.arguments import checked


@checked
def dequantize(images: Examples, fixed: bool = False, seed: int = 0) -> Examples:
    """Returns 8-bit images as draws from the density that is constant over each of their levels.

        x~ = (255 x + u) / 256,  u ~ U(0, 1)

    where 255 stands for the divisor of the images. For a density p of x~, E[log p(x~)] - D log(256) is a lower bound of
    the log probability of the 8-bit image with D values (Theis, van den Oord and Bethge, "A note on the evaluation of
    generative models", 2016, section 3.1).

    Args:
      images: `Examples` of uint8 values.
      fixed: whether to draw once, instead of anew at each presentation.
      seed: seed of the fixed draw.

    Raises:
      ValueError: if the values are not 8-bit.
    """
    if images.values.dtype != np.uint8 or images.divisor < 2 or images.noise is not None:
        raise ValueError(
            f"`dequantization` needs 8-bit images that are not binarized. Received: {images.values.dtype} values, "
            f"divisor={images.divisor:g}, noise={images.noise!r}"
        )
    drawn = dataclasses.replace(images, noise="uniform", levels=int(images.divisor) + 1)
    return drawn.fixed(seed) if fixed else drawn


@checked
def binarize(
    images: Examples, binarization: Literal["dynamic", "static", "threshold", "none"], seed: int = 0
) -> Examples:
    """Returns gray images as the chosen kind of binary images.

    Args:
      images: `Examples` with values in [0, 1] as presented.
      binarization: "dynamic" (a fresh Bernoulli draw at each presentation), "static" (one fixed Bernoulli draw),
        "threshold" (1 where the value is at least 0.5) or "none".
      seed: seed of the fixed draw.

    Raises:
      ValueError: if `binarization` is not one of these, or a value lies outside [0, 1].
    """
    if binarization == "none":
        return images
    if images.noise is not None or images.levels is not None:
        raise ValueError(
            f"`binarization` needs images that are neither binarized nor dequantized. "
            f"Received: noise={images.noise!r}, levels={images.levels!r}"
        )
    low, high = images.limits()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"`binarization` must be 'none' for values outside [0, 1]. "
            f"Received: binarization={binarization!r} and values from {low:g} to {high:g}"
        )
    if binarization == "threshold":
        middle = 0.5 * images.divisor
        values = map_rows(images.values, lambda x, _: (x >= middle).astype(np.uint8))
        return dataclasses.replace(images, values=values, divisor=1.0)
    drawn = dataclasses.replace(images, noise="bernoulli")
    return drawn.fixed(seed) if binarization == "static" else drawn
