"""From any number to a positive one."""

import tensorflow as tf

# softplus(UNIT) = 1: a head that outputs zeros starts at scale 1.
UNIT = 0.5413248546129181


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Returns log(1 + exp(x)), finite for every finite x in TFLite too, whose own is infinite from 89."""
    # In these words its gradient is the sigmoid at 0 too, where `maximum` and `abs` take sides, and exact far below 0.
    return tf.nn.relu(x) + tf.math.log1p(tf.exp(tf.minimum(x, -x)))
