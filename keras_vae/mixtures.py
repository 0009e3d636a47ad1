"""Mixtures of diagonal Gaussians whose gradient is made of matrix products."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class MixtureOfNormals(tfd.MixtureSameFamily):
    """p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)), of components `tfd.Independent(tfd.Normal(loc, scale), 1)`.

    One mixture, not a batch of them. Draws and densities are those of `tfd.MixtureSameFamily`. There the gradient of n
    densities under K components in d dimensions takes several arrays of (n, K, d); here it takes products of (n, K)
    with (n, d) and (K, d) matrices.
    """

    def _log_prob(self, x):
        components = self.components_distribution
        shape = tf.concat([components.batch_shape_tensor(), components.event_shape_tensor()], axis=0)
        normal = components.distribution
        loc, scale = (tf.broadcast_to(value, shape) for value in (normal.loc, normal.scale))
        log_probs = _normal_log_probs(tf.reshape(x, (-1, x.shape[-1])), loc, scale)
        log_weights = tf.math.log_softmax(self.mixture_distribution.logits_parameter())
        return tf.reshape(tf.reduce_logsumexp(log_probs + log_weights, axis=-1), tf.shape(x)[:-1])


@tf.custom_gradient
def _normal_log_probs(z: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor):
    """Returns log N(z_n; loc_k, diag(scale_k^2)), `(n, components)`, of z `(n, d)` and loc and scale `(components, d)`.

    With p = 1 / scale^2 and g_nk the gradient with respect to the result:

        d z_n     = sum_k g_nk loc_k p_k - z_n sum_k g_nk p_k
        d loc_k   = (sum_n g_nk z_n - loc_k sum_n g_nk) p_k
        d scale_k = ((sum_n g_nk z_n^2 - 2 loc_k sum_n g_nk z_n + loc_k^2 sum_n g_nk) p_k - sum_n g_nk) / scale_k

    Where z is near loc these terms cancel but for (scale / z)^2 of them, more than float32 has digits for: they are
    float64.
    """
    constant = tf.reduce_sum(tf.math.log(scale), axis=-1) + 0.5 * math.log(2.0 * math.pi) * z.shape[-1]
    log_probs = -0.5 * tf.reduce_sum(tf.square((z[:, None] - loc) / scale), axis=-1) - constant

    def gradient(upstream):
        g, z_, loc_, scale_ = (tf.cast(value, tf.float64) for value in (upstream, z, loc, scale))
        precision, total = 1.0 / tf.square(scale_), tf.reduce_sum(g, axis=0)[:, None]
        first, second = (tf.matmul(g, power, transpose_a=True) for power in (z_, tf.square(z_)))
        gradients = (
            tf.matmul(g, loc_ * precision) - z_ * tf.matmul(g, precision),
            (first - loc_ * total) * precision,
            ((second - 2.0 * loc_ * first + tf.square(loc_) * total) * precision - total) / scale_,
        )
        return tuple(tf.cast(value, z.dtype) for value in gradients)

    return log_probs, gradient
