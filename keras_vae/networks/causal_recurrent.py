"""Causal networks for texts: recurrent networks over the tokens before."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.causal import Shape
from keras_vae.networks.causal_tokens import CausalTokens
from keras_vae.utils.arguments import PositiveInt, Seed, Share, checked


class _CausalRecurrent(CausalTokens):
    """A recurrent layer of Keras over [embedding of x_i-1, features of z], which begins in a state made of z."""

    _layer: type[keras.layers.Layer]
    _start_activation: str | None

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
        self._start = keras.layers.Dense(self.units, activation=self._start_activation, name="start", **options)
        self._start.build(flat_shape)
        self._recurrent = self._layer(self.units, return_sequences=True, name=self._layer.__name__.lower(), **options)
        self._recurrent.build((None, x_shape[1], self.embedding_dim + flat_shape[-1]))
        super().build(x_shape, features_shape)

    def _first_states(self, flat: tf.Tensor) -> list[tf.Tensor]:
        """Returns the states before the first token, as many as the layer has, each `(batch, units)`."""
        raise NotImplementedError

    def call(self, x: tf.Tensor, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        seen, flat = self.embedded(self.tokens_before(x, training)), self._flatten(features)
        repeated = tf.repeat(flat[:, None], tf.shape(seen)[1], axis=1)
        return self._recurrent(tf.concat([seen, repeated], axis=-1), initial_state=self._first_states(flat))

    def compute_output_shape(self, x_shape: Shape, features_shape: Shape) -> Shape:
        return (*x_shape, self.units)

    def drawing(self, features: tf.Tensor) -> tuple[Any, Callable]:
        flat = self._flatten(features)

        def turn(state, number, draw):
            states, before = state
            outputs, states = self._recurrent.cell(tf.concat([self.embedded(before), flat], axis=-1), states)
            return list(states), draw(0, outputs)

        return (self._first_states(flat), self.first_token(keras.ops.shape(features)[0])), turn

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class CausalGRU(_CausalRecurrent):
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

    _layer, _start_activation = keras.layers.GRU, "tanh"

    def _first_states(self, flat: tf.Tensor) -> list[tf.Tensor]:
        return [self._start(flat)]


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class CausalLSTM(_CausalRecurrent):
    """A long short-term memory over the tokens before: p(x|z) = prod_i p(x_i | x_<i, z).

        c_0 = W z,   h_0 = tanh(c_0)
        h_i, c_i = LSTM(h_i-1, c_i-1, [embedding of x_i-1, features of z]),   outputs h_i

    The network of most published VAEs of texts, those of Bowman et al. (2016) and of He et al., "Lagging inference
    networks and posterior collapse" (2019), among them. At the same width it has a third more recurrent weights than
    `CausalGRU`.

    Args:
      vocabulary_size: number of different tokens.
      units: width of the recurrent network, a positive integer.
      embedding_dim: width of the embedding of a token.
      word_dropout: probability in [0, 1] that a token is hidden from the network in training, as in `CausalGRU`.
      seed: seed of what is hidden, an integer in [0, 2^32); None draws one from Python's `random`.
    """

    _layer, _start_activation = keras.layers.LSTM, None

    def _first_states(self, flat: tf.Tensor) -> list[tf.Tensor]:
        c = self._start(flat)
        return [tf.tanh(c), c]
