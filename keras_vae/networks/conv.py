"""Convolutional trunks for images of any height, width and number of channels."""

import math
from collections.abc import Sequence

import keras

from keras_vae.networks import gated
from keras_vae.networks.gated import Activation
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveInt, Shape, checked

_HALVE = {"kernel_size": 3, "strides": 2, "padding": "same", "data_format": "channels_last"}

_MOST_FILTERS = 256


@checked
def default_filters(event_shape: Shape) -> tuple[int, ...]:
    """Returns the channels of an encoder's convolutions that halve an image of any size to at most 8 x 8 pixels.

    There are two up to 32 pixels a side, and one more for each doubling of the longer side: 32, 64, 128, 256, 256, ...

    Args:
      event_shape: (height, width, channels) of the image.

    Raises:
      ValueError: if `event_shape` is not that of an image.
    """
    longer = max(checks.image_shape("event_shape", event_shape)[:2])
    count = max(2, math.ceil(math.log2(longer / 8)))
    return tuple(min(32 * 2**i, _MOST_FILTERS) for i in range(count))


@checked
def conv_encoder(
    filters: Sequence[PositiveInt] = (32, 64),
    units: PositiveInt = 256,
    activation: Activation = "gelu",
    name: str | None = None,
) -> keras.Sequential:
    """Returns a trunk of 3x3 convolutions with stride 2, then one dense layer.

    Args:
      filters: channels of each convolution; each halves height and width (rounding up).
      units: width of the dense layer at the end.
      activation: anything `keras.layers.Conv2D` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, height, width, channels) -> (batch, units).
    """
    convolutions = [layer for f in filters for layer in gated.layers(keras.layers.Conv2D, int(f), activation, **_HALVE)]
    dense = gated.layers(keras.layers.Dense, int(units), activation)
    return keras.Sequential([*convolutions, keras.layers.Flatten(data_format="channels_last"), *dense], name=name)


@checked
def conv_decoder(
    event_shape: Shape,
    filters: Sequence[PositiveInt] = (64, 32),
    units: PositiveInt = 256,
    activation: Activation = "gelu",
    name: str | None = None,
) -> keras.Sequential:
    """Returns a trunk of two dense layers and 3x3 transposed convolutions with stride 2, cropped to the image's size.

    Args:
      event_shape: (height, width, channels) of the image; the feature maps get its height and width.
      filters: channels of each transposed convolution; each doubles height and width.
      units: width of the first dense layer.
      activation: anything `keras.layers.Conv2DTranspose` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, latent_dim) -> (batch, height, width, filters[-1]).

    Raises:
      ValueError: if `event_shape` is not that of an image.
    """
    height, width = checks.image_shape("event_shape", event_shape)[:2]
    filters = [int(f) for f in filters]
    if not filters:
        raise ValueError("`filters` must hold at least one number: the feature maps start there. Received: none")
    start = (*start_size(height, width, len(filters)), filters[0])
    dense = (int(units), math.prod(start))
    layers = [
        *(layer for u in dense for layer in gated.layers(keras.layers.Dense, u, activation)),
        keras.layers.Reshape(start),
        *(layer for f in filters for layer in gated.layers(keras.layers.Conv2DTranspose, f, activation, **_HALVE)),
    ]
    return keras.Sequential([*layers, *cropping(height, width, len(filters))], name=name)


def start_size(height: int, width: int, doublings: int) -> tuple[int, int]:
    """Returns the height and width of the maps that reach those of an image after so many doublings."""
    return -(-height // 2**doublings), -(-width // 2**doublings)


def cropping(height: int, width: int, doublings: int) -> list[keras.layers.Layer]:
    """Returns a layer that cuts maps of `start_size`, after the doublings, to the image; none if they are as large."""
    start = start_size(height, width, doublings)
    cut = (start[0] * 2**doublings - height, start[1] * 2**doublings - width)
    if not any(cut):
        return []
    return [keras.layers.Cropping2D(tuple((c // 2, c - c // 2) for c in cut), data_format="channels_last")]
