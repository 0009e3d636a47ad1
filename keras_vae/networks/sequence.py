"""Trunks of encoders of texts."""

from typing import Any, Literal

import keras
import tensorflow as tf

from keras_vae.networks.attention import TransformerBlock, check_heads
from keras_vae.networks.causal import Shape
from keras_vae.utils.arguments import PositiveInt, checked
from keras_vae.utils.part import Part


@checked
def sequence_encoder(
    vocabulary_size: PositiveInt,
    units: PositiveInt = 256,
    embedding_dim: PositiveInt = 128,
    name: str | None = None,
    cell: Literal["gru", "lstm"] = "gru",
) -> keras.Sequential:
    """Returns a trunk that reads a text forwards and backwards: embeddings, then a bidirectional recurrent network.

    The places after the end of a text, which hold token 0, are not read.

    Args:
      vocabulary_size: number of different tokens, token 0 among them.
      units: width of the recurrent network in each direction.
      embedding_dim: width of the embedding of a token.
      name: name of the model.
      cell: the recurrent network, "gru" or "lstm".

    Returns:
      A `keras.Sequential`, int `(batch, length)` -> `(batch, 2 * units)`: the last output of each direction.
    """
    recurrent = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
    layers = [
        keras.layers.Embedding(vocabulary_size, embedding_dim, mask_zero=True),
        keras.layers.Bidirectional(recurrent(units)),
    ]
    return keras.Sequential(layers, name=name)


@checked
def transformer_encoder(
    vocabulary_size: PositiveInt,
    units: PositiveInt = 128,
    num_heads: PositiveInt = 4,
    num_layers: PositiveInt = 2,
    name: str | None = None,
) -> keras.Sequential:
    """Returns a trunk that reads a text by attention of each token to all, `num_layers` times.

        h_i = embedding of x_i + embedding of i
        h = h + attention(norm(h)),   h = h + dense(gelu(dense(norm(h)))),   num_layers times
        outputs the mean over i of norm(h_i)

    The token 0 that ends a text is read, and the places after it are not. A text may be shorter than those that the
    trunk was built for, not longer.

    Args:
      vocabulary_size: number of different tokens, token 0 among them.
      units: width of the embeddings and layers, a multiple of `num_heads`.
      num_heads: number of heads of attention, a positive integer.
      num_layers: number of layers, a positive integer.
      name: name of the model.

    Returns:
      A `keras.Sequential`, int `(batch, length)` -> `(batch, units)`.

    Raises:
      ValueError: if `units` is no multiple of `num_heads`.
    """
    return keras.Sequential([_TransformerEncoder(vocabulary_size, units, num_heads, num_layers)], name=name)


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class _TransformerEncoder(Part):
    def __init__(self, vocabulary_size: int, units: int, num_heads: int, num_layers: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size, self.units = int(vocabulary_size), int(units)
        self.num_heads, self.num_layers = int(num_heads), int(num_layers)
        check_heads(self.units, self.num_heads)

    def build(self, x_shape: Shape) -> None:
        options: Any = {"dtype": self.dtype_policy}
        self._embedding = keras.layers.Embedding(self.vocabulary_size, self.units, name="embedding", **options)
        self._embedding.build()
        self._positions = self.add_weight(name="positions", shape=(x_shape[1], self.units), initializer="uniform")
        self._blocks = [
            TransformerBlock(self.units, self.num_heads, name=f"block_{i}", **options) for i in range(self.num_layers)
        ]
        self._last = keras.layers.LayerNormalization(name="last", **options)
        for layer in (*self._blocks, self._last):
            layer.build((None, x_shape[1], self.units))
        super().build(x_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if (x.shape[1] or 0) > self._positions.shape[0]:
            raise ValueError(
                f"`x` must have up to {self._positions.shape[0]} tokens a text, for which the trunk was built. "
                f"Received: x of shape {tuple(x.shape)}"
            )
        x = tf.cast(x, tf.int32)
        ends = tf.cast(tf.equal(x, 0), tf.int32)
        read = tf.equal(tf.cumsum(ends, axis=1, exclusive=True), 0)
        h = self._embedding(x) + tf.convert_to_tensor(self._positions)[: tf.shape(x)[1]]
        for block in self._blocks:
            h = block(h, read[:, None, None])
        weights = tf.cast(read, h.dtype)[:, :, None]
        return tf.reduce_sum(self._last(h) * weights, axis=1) / tf.reduce_sum(weights, axis=1)

    def compute_output_shape(self, x_shape: Shape) -> Shape:
        return (x_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("vocabulary_size", "units", "num_heads", "num_layers")}
        return {**super().get_config(), **own}
