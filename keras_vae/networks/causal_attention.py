"""A causal network for texts: attention to the tokens before."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.causal import Shape
from keras_vae.networks.causal_tokens import CausalTokens
from keras_vae.utils.arguments import PositiveInt, Seed, Share, checked


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class CausalTransformer(CausalTokens):
    """A small transformer over the tokens before: p(x|z) = prod_i p(x_i | x_<i, z).

        h_i = embedding of x_i-1 + embedding of i + W z
        h = h + attention(norm(h)),   h = h + dense(gelu(dense(norm(h)))),   num_layers times

    Each place attends to itself and to those before it (Vaswani et al., 2017), with the norms before the layers (Xiong
    et al., 2020). A draw keeps the keys and values of the places before.

    Args:
      vocabulary_size: number of different tokens.
      units: width of the embeddings and layers, a multiple of `num_heads`.
      num_heads: number of heads of attention, a positive integer.
      num_layers: number of layers, a positive integer.
      word_dropout: probability in [0, 1] that a token is hidden from the network in training.
      seed: seed of what is hidden, an integer in [0, 2^32); None draws one from Python's `random`.

    Raises:
      ValueError: if `units` is no multiple of `num_heads`.
    """

    @checked
    def __init__(
        self,
        vocabulary_size: PositiveInt,
        units: PositiveInt = 128,
        num_heads: PositiveInt = 4,
        num_layers: PositiveInt = 2,
        word_dropout: Share = 0.0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocabulary_size, units, word_dropout, seed, **kwargs)
        self.units, self.num_heads, self.num_layers = int(units), int(num_heads), int(num_layers)
        if units % num_heads:
            raise ValueError(f"`units` must be a multiple of num_heads. Received: units={units}, num_heads={num_heads}")

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        options: Any = {"dtype": self.dtype_policy}
        self._flatten = keras.layers.Flatten(data_format="channels_last", **options)
        self._from_features = keras.layers.Dense(self.units, name="from_features", **options)
        self._from_features.build(self._flatten.compute_output_shape(features_shape))
        self._positions = self.add_weight(name="positions", shape=(x_shape[1], self.units), initializer="uniform")
        names = {"queries_keys_values": 3, "end": 1, "wide": 4, "narrow": 1}
        self._layers_of_blocks = []
        for i in range(self.num_layers):
            block: dict[str, Any] = {
                name: keras.layers.Dense(times * self.units, name=f"{name}_{i}", **options)
                for name, times in names.items()
            }
            block |= {name: keras.layers.LayerNormalization(name=f"{name}_{i}", **options) for name in ("norm", "then")}
            for name, layer in block.items():
                layer.build((None, None, (4 if name == "narrow" else 1) * self.units))
            self._layers_of_blocks.append(block)
        self._last = keras.layers.LayerNormalization(name="last", **options)
        self._last.build((None, None, self.units))
        super().build(x_shape, features_shape)

    def call(self, x: tf.Tensor, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        length = tf.shape(x)[1]
        h = self.embedded(self.tokens_before(x, training)) + tf.convert_to_tensor(self._positions)[:length]
        h += self._from_features(self._flatten(features))[:, None]
        allowed = tf.linalg.band_part(tf.ones((length, length), tf.bool), -1, 0)
        for block in self._layers_of_blocks:
            queries, keys, values = tf.split(block["queries_keys_values"](block["norm"](h)), 3, axis=-1)
            h = self._end_of_block(block, h, self._attention(queries, keys, values, allowed))
        return self._last(h)

    def _end_of_block(self, block, h, attended):
        h += block["end"](attended)
        return h + block["narrow"](keras.ops.gelu(block["wide"](block["then"](h))))

    def _attention(self, queries, keys, values, allowed):
        """Returns what places `(batch, n, units)` read of places `(batch, m, units)`; `allowed` is bool `(n, m)`."""
        width = self.units // self.num_heads

        def heads(tensor):
            places = tensor.shape[1] or tf.shape(tensor)[1]
            return tf.transpose(tf.reshape(tensor, (-1, places, self.num_heads, width)), (0, 2, 1, 3))

        scores = tf.matmul(heads(queries), heads(keys), transpose_b=True) / math.sqrt(width)
        weights = tf.nn.softmax(tf.where(allowed, scores, scores.dtype.min), axis=-1)
        read = tf.transpose(tf.matmul(weights, heads(values)), (0, 2, 1, 3))
        return tf.reshape(read, (-1, queries.shape[1] or tf.shape(queries)[1], self.units))

    def compute_output_shape(self, x_shape: Shape, features_shape: Shape) -> Shape:
        return (*x_shape, self.units)

    def drawing(self, features: tf.Tensor) -> tuple[Any, Callable]:
        from_features, [length] = self._from_features(self._flatten(features))[:, None], self.event_shape
        batch = keras.ops.shape(features)[0]
        empty = tf.zeros((batch, length, self.units), from_features.dtype)

        def turn(state, number, draw):
            caches, before = state
            here, after = tf.one_hot(number, length, dtype=empty.dtype)[:, None], []
            h = self.embedded(before[:, None]) + tf.cast(self._positions, from_features.dtype)[number] + from_features
            for block, cache in zip(self._layers_of_blocks, caches, strict=True):
                queries, *new = tf.split(block["queries_keys_values"](block["norm"](h)), 3, axis=-1)
                keys, values = (old + here * one for old, one in zip(cache, new, strict=True))
                allowed = tf.range(length)[None] <= number
                h = self._end_of_block(block, h, self._attention(queries, keys, values, allowed))
                after.append((keys, values))
            return after, draw(0, self._last(h)[:, 0])

        return ([(empty, empty)] * self.num_layers, self.first_token(batch)), turn

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("units", "num_heads", "num_layers")}
        config = {**super().get_config(), **config}
        del config["embedding_dim"]
        return config
