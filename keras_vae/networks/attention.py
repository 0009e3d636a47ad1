"""A block of a transformer, for the encoder and the decoder of texts."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_vae.networks.causal import Shape
from keras_vae.utils.part import Part


def check_heads(units: int, num_heads: int) -> None:
    """Raises `ValueError` if `units` is no multiple of `num_heads`."""
    if units % num_heads:
        raise ValueError(f"`units` must be a multiple of num_heads. Received: units={units}, num_heads={num_heads}")


class TransformerBlock(Part):
    """Attention of each place to others, then a dense network at each place.

        h = h + attention(norm(h)),   h = h + dense(gelu(dense(norm(h))))

    With the norms before the layers (Xiong et al., 2020), and four times as wide in between (Vaswani et al., 2017).

    Args:
      units: width of h, a multiple of `num_heads`.
      num_heads: number of heads of attention.
    """

    def __init__(self, units: int, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.num_heads = units, num_heads

    def build(self, h_shape: Shape) -> None:
        options: Any = {"dtype": self.dtype_policy}
        widths = {"queries_keys_values": 3, "end": 1, "wide": 4, "narrow": 1}
        layers: dict[str, Any] = {
            name: keras.layers.Dense(times * self.units, name=name, **options) for name, times in widths.items()
        }
        layers |= {name: keras.layers.LayerNormalization(name=name, **options) for name in ("norm", "then")}
        for name, layer in layers.items():
            layer.build((None, None, (4 if name == "narrow" else 1) * self.units))
            setattr(self, f"_{name}", layer)
        super().build(h_shape)

    def call(self, h: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
        """Returns the next h `(batch, n, units)`; where `allowed`, bool `(..., n, n)`, a row sees a column."""
        queries, keys, values = self.queries_keys_values(h)
        return self.attend(h, queries, keys, values, allowed)

    def queries_keys_values(self, h: tf.Tensor) -> list[tf.Tensor]:
        """Returns the queries, keys and values of places, three times `(batch, n, units)`."""
        return tf.split(self._queries_keys_values(self._norm(h)), 3, axis=-1)

    def attend(
        self, h: tf.Tensor, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, allowed: tf.Tensor
    ) -> tf.Tensor:
        """Returns the next h of n places that attend to m places; `allowed` is bool, `(..., n, m)`."""
        h += self._end(self._read(queries, keys, values, allowed))
        return h + self._narrow(keras.ops.gelu(self._wide(self._then(h))))

    def _read(self, queries, keys, values, allowed):
        width = self.units // self.num_heads

        def heads(tensor):
            batch, places, _ = keras.ops.shape(tensor)
            return tf.transpose(tf.reshape(tensor, (batch, places, self.num_heads, width)), (0, 2, 1, 3))

        scores = tf.matmul(heads(queries), heads(keys), transpose_b=True) / math.sqrt(width)
        weights = tf.nn.softmax(tf.where(allowed, scores, scores.dtype.min), axis=-1)
        read = tf.transpose(tf.matmul(weights, heads(values)), (0, 2, 1, 3))
        return tf.reshape(read, keras.ops.shape(queries))

    def compute_output_shape(self, h_shape: Shape, *_: Any) -> Shape:
        return tuple(h_shape)
