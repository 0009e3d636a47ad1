"""From any number to a positive one."""

import tensorflow as tf

# softplus(UNIT) = 1: a head that outputs zeros starts at scale 1.
UNIT = 0.5413248546129181


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Returns log(1 + exp(x)), finite for every finite x in TFLite too, whose own is infinite from 89."""
    return tf.maximum(x, 0.0) + tf.math.log1p(tf.exp(-tf.abs(x)))
