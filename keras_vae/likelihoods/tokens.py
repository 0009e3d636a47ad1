"""The likelihood of a text, which is a row of tokens with an end."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.data.tokenizer import Tokenizer
from keras_vae.distributions.tokens import _Tokens, complete, ended_before
from keras_vae.likelihoods.head import Likelihood, register
from keras_vae.utils.arguments import PositiveInt, checked
from keras_vae.utils.tokens import END


@register
class Tokens(Likelihood):
    """p(x|z) = prod_i softmax(l_i)[x_i] over the tokens of a text up to its end.

    x is int32 `(max_length,)` with values from 0 to `vocabulary_size - 1`. Token 0 ends a text and fills the places
    after the end, which cost nothing. A text of `max_length` tokens has no end. `keras_vae.data.Tokenizer` makes such
    rows of tokens. By itself the likelihood takes the tokens of a text as independent given z; inside
    `Autoregressive` with `keras_vae.networks.CausalGRU` each depends on those before it.

    Tokens are names and have no mean. `reconstruct` and `sample(output="mean")` return the most probable token at each
    place; inside `Autoregressive` they take the most probable token given those taken before (greedy decoding).

    Args:
      max_length: number of tokens of the longest text, a positive integer; None is that of the tokenizer.
      vocabulary_size: number of different tokens, the end among them, at least 2; None is that of the tokenizer.
      tokenizer: `keras_vae.data.Tokenizer`, with which a model takes strings wherever it takes x, and
        `VAE.generate` returns them; None for a model of tokens alone.

    Raises:
      ValueError: if an argument is out of range, or is not that of the tokenizer.
    """

    event_dtype = "int32"
    is_density = False
    has_mean = False
    has_logits = True
    has_lengths = True
    biases_each_value = False
    validates_each_value = True

    @checked
    def __init__(
        self,
        max_length: PositiveInt | None = None,
        vocabulary_size: PositiveInt | None = None,
        tokenizer: Tokenizer | None = None,
        **kwargs: Any,
    ) -> None:
        max_length = _size("max_length", max_length, tokenizer.max_length if tokenizer else None)
        super().__init__((max_length,), **kwargs)
        self.max_length, self.tokenizer = max_length, tokenizer
        self.vocabulary_size = _size("vocabulary_size", vocabulary_size, tokenizer.size if tokenizer else None)
        if self.vocabulary_size < 2:
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

    def lengths(self, x: np.ndarray) -> np.ndarray:
        return np.minimum((x != END).sum(axis=1) + 1, x.shape[1])

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
        own = {"max_length": self.max_length, "vocabulary_size": self.vocabulary_size}
        tokenizer = self.tokenizer and keras.saving.serialize_keras_object(self.tokenizer)
        return {**config, **own, "tokenizer": tokenizer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        tokenizer = config["tokenizer"] and keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**{**config, "tokenizer": tokenizer})


def _size(name: str, given: int | None, of_tokenizer: int | None) -> int:
    size = of_tokenizer if given is None else given
    if size is None:
        raise ValueError(f"`{name}` must be a positive integer if there is no tokenizer. Received: {name}=None")
    if of_tokenizer not in (None, size):
        raise ValueError(f"`{name}` must be that of the tokenizer, {of_tokenizer}. Received: {name}={given}")
    return int(size)
