"""softplus(x) = log(1 + exp(x)), which makes the positive scales of all heads from the numbers of a network."""

import numpy as np
import tensorflow as tf

# softplus(UNIT) = 1. It is added to the output of a head, so that a head that outputs zeros has scale 1.
UNIT = 0.5413248546129181


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Returns log(1 + exp(x)), finite for every finite x; TFLite's own softplus overflows from x = 89 on."""
    # `relu` and `minimum` are chosen for the gradient, which must be sigmoid(x). With `maximum(x, 0)` and `abs(x)`,
    # whose gradients at a kink do not fit together, it would be wrong at x = 0. The form is also exact far below 0.
    return tf.nn.relu(x) + tf.math.log1p(tf.exp(tf.minimum(x, -x)))


def scale(raw: tf.Tensor, min_scale: float) -> tf.Tensor:
    """Returns softplus(raw + UNIT) + min_scale, which is positive, and 1 + min_scale for `raw` = 0."""
    return softplus(raw + UNIT) + min_scale


def raw_of_scale(scale: tf.Tensor | np.ndarray, min_scale: float) -> tf.Tensor:
    """Returns the inverse of the function `scale`: the `raw` at which it returns these numbers.

        raw = log(exp(scale - min_scale) - 1) - UNIT

    It is written so that it does not overflow for a large scale. A scale below min_scale + 1e-6, which `scale` hardly
    or never returns, is raised to that.
    """
    rest = tf.maximum(tf.convert_to_tensor(scale) - min_scale, 1e-6)
    return rest + tf.math.log(-tf.math.expm1(-rest)) - UNIT


# Each factor 1 + exp(-|x|) is in [1, 2], so a product of 16 is at most 2^16, which float32 holds to about 1e-6.
_GROUP = 16


@tf.custom_gradient
def softplus_sum(x: tf.Tensor) -> tf.Tensor:
    """Returns sum_i log(1 + exp(x_i)) over the last axis: `(..., n)` -> `(...)`.

        sum_i softplus(x_i) = sum_i max(x_i, 0) + sum_groups log prod_(i in group) (1 + exp(-|x_i|))

    This takes one logarithm for each group of 16 values. Logarithms are the largest part of the cost of log p(x|z)
    beside the matrix products.
    """
    size = x.shape[-1]
    rows = tf.reshape(x, (-1, size))
    factors = tf.pad(1.0 + tf.exp(tf.minimum(rows, -rows)), ((0, 0), (0, -size % _GROUP)), constant_values=1.0)
    products = tf.reduce_prod(tf.reshape(factors, (-1, _GROUP, factors.shape[-1] // _GROUP)), axis=1)
    total = tf.reduce_sum(tf.nn.relu(rows), axis=-1) + tf.reduce_sum(tf.math.log(products), axis=-1)
    return tf.reshape(total, tf.shape(x)[:-1]), lambda upstream: upstream[..., None] * tf.sigmoid(x)
