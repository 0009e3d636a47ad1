"""A causal network for texts: attention to the tokens before."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.attention import TransformerBlock, check_heads
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
        check_heads(self.units, self.num_heads)

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        options: Any = {"dtype": self.dtype_policy}
        self._flatten = keras.layers.Flatten(data_format="channels_last", **options)
        self._from_features = keras.layers.Dense(self.units, name="from_features", **options)
        self._from_features.build(self._flatten.compute_output_shape(features_shape))
        self._positions = self.add_weight(name="positions", shape=(x_shape[1], self.units), initializer="uniform")
        self._blocks = [
            TransformerBlock(self.units, self.num_heads, name=f"block_{i}", **options) for i in range(self.num_layers)
        ]
        for block in self._blocks:
            block.build((None, x_shape[1], self.units))
        self._last = keras.layers.LayerNormalization(name="last", **options)
        self._last.build((None, None, self.units))
        super().build(x_shape, features_shape)

    def call(self, x: tf.Tensor, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        length = tf.shape(x)[1]
        h = self.embedded(self.tokens_before(x, training)) + tf.convert_to_tensor(self._positions)[:length]
        h += self._from_features(self._flatten(features))[:, None]
        allowed = tf.linalg.band_part(tf.ones((length, length), tf.bool), -1, 0)
        for block in self._blocks:
            h = block(h, allowed)
        return self._last(h)

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
            allowed = tf.range(length)[None] <= number
            for block, cache in zip(self._blocks, caches, strict=True):
                queries, *new = block.queries_keys_values(h)
                keys, values = (old + here * one for old, one in zip(cache, new, strict=True))
                h = block.attend(h, queries, keys, values, allowed)
                after.append((keys, values))
            return after, draw(0, self._last(h)[:, 0])

        return ([(empty, empty)] * self.num_layers, self.first_token(batch)), turn

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("units", "num_heads", "num_layers")}
        config = {**super().get_config(), **config}
        del config["embedding_dim"]
        return config
