"""A causal network for texts: a recurrent network over the tokens before."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.causal import Shape
from keras_vae.networks.causal_tokens import CausalTokens
from keras_vae.utils.arguments import PositiveInt, Seed, Share, checked


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class CausalGRU(CausalTokens):
    """A gated recurrent network over the tokens before: p(x|z) = prod_i p(x_i | x_<i, z).

        h_0 = tanh(W z),   h_i = GRU(h_i-1, [embedding of x_i-1, features of z]),   outputs h_i

    The features take part in the first state and at every step, as in Bowman et al., "Generating sentences from a
    continuous space" (2016), whose word dropout is here too: in training each token that the network sees is replaced
    by a mark of its own with probability `word_dropout`, so that it must learn from z what it does not see.

    Args:
      vocabulary_size: number of different tokens.
      units: width of the recurrent network, a positive integer.
      embedding_dim: width of the embedding of a token.
      word_dropout: probability in [0, 1] that a token is hidden from the network in training.
      seed: seed of what is hidden, an integer in [0, 2^32); None draws one from Python's `random`.
    """

    @checked
    def __init__(
        self,
        vocabulary_size: PositiveInt,
        units: PositiveInt = 256,
        embedding_dim: PositiveInt = 128,
        word_dropout: Share = 0.0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocabulary_size, embedding_dim, word_dropout, seed, **kwargs)
        self.units = int(units)

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        options: Any = {"dtype": self.dtype_policy}
        self._flatten = keras.layers.Flatten(data_format="channels_last", **options)
        flat_shape = self._flatten.compute_output_shape(features_shape)
        self._start = keras.layers.Dense(self.units, activation="tanh", name="start", **options)
        self._start.build(flat_shape)
        self._gru = keras.layers.GRU(self.units, return_sequences=True, name="gru", **options)
        self._gru.build((None, x_shape[1], self.embedding_dim + flat_shape[-1]))
        super().build(x_shape, features_shape)

    def call(self, x: tf.Tensor, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        seen, flat = self.embedded(self.tokens_before(x, training)), self._flatten(features)
        repeated = tf.repeat(flat[:, None], tf.shape(seen)[1], axis=1)
        return self._gru(tf.concat([seen, repeated], axis=-1), initial_state=self._start(flat))

    def compute_output_shape(self, x_shape: Shape, features_shape: Shape) -> Shape:
        return (*x_shape, self.units)

    def drawing(self, features: tf.Tensor) -> tuple[Any, Callable]:
        flat = self._flatten(features)

        def turn(state, number, draw):
            hidden, before = state
            outputs, [hidden] = self._gru.cell(tf.concat([self.embedded(before), flat], axis=-1), [hidden])
            return hidden, draw(0, outputs)

        return (self._start(flat), self.first_token(keras.ops.shape(features)[0])), turn

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
