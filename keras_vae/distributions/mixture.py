"""Mixtures of diagonal Gaussians whose density and gradient are made of matrix products."""

import functools
import math
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.utils.devices import has_gpu


def is_diagonal_normal(distribution: tfd.Distribution) -> bool:
    """Whether a distribution is a Gaussian of independent dimensions, `tfd.Independent(tfd.Normal(...))`."""
    return isinstance(distribution, tfd.Independent) and isinstance(distribution.distribution, tfd.Normal)


class MixtureOfNormals(tfd.MixtureSameFamily):
    """p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)), with components `tfd.Independent(tfd.Normal(loc, scale), ...)`.

    The batch shape must be (), a single mixture. Draws, and densities of finite z, are those of
    `tfd.MixtureSameFamily`, but need less memory. In that class, n densities under K components in d dimensions and
    their gradients take several arrays of (n, K, d). Here they take matrix products of (n, K), (n, d) and (K, d).
    """

    def _log_prob(self, x):
        if has_gpu():  # most of them compute float64 at a small part of the speed, and XLA makes one kernel of the sum
            return super()._log_prob(x)
        components = self.components_distribution
        shape = tf.concat([components.batch_shape_tensor(), components.event_shape_tensor()], axis=0)
        normal = components.distribution
        parts = (x, *(tf.broadcast_to(value, shape) for value in (normal.loc, normal.scale)))
        event_ndims, size = len(self.event_shape), self.event_shape.num_elements()
        log_probs = _normal_log_probs(*(tf.reshape(part, (-1, size)) for part in parts))
        log_weights = tf.math.log_softmax(self.mixture_distribution.logits_parameter())
        return tf.reshape(tf.reduce_logsumexp(log_probs + log_weights, axis=-1), tf.shape(x)[:-event_ndims])


@functools.singledispatch
def in_single_precision(distribution: tfd.Distribution) -> tfd.Distribution:
    """Returns the same distribution with densities that are computed without float64, for formats that lack it.

    Only `MixtureOfNormals` and distributions that hold one use float64. A class that holds one registers a rule here;
    other distributions are returned as they are.
    """
    return distribution


@in_single_precision.register(MixtureOfNormals)
def _(distribution):
    return tfd.MixtureSameFamily(distribution.mixture_distribution, distribution.components_distribution)


@tf.custom_gradient
def _normal_log_probs(z: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> Any:
    """Returns log N(z_n; loc_k, diag(scale_k^2)), `(n, components)`, of z `(n, d)` and loc and scale `(components, d)`.

    With p = 1 / scale^2, the sums over the dimensions, and g_nk the gradient with respect to the result:

        log N     = -1/2 (sum z_n^2 p_k - 2 sum z_n loc_k p_k + sum loc_k^2 p_k) - sum log scale_k - d/2 log(2 pi)
        d z_n     = sum_k g_nk loc_k p_k - z_n sum_k g_nk p_k
        d loc_k   = (sum_n g_nk z_n - loc_k sum_n g_nk) p_k
        d scale_k = ((sum_n g_nk z_n^2 - 2 loc_k sum_n g_nk z_n + loc_k^2 sum_n g_nk) p_k - sum_n g_nk) / scale_k

    If z is near loc, these terms cancel except for a part of about (scale / z)^2. float32 has too few digits for that,
    so the sums are computed in float64.
    """
    dtype = z.dtype
    z, loc, scale = (tf.cast(value, tf.float64) for value in (z, loc, scale))
    precision = 1.0 / tf.square(scale)
    constant = tf.reduce_sum(tf.math.log(scale), axis=-1) + 0.5 * math.log(2.0 * math.pi) * z.shape[-1]
    distance = (
        tf.matmul(tf.square(z), precision, transpose_b=True)
        - 2.0 * tf.matmul(z, loc * precision, transpose_b=True)
        + tf.reduce_sum(tf.square(loc) * precision, axis=-1)
    )

    def gradient(upstream):
        g = tf.cast(upstream, tf.float64)
        total = tf.reduce_sum(g, axis=0)[:, None]
        first, second = (tf.matmul(g, power, transpose_a=True) for power in (z, tf.square(z)))
        gradients = (
            tf.matmul(g, loc * precision) - z * tf.matmul(g, precision),
            (first - loc * total) * precision,
            ((second - 2.0 * loc * first + tf.square(loc) * total) * precision - total) / scale,
        )
        return tuple(tf.cast(value, dtype) for value in gradients)

    return tf.cast(-0.5 * distance - constant, dtype), gradient
