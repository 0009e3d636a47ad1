"""Trunks of residual blocks for images of any height, width and number of channels."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.networks.conv import cropping, start_size
from keras_vae.networks.gated import Activation, not_gated
from keras_vae.utils import checks
from keras_vae.utils.arguments import NonNegativeInt, PositiveInt, Shape, checked

register = keras.saving.register_keras_serializable(package="keras_vae.networks")

_SAME = {"padding": "same", "data_format": "channels_last"}
# The last convolution of a residual block starts with weights of this share of the usual size.
BLOCK_SCALE = 0.3
# The usual size is that of Keras's first kernels, Glorot's.
_SMALL = {"scale": BLOCK_SCALE**2, "mode": "fan_avg", "distribution": "uniform"}


@register
class ResidualBlock(keras.layers.Layer):
    """x + conv(act(conv(act(x)))), with 3x3 convolutions of as many channels as x has (He et al., 2016).

    The second convolution starts at 0.3 of its usual scale, so that a new stack of blocks is close to the identity.

    Args:
      activation: anything `keras.layers.Activation` accepts, but not "glu", which would halve the channels.
      **kwargs: those of `keras.layers.Layer`.
    """

    @checked
    def __init__(self, activation: Activation = "silu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(not_gated(activation))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        options = {"filters": input_shape[-1], "kernel_size": 3, "dtype": self.dtype_policy, **_SAME}
        small = keras.initializers.VarianceScaling(**_SMALL)
        self.first = keras.layers.Conv2D(**options, activation=self.activation, name="first")
        self.second = keras.layers.Conv2D(**options, kernel_initializer=small, name="second")
        self.first.build(input_shape)
        self.second.build(input_shape)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + self.second(self.first(self.activation(inputs)))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


@register
class DepthToSpace(keras.layers.Layer):
    """Doubles height and width: `(batch, h, w, 4 c)` -> `(batch, 2 h, 2 w, c)` (Shi et al., 2016).

    output[2 i + a, 2 j + b, k] = input[i, j, (2 a + b) c + k],  a, b in {0, 1}
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(inputs, 2, data_format="NHWC")

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels // 4)


@checked
def resnet_encoder(
    filters: Sequence[PositiveInt] = (32, 64),
    blocks: NonNegativeInt = 1,
    units: PositiveInt = 256,
    activation: Activation = "silu",
    name: str | None = None,
) -> keras.Sequential:
    """Returns a trunk of convolutions with stride 2, each followed by residual blocks, then one dense layer.

    The first convolution is 5x5, the others are 3x3.

    Args:
      filters: channels at each size, from the largest to the smallest; each convolution halves height and width
        (rounding up).
      blocks: number of `ResidualBlock`s at each size, 0 or more.
      units: width of the dense layer at the end.
      activation: anything `keras.layers.Activation` accepts, but not "glu".
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, height, width, channels) -> (batch, units).

    Raises:
      ValueError: for the activation "glu".
    """
    layers: list[keras.layers.Layer] = []
    for i, f in enumerate(filters):
        layers += [keras.layers.Activation(not_gated(activation))] if i else []
        layers.append(keras.layers.Conv2D(int(f), 3 if i else 5, strides=2, **_SAME))
        layers += [ResidualBlock(activation) for _ in range(blocks)]
    layers += [keras.layers.Activation(not_gated(activation)), keras.layers.Flatten(data_format="channels_last")]
    return keras.Sequential([*layers, keras.layers.Dense(int(units), activation=activation)], name=name)


@checked
def resnet_decoder(
    event_shape: Shape,
    filters: Sequence[PositiveInt] = (64, 32, 32),
    blocks: NonNegativeInt | Sequence[NonNegativeInt] = 1,
    units: PositiveInt = 256,
    activation: Activation = "silu",
    name: str | None = None,
) -> keras.Sequential:
    """Returns a trunk of two dense layers, then residual blocks at each size; cropped to the image's size.

    From one size to the next go a 1x1 convolution to four times the channels and `DepthToSpace`.

    Args:
      event_shape: (height, width, channels) of the image; the feature maps get its height and width.
      filters: channels at each size, from the smallest to that of the image, each twice as high and wide as the one
        before.
      blocks: number of `ResidualBlock`s at each size, 0 or more; or one number for each size.
      units: width of the first dense layer.
      activation: anything `keras.layers.Activation` accepts, but not "glu".
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, latent_dim) -> (batch, height, width, filters[-1]).

    Raises:
      ValueError: if `event_shape` is not that of an image, `filters` is empty, `blocks` has another length, or the
        activation is "glu".
    """
    height, width = checks.image_shape("event_shape", event_shape)[:2]
    first, *others = [int(f) for f in filters] or [0]
    if not first:
        raise ValueError("`filters` must hold at least one number: the feature maps start there. Received: none")
    counts = (blocks,) * len(filters) if isinstance(blocks, int | np.integer) else tuple(blocks)
    if len(counts) != len(filters):
        raise ValueError(
            f"`blocks` must be one number, or one for each of the {len(filters)} sizes of `filters`. Received: "
            f"blocks={blocks!r}"
        )
    start = (*start_size(height, width, len(others)), first)
    layers = [
        keras.layers.Dense(int(units), activation=not_gated(activation)),
        keras.layers.Dense(math.prod(start)),
        keras.layers.Reshape(start),
        *(ResidualBlock(activation) for _ in range(counts[0])),
    ]
    for f, count in zip(others, counts[1:], strict=True):
        layers += [keras.layers.Activation(activation), keras.layers.Conv2D(4 * f, 1, **_SAME), DepthToSpace()]
        layers += [ResidualBlock(activation) for _ in range(count)]
    layers += cropping(height, width, len(others))
    return keras.Sequential([*layers, keras.layers.Activation(activation)], name=name)
