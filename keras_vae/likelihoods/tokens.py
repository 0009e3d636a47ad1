"""The likelihood of a text, which is a row of tokens with an end."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.tokens import END, _Tokens, complete, ended_before
from keras_vae.likelihoods.head import Likelihood, register
from keras_vae.utils.arguments import PositiveInt, checked


@register
class Tokens(Likelihood):
    """p(x|z) = prod_i softmax(l_i)[x_i] over the tokens of a text up to its end.

    x is int32 `(max_length,)` with values from 0 to `vocabulary_size - 1`. Token 0 ends a text and fills the places
    after the end, which cost nothing. A text of `max_length` tokens has no end. `keras.layers.TextVectorization`
    makes such rows of tokens. By itself the likelihood takes the tokens of a text as independent given z; inside
    `Autoregressive` with `keras_vae.networks.CausalGRU` each depends on those before it.

    Tokens are names and have no mean. `reconstruct` and `sample(output="mean")` return the most probable token at each
    place; inside `Autoregressive` they take the most probable token given those taken before (greedy decoding).

    Args:
      max_length: number of tokens of the longest text, a positive integer.
      vocabulary_size: number of different tokens, the end among them; at least 2.

    Raises:
      ValueError: if an argument is out of range.
    """

    event_dtype = "int32"
    is_density = False
    has_mean = False
    has_lengths = True
    biases_each_value = False
    validates_each_value = True

    @checked
    def __init__(self, max_length: PositiveInt, vocabulary_size: PositiveInt, **kwargs: Any) -> None:
        super().__init__((int(max_length),), **kwargs)
        self.max_length, self.vocabulary_size = int(max_length), int(vocabulary_size)
        if vocabulary_size < 2:
            raise ValueError(
                f"`vocabulary_size` must be at least 2, the end and one other. Received: {vocabulary_size!r}"
            )
        self.support = (0, self.vocabulary_size - 1)

    @property
    def num_parameters(self) -> int:
        return self.vocabulary_size

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        return _Tokens(parameters)

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        # A mean of tokens says nothing. All of them start with one probability.
        return np.zeros((*mean.shape, self.vocabulary_size), np.float32)

    def adapt(self, mean: np.ndarray) -> None:
        """Leaves all tokens with one probability, because a mean of names says nothing."""

    def complete(self, x: tf.Tensor) -> tf.Tensor:
        return complete(x)

    def trimmed(self, x: tf.Tensor) -> tf.Tensor:
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(~ended_before(x), tf.int32), axis=-1))
        return x[:, :longest]

    def validate(self, x: np.ndarray) -> None:
        low, high = int(np.min(x)), int(np.max(x))
        if low < 0 or high >= self.vocabulary_size:
            raise ValueError(
                f"`x` must hold tokens from 0 to {self.vocabulary_size - 1}, the vocabulary of the likelihood. "
                f"Received: x with values from {low} to {high}"
            )
        ended = np.cumsum(x == END, axis=-1) > 0
        wrong = np.flatnonzero((ended & (x != END)).any(axis=-1))
        if len(wrong):
            raise ValueError(
                f"`x` must hold token {END} alone after the first {END}, which ends a text. Received: "
                f"{len(wrong)} texts that go on, the first of them at row {wrong[0]}"
            )

    def in_support(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.int32)
        goes_on = ended_before(x) & tf.not_equal(x, END)
        in_range = (tf.reduce_min(x) >= 0) & (tf.reduce_max(x) < self.vocabulary_size)
        return in_range & ~tf.reduce_any(goes_on)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["event_shape"]
        return {**config, "max_length": self.max_length, "vocabulary_size": self.vocabulary_size}
