"""Bernoulli and continuous Bernoulli distributions, written for speed and for TFLite."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.softplus import softplus_sum


class _Bernoullis(tfd.Independent):
    """Independent `tfd.Bernoulli`s with log p(x) = sum_i x_i l_i - sum_i softplus(l_i).

    The second sum takes one logarithm for 16 values, see `softplus_sum`.
    """

    def _log_prob(self, value):
        logits = self.distribution.logits_parameter()
        axes = list(range(-self.event_shape.rank, 0))
        rows = tf.concat([tf.shape(logits)[: axes[0]], [self.event_shape.num_elements()]], 0)
        return tf.reduce_sum(tf.cast(value, logits.dtype) * logits, axes) - softplus_sum(tf.reshape(logits, rows))


class _ContinuousBernoulliLogits(tfd.ContinuousBernoulli):
    """`tfd.ContinuousBernoulli` with p(x) = exp(l x) l / (exp(l) - 1), l the logit.

    Unlike TFP's own formulas these are stable at any logit, and consist of built-in operations of TFLite.
    """

    # Below this |logit| a series around 0 is more exact in float32 than the formulas.
    _SMALL = 0.05

    def _parts(self):
        logits = self.logits_parameter()
        small = tf.abs(logits) < self._SMALL
        return logits, small, tf.where(small, tf.ones_like(logits), logits)

    def _log_prob(self, event):
        logits, small, safe = self._parts()
        size = tf.abs(safe)
        log_integral = tf.where(
            small,
            logits / 2.0 + logits**2 / 24.0,
            tf.maximum(safe, 0.0) + tf.math.log((1.0 - tf.exp(-size)) / size),
        )
        return tf.cast(event, logits.dtype) * logits - log_integral

    def _mean(self):
        logits, small, safe = self._parts()
        size = tf.abs(safe)
        above = 1.0 / (1.0 - tf.exp(-size)) - 1.0 / size
        return tf.where(small, 0.5 + logits / 12.0, tf.where(safe > 0.0, above, 1.0 - above))

    def _quantile(self, value):
        logits, small, safe = self._parts()
        size = tf.abs(safe)
        upper = tf.where(safe > 0.0, value, 1.0 - value)
        above = 1.0 + tf.math.log(upper + (1.0 - upper) * tf.exp(-size)) / size
        return tf.where(small, value + logits * value * (1.0 - value) / 2.0, tf.where(safe > 0.0, above, 1.0 - above))
