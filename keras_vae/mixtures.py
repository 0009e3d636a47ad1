"""Mixtures of Gaussians whose gradient is made of matrix products."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class MixtureOfNormals(tfd.MixtureSameFamily):
    """sum_k w_k N(z; loc_k, diag(scale_k^2)), of components `tfd.Independent(tfd.Normal(loc, scale), 1)`.

    Draws and densities are those of `tfd.MixtureSameFamily`. There the gradient of n densities under K components in d
    dimensions takes several arrays of (n, K, d); here it takes products of (n, K) with (n, d) and (K, d) matrices.
    """

    def _log_prob(self, x):
        normal = self.components_distribution.distribution
        log_probs = normal_log_probs(tf.reshape(x, (-1, x.shape[-1])), normal.loc, normal.scale)
        log_weights = tf.math.log_softmax(self.mixture_distribution.logits_parameter())
        return tf.reshape(tf.reduce_logsumexp(log_probs + log_weights, axis=-1), tf.shape(x)[:-1])


@tf.custom_gradient
def normal_log_probs(z, loc, scale):
    """Returns log N(z_n; loc_k, diag(scale_k^2)), `(n, components)`, of z `(n, d)` and loc and scale `(components, d)`.

    With p = 1 / scale^2 and g_nk the gradient with respect to the result:

        d z_n     = sum_k g_nk loc_k p_k - z_n sum_k g_nk p_k
        d loc_k   = (sum_n g_nk z_n - loc_k sum_n g_nk) p_k
        d scale_k = ((sum_n g_nk z_n^2 - 2 loc_k sum_n g_nk z_n + loc_k^2 sum_n g_nk) p_k - sum_n g_nk) / scale_k

    Their terms cancel when z is near loc: float32 leaves a relative error of 1e-7 (z / scale)^2. The result has no such
    error, as it is the sum of ((z - loc) / scale)^2.
    """
    constant = tf.reduce_sum(tf.math.log(scale), axis=-1) + 0.5 * math.log(2.0 * math.pi) * z.shape[-1]
    log_probs = -0.5 * tf.reduce_sum(tf.square((z[:, None] - loc) / scale), axis=-1) - constant

    def gradient(g):
        precision = 1.0 / tf.square(scale)
        total = tf.reduce_sum(g, axis=0)[:, None]
        first, second = (tf.matmul(g, power, transpose_a=True) for power in (z, tf.square(z)))
        return (
            tf.matmul(g, loc * precision) - z * tf.matmul(g, precision),
            (first - loc * total) * precision,
            ((second - 2.0 * loc * first + tf.square(loc) * total) * precision - total) / scale,
        )

    return log_probs, gradient
