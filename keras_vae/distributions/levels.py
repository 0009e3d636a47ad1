"""Distributions of values on equally spaced levels, such as those of 8-bit pictures."""

from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.softplus import softplus


class _LevelCategorical(tfd.Categorical):
    """`tfd.Categorical` whose values are equally spaced levels from 0 to 1 instead of indices."""

    def _log_prob(self, value):
        logits = self.logits_parameter()
        index = tf.cast(tf.round(value * (logits.shape[-1] - 1)), tf.int32)
        return tf.reduce_sum(tf.one_hot(index, logits.shape[-1]) * tf.nn.log_softmax(logits), axis=-1)

    def _mean(self):
        probs = self.probs_parameter()
        return tf.reduce_sum(probs * tf.linspace(0.0, 1.0, probs.shape[-1]), axis=-1)


class _DiscretizedLogistic(tfd.Distribution):
    """A logistic rounded to equally spaced levels from 0 to 1; mass below 0 and above 1 goes to the outer levels."""

    def __init__(self, loc: Any, scale: Any, num_levels: int) -> None:
        self.loc, self.scale, self.num_levels = loc, scale, num_levels
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"loc": loc, "scale": scale},
            name="DiscretizedLogistic",
        )

    def _batch_shape(self):
        return self.loc.shape

    def _batch_shape_tensor(self):
        return tf.shape(self.loc)

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _log_prob(self, value):
        half = 0.5 / (self.num_levels - 1)
        upper = (value + half - self.loc) / self.scale
        lower = (value - half - self.loc) / self.scale
        # log(sigmoid(u) - sigmoid(l)) = log sigmoid(u) + log sigmoid(-l) + log(1 - exp(l - u)). This form loses no
        # digits, because l - u is computed as -2 half / scale instead of as a difference of two large numbers.
        inside = -softplus(-upper) - softplus(lower) + tf.math.log(-tf.math.expm1(-2.0 * half / self.scale))
        first = -softplus(-upper)
        last = -softplus(lower)
        return tf.where(value < half, first, tf.where(value > 1.0 - half, last, inside))

    def _mean(self):
        # This is the mean of the logistic clipped to [0, 1]. Rounding to levels hardly changes it.
        return self.scale * (softplus(self.loc / self.scale) - softplus((self.loc - 1.0) / self.scale))
