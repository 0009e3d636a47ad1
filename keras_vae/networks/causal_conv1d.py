"""A causal network for texts: convolutions over the last tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.causal import Shape
from keras_vae.networks.causal_tokens import CausalTokens
from keras_vae.utils.arguments import PositiveInt, Seed, Share, checked


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class CausalConv1D(CausalTokens):
    """Dilated convolutions over the last tokens: p(x|z) = prod_i p(x_i | x_i-r .. x_i-1, z).

        h_i = W embedding of x_i-1
        h_i = h_i + dense(gelu(convolution(norm(h))_i + W z))   for each dilation rate

    It sees r = 1 + (kernel_size - 1) * sum of the dilation rates tokens. What came before them must come from z, for
    which Yang et al., "Improved variational autoencoders for text modeling using dilated convolutions" (2017), choose
    r. Short sentences need free bits all the same.

    Args:
      vocabulary_size: number of different tokens.
      filters: width of the layers, a positive integer.
      kernel_size: number of places that each convolution reads, a positive integer.
      dilation_rates: positive integers, how far apart these places are in each convolution.
      embedding_dim: width of the embedding of a token.
      word_dropout: probability in [0, 1] that a token is hidden from the network in training.
      seed: seed of what is hidden, an integer in [0, 2^32); None draws one from Python's `random`.
    """

    @checked
    def __init__(
        self,
        vocabulary_size: PositiveInt,
        filters: PositiveInt = 128,
        kernel_size: PositiveInt = 3,
        dilation_rates: Sequence[PositiveInt] = (1, 2),
        embedding_dim: PositiveInt = 128,
        word_dropout: Share = 0.0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocabulary_size, embedding_dim, word_dropout, seed, **kwargs)
        self.filters, self.kernel_size = int(filters), int(kernel_size)
        self.dilation_rates = tuple(int(rate) for rate in dilation_rates)
        if not self.dilation_rates:
            raise ValueError(
                "`dilation_rates` must have at least one number, because z takes part in the convolutions. Received: ()"
            )

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        options: Any = {"dtype": self.dtype_policy}
        self._flatten = keras.layers.Flatten(data_format="channels_last", **options)
        flat_shape = self._flatten.compute_output_shape(features_shape)
        self._first = keras.layers.Dense(self.filters, name="first", **options)
        self._first.build((None, None, self.embedding_dim))
        self._blocks = []
        for i in range(len(self.dilation_rates)):
            block: dict[str, Any] = {
                name: keras.layers.Dense(self.filters, use_bias=name != "features", name=f"{name}_{i}", **options)
                for name in ("convolution", "features", "dense")
            }
            block["norm"] = keras.layers.LayerNormalization(name=f"norm_{i}", **options)
            shapes = {
                "convolution": (None, None, self.kernel_size * self.filters),
                "features": flat_shape,
            }
            for name, layer in block.items():
                layer.build(shapes.get(name, (None, None, self.filters)))
            self._blocks.append(block)
        self._last = keras.layers.LayerNormalization(name="last", **options)
        self._last.build((None, None, self.filters))
        super().build(x_shape, features_shape)

    def call(self, x: tf.Tensor, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        flat, length = self._flatten(features), tf.shape(x)[1]
        h = self._first(self.embedded(self.tokens_before(x, training)))
        for block, rate in zip(self._blocks, self.dilation_rates, strict=True):
            reach = (self.kernel_size - 1) * rate
            normed = tf.pad(block["norm"](h), [[0, 0], [reach, 0], [0, 0]])
            taps = [normed[:, i * rate : i * rate + length] for i in range(self.kernel_size)]
            h = self._after(block, h, tf.concat(taps, axis=-1), block["features"](flat)[:, None])
        return self._last(h)

    def _after(self, block, h, taps, features):
        return h + block["dense"](keras.ops.gelu(block["convolution"](taps) + features))

    def compute_output_shape(self, x_shape: Shape, features_shape: Shape) -> Shape:
        return (*x_shape, self.filters)

    def drawing(self, features: tf.Tensor) -> tuple[Any, Callable]:
        flat = self._flatten(features)
        batch = keras.ops.shape(features)[0]
        of_blocks = [block["features"](flat) for block in self._blocks]
        reaches = [(self.kernel_size - 1) * rate for rate in self.dilation_rates]
        empty = [tf.zeros((batch, reach, self.filters), flat.dtype) for reach in reaches]

        def turn(state, number, draw):
            rows, before = state
            h, after = self._first(self.embedded(before)), []
            for block, rate, row, of_block in zip(self._blocks, self.dilation_rates, rows, of_blocks, strict=True):
                row = tf.concat([row, block["norm"](h)[:, None]], axis=1)
                taps = [row[:, i * rate] for i in range(self.kernel_size)]
                h = self._after(block, h, tf.concat(taps, axis=-1), of_block)
                after.append(row[:, 1:])
            return after, draw(0, self._last(h))

        return (empty, self.first_token(batch)), turn

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("filters", "kernel_size", "dilation_rates")}
        return {**super().get_config(), **own}
