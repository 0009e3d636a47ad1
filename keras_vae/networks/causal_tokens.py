"""`CausalTokens`, the base of the causal networks over texts."""

import random
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.causal import CausalNetwork, Shape
from keras_vae.utils.arguments import PositiveInt, Share


class CausalTokens(CausalNetwork):
    """Base of the causal networks over tokens: embeddings of the tokens before each place, and word dropout.

    Args:
      vocabulary_size: number of different tokens.
      embedding_dim: width of the embedding of a token.
      word_dropout: probability in [0, 1] that a token is hidden from the network in training.
      seed: seed of what is hidden, an integer in [0, 2^32); None draws one from Python's `random`.
    """

    x_dtype = "int32"

    def __init__(
        self,
        vocabulary_size: PositiveInt,
        embedding_dim: PositiveInt,
        word_dropout: Share,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_categories = self.vocabulary_size = int(vocabulary_size)
        self.embedding_dim = int(embedding_dim)
        self.word_dropout = float(word_dropout)
        self.seed = random.getrandbits(31) if seed is None else int(seed)

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        if len(x_shape) != 2:
            raise ValueError(f"`event_shape` must be (length,), that of tokens. Received: {tuple(x_shape[1:])}")
        # After the tokens come two marks: what stands before the first token, and a token that is hidden.
        self._embedding = keras.layers.Embedding(
            self.vocabulary_size + 2, self.embedding_dim, dtype=self.dtype_policy, name="embedding"
        )
        self._embedding.build()
        if self.word_dropout:
            # Keras does not save the state of its `SeedGenerator`. With that of a weight, a training that goes on from
            # a file hides the tokens that one without an interruption hides.
            options = {"initializer": "zeros", "dtype": "int64", "trainable": False}
            self._drawn = self.add_weight(name="drawn", shape=(), aggregation="only_first_replica", **options)
        super().build(x_shape, features_shape)

    def tokens_before(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns the token before each place, int32 `(batch, length)`; in training some of them are hidden."""
        x = tf.cast(x, tf.int32)
        before = tf.concat([self.first_token(tf.shape(x)[0])[:, None], x[:, :-1]], axis=1)
        if not training or not self.word_dropout:
            return before
        number = tf.convert_to_tensor(self._drawn)
        self._drawn.assign(number + 1)
        uniform = tf.random.stateless_uniform(tf.shape(before), tf.stack([tf.cast(self.seed, tf.int64), number]))
        hidden = uniform < self.word_dropout
        # What stands before the first token is no word.
        hidden &= before < self.vocabulary_size
        return tf.where(hidden, self.vocabulary_size + 1, before)

    def first_token(self, batch: Any) -> tf.Tensor:
        """Returns the mark that stands before the first token, int32 `(batch,)`."""
        return tf.fill((batch,), self.vocabulary_size)

    def embedded(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the embeddings of tokens, `(..., embedding_dim)`."""
        return self._embedding(tokens)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("vocabulary_size", "embedding_dim", "word_dropout", "seed")}
        return {**super().get_config(), **own}
