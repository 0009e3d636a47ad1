"""The distribution of a text: tokens up to an end, after which nothing is left to chance."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.sampling import draw, full_shape, mean
from keras_vae.utils.tokens import END

# A temperature of 0 would divide by 0. At this one a token is drawn that is not the most probable one only if the
# logits of the two differ by less than about 1e-5.
_MIN_TEMPERATURE = 1e-6


def ended_before(x: tf.Tensor) -> tf.Tensor:
    """Returns whether a text has ended before each of its places, bool `(..., length)`."""
    ends = tf.cast(tf.equal(x, END), tf.int32)
    return tf.cumsum(ends, axis=-1, exclusive=True) > 0


class _Tokens(tfd.Distribution):
    """p(x) = prod_i softmax(l_i)[x_i] over the places up to the first `END`, that place included.

    All places after the first `END` hold `END` with probability 1. A text that fills all places has no `END`. The
    probabilities of all texts of up to `length` tokens therefore sum to 1. Tokens are names and have no mean: `mean`
    returns the most probable token of each place.

    Args:
      logits: l, float32 `(..., length, vocabulary_size)`.
    """

    def __init__(self, logits: tf.Tensor) -> None:
        self.logits = logits
        super().__init__(
            dtype=tf.int32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"logits": logits},
            name="Tokens",
        )

    def _batch_shape(self):
        return self.logits.shape[:-2]

    def _batch_shape_tensor(self):
        return tf.shape(self.logits)[:-2]

    def _event_shape(self):
        return self.logits.shape[-2:-1]

    def _event_shape_tensor(self):
        return tf.shape(self.logits)[-2:-1]

    def place_log_probs(self, value: tf.Tensor) -> tf.Tensor:
        """Returns the log probability of each place in nats, `(..., length)`; it is 0 after the end.

        The value may have the first places of a text alone, if it has ended by then.
        """
        value = tf.cast(value, tf.int32)
        logits = self.logits[..., : keras.ops.shape(value)[-1], :]
        value = tf.broadcast_to(value, tf.shape(logits)[:-1])
        log_probs = -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=value, logits=logits)
        after = tf.where(tf.equal(value, END), 0.0, -float("inf"))
        return tf.where(ended_before(value), after, log_probs)

    def _log_prob(self, value):
        return tf.reduce_sum(self.place_log_probs(value), axis=-1)

    def _mean(self):
        return complete(tf.argmax(self.logits, axis=-1, output_type=tf.int32))


def complete(x: tf.Tensor) -> tf.Tensor:
    """Returns tokens with `END` at all places after the first `END`."""
    return tf.where(ended_before(x), END, x)


@draw.register(_Tokens)
def _(distribution: _Tokens, noise: Any, sample_shape: Any = ()) -> tf.Tensor:
    # The inverse of the cumulative distribution needs one uniform for each token, the Gumbel-max trick one for each
    # word of the vocabulary. A temperature T makes the probabilities softmax(l / T).
    source, temperature = noise.untempered()
    u = source.uniform(full_shape(distribution, sample_shape))
    logits = distribution.logits
    if temperature is not None:
        highest = tf.reduce_max(logits, axis=-1, keepdims=True)
        logits = (logits - highest) / tf.maximum(tf.cast(temperature, tf.float32), _MIN_TEMPERATURE)
    probabilities = tf.nn.softmax(logits)
    if source.top_p is not None:
        probabilities = _nucleus(probabilities, tf.cast(source.top_p, tf.float32))
    cumulative = tf.cumsum(probabilities, axis=-1)
    # The last sum is 1 up to rounding. Without it a u close to 1 would be a token of probability 0.
    below = cumulative[..., :-1] <= u[..., None] * cumulative[..., -1:]
    return complete(tf.reduce_sum(tf.cast(below, tf.int32), axis=-1))


def _nucleus(probabilities, top_p):
    """Returns the probabilities of the fewest tokens that have at least `top_p` together, as a distribution."""
    falling = tf.sort(probabilities, axis=-1, direction="DESCENDING")
    before = tf.cumsum(falling, axis=-1, exclusive=True)
    # The first is kept at any p, and of tokens that are as probable as the last one all are.
    kept = tf.concat([tf.ones_like(before[..., :1], tf.bool), before[..., 1:] < top_p], axis=-1)
    lowest = tf.reduce_min(tf.where(kept, falling, 1.0), axis=-1, keepdims=True)
    inside = tf.where(probabilities >= lowest, probabilities, 0.0)
    return inside / tf.reduce_sum(inside, axis=-1, keepdims=True)


@mean.register(_Tokens)
def _(distribution: _Tokens, noise: Any) -> tf.Tensor:
    return distribution.mean()
