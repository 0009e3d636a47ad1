"""From any number to a positive one."""

import numpy as np
import tensorflow as tf

# softplus(UNIT) = 1: a head that outputs zeros starts at scale 1.
UNIT = 0.5413248546129181


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Returns log(1 + exp(x)), finite for every finite x in TFLite too, whose own is infinite from 89."""
    # In these words its gradient is the sigmoid at 0 too, where `maximum` and `abs` take sides, and exact far below 0.
    return tf.nn.relu(x) + tf.math.log1p(tf.exp(tf.minimum(x, -x)))


def scale(raw: tf.Tensor, min_scale: float) -> tf.Tensor:
    """Returns softplus(raw + UNIT) + min_scale: positive, and 1 + min_scale where `raw` is 0."""
    return softplus(raw + UNIT) + min_scale


def raw_of_scale(scale: tf.Tensor | np.ndarray, min_scale: float) -> tf.Tensor:
    """Returns the `raw` of which `scale` makes these numbers; of those below min_scale + 1e-6 it makes that.

    log(exp(scale - min_scale) - 1) - UNIT, in words that do not overflow for a large scale.
    """
    rest = tf.maximum(tf.convert_to_tensor(scale) - min_scale, 1e-6)
    return rest + tf.math.log(-tf.math.expm1(-rest)) - UNIT


# So many factors of a product, each in [1, 2]: below 2^16, which float32 holds with an error of some units of 6e-8.
_GROUP = 16


@tf.custom_gradient
def softplus_sum(x: tf.Tensor) -> tf.Tensor:
    """Returns sum_i log(1 + exp(x_i)) over the last axis: `(..., n)` -> `(...)`.

        sum_i softplus(x_i) = sum_i max(x_i, 0) + sum_groups log prod_(i in group) (1 + exp(-|x_i|))

    One logarithm for 16 values. The logarithms are most of what log p(x|z) costs beside the matrix products.
    """
    size = x.shape[-1]
    rows = tf.reshape(x, (-1, size))
    factors = tf.pad(1.0 + tf.exp(tf.minimum(rows, -rows)), ((0, 0), (0, -size % _GROUP)), constant_values=1.0)
    products = tf.reduce_prod(tf.reshape(factors, (-1, _GROUP, factors.shape[-1] // _GROUP)), axis=1)
    total = tf.reduce_sum(tf.nn.relu(rows), axis=-1) + tf.reduce_sum(tf.math.log(products), axis=-1)
    return tf.reshape(total, tf.shape(x)[:-1]), lambda upstream: upstream[..., None] * tf.sigmoid(x)
