"""A causal network for images: masked convolutions."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.networks.causal import CausalNetwork, Shape
from keras_vae.networks.gated import Activation, not_gated
from keras_vae.networks.masked_conv import MaskedConv2D
from keras_vae.networks.resnet import BLOCK_SCALE
from keras_vae.networks.wavefront import TurnBuffer, Wavefront
from keras_vae.utils import checks
from keras_vae.utils.arguments import NonNegativeInt, PositiveInt, checked

# Features that are no maps of the image's size are projected to this many maps.
NUM_MAPS = 4


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class CausalConv(CausalNetwork):
    """Masked convolutions over an image: p(x|z) = prod_i p(x_i | x_<i, z) in the order of pixels and channels.

        h = conv7(x) + features,   x_<i alone
        h = h + conv1(act(conv3(act(h)) + features)),   num_blocks times

    The 7x7 convolution is hidden from its own pixel and all after it, as the masked convolutions of van den Oord et
    al., "Pixel recurrent neural networks" (2016), and the others see up to their own pixel. The channels of a pixel
    come one after the other, each with `filters` features of its own. In every sum the features of z take part by a
    1x1 convolution. Features that are no maps of the image's height and width are projected to four maps first.

    Args:
      filters: number of features of each value of x, a positive integer.
      num_blocks: number of residual blocks, at least 0.
      kernel_size: width of the kernel of the first convolution, an odd number of at least 3.
      activation: anything `keras.layers.Activation` accepts, apart from "glu", which halves the features.
    """

    @checked
    def __init__(
        self,
        filters: PositiveInt = 32,
        num_blocks: NonNegativeInt = 4,
        kernel_size: PositiveInt = 7,
        activation: Activation = "silu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = checks.positive_int("filters", filters)
        self.num_blocks = int(num_blocks)
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be an odd number of at least 3. Received: kernel_size={kernel_size!r}"
            )
        self.kernel_size = int(kernel_size)
        self.activation = keras.activations.get(not_gated(activation))

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        height, width, channels = checks.image_shape("event_shape", x_shape[1:])
        total = channels * self.filters
        options = {"groups": channels, "dtype": self.dtype_policy}
        self._first = MaskedConv2D(total, self.kernel_size, strict=True, name="first", **options)
        self._first.build(x_shape)
        self._blocks = [
            (
                MaskedConv2D(total, 3, name=f"block_{i}", **options),
                MaskedConv2D(total, 1, scale=BLOCK_SCALE, name=f"block_{i}_end", **options),
            )
            for i in range(self.num_blocks)
        ]
        for pair in self._blocks:
            for layer in pair:
                layer.build((None, height, width, total))
        self._is_map = len(features_shape) == 4 and tuple(features_shape[1:3]) == (height, width)
        if not self._is_map:
            self._flatten = keras.layers.Flatten(data_format="channels_last", dtype=self.dtype_policy)
            self._to_maps = keras.layers.Dense(height * width * NUM_MAPS, dtype=self.dtype_policy, name="to_maps")
            self._to_maps.build(self._flatten.compute_output_shape(features_shape))
            features_shape = (None, height, width, NUM_MAPS)
        self._from_features = keras.layers.Conv2D(
            (self.num_blocks + 1) * total,
            1,
            use_bias=False,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="from_features",
        )
        self._from_features.build(features_shape)
        super().build(x_shape, features_shape)

    def _maps(self, features):
        """Returns the features as maps of the image's height and width."""
        if self._is_map:
            return features
        return tf.reshape(self._to_maps(self._flatten(features)), (-1, *self.event_shape[:2], NUM_MAPS))

    def call(self, x: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        maps = self._maps(features)
        # One convolution for each sum costs a third of one convolution for all whose outputs are then split: its
        # outputs are too large for the cache.
        kernels = tf.split(tf.convert_to_tensor(self._from_features.kernel), self.num_blocks + 1, axis=-1)
        added = [tf.nn.conv2d(maps, kernel, strides=1, padding="VALID") for kernel in kernels]
        h = self._first(x) + added[0]
        for (wide, end), more in zip(self._blocks, added[1:], strict=True):
            h += end(self.activation(wide(self.activation(h)) + more))
        return tf.reshape(self.activation(h), (-1, *self.event_shape, self.filters))

    def compute_output_shape(self, x_shape: Shape, features_shape: Shape) -> Shape:
        return (*x_shape, self.filters)

    @property
    def order(self) -> np.ndarray:
        channels = self.event_shape[-1]
        pixels = self._wavefront().pixels[:, None]
        return np.where(pixels < 0, -1, pixels * channels + np.arange(channels)[:, None])

    def _wavefront(self):
        return Wavefront(*self.event_shape[:2], self.kernel_size // 2)

    def drawing(self, features: tf.Tensor) -> tuple[Any, Callable]:
        shape: Any = self.event_shape
        height, width, channels = shape
        wavefront = self._wavefront()
        added = tf.cast(self._from_features(self._maps(features)), tf.float32)
        added = tf.reshape(added, (-1, height * width, (self.num_blocks + 1) * channels * self.filters))
        # The turns come first, because that is how a turn is found without a copy of the others.
        added = tf.transpose(tf.gather(added, np.maximum(wavefront.pixels, 0), axis=1), (1, 0, 2, 3))
        drawn = tf.constant((wavefront.pixels >= 0)[..., None].astype(np.float32))
        batch = keras.ops.shape(features)[0]
        first = TurnBuffer(self._first, wavefront, batch)
        wides, ends = ([TurnBuffer(pair[i], wavefront, batch) for pair in self._blocks] for i in range(2))

        def turn(buffers, number, draw):
            here = tf.reshape(tf.gather(added, number), (-1, added.shape[-1]))
            here = tf.split(here, (self.num_blocks + 1) * channels, axis=-1)
            is_drawn = drawn[number]
            # The inputs of the convolutions at these pixels, channel by channel.
            x, of_wides, of_ends = [], [[] for _ in wides], [[] for _ in ends]
            after = list(buffers)
            for c in range(channels):
                h = first.outputs(first.with_turn(buffers[0], x, is_drawn), c) + here[c]
                for i, (wide, end) in enumerate(zip(wides, ends, strict=True)):
                    of_wides[i].append(self.activation(h))
                    after[i + 1] = wide.with_turn(buffers[i + 1], of_wides[i], is_drawn)
                    of_ends[i].append(self.activation(wide.outputs(after[i + 1], c) + here[(i + 1) * channels + c]))
                    h += end.outputs(end.with_turn(end.start, of_ends[i], is_drawn), c)
                x.append(draw(c, self.activation(h))[:, None])
            after[0] = first.with_turn(buffers[0], x, is_drawn)
            return tuple(line.after(buffer) for line, buffer in zip((first, *wides), after, strict=True))

        return tuple(line.start for line in (first, *wides)), turn

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "num_blocks": self.num_blocks,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
        }
