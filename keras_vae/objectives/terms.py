"""The terms of the objectives as pure functions, from distributions to nats `(batch,)`."""

import math

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.mixture import is_diagonal_normal


def _analytic_kl(posterior, prior):
    """Returns KL(posterior || prior) in TFP's closed form, or None if TFP has none."""
    if isinstance(posterior, tfd.MultivariateNormalTriL) and is_diagonal_normal(prior):
        # TFP has a closed form of the KL from this family, which is the same distribution.
        prior = tfd.MultivariateNormalDiag(prior.distribution.loc, prior.distribution.scale)
    try:
        return tfd.kl_divergence(posterior, prior)
    except NotImplementedError:
        return None


def is_deterministic(distribution: tfd.Distribution) -> bool:
    """Whether all mass is at one point, so that there is no density."""
    return isinstance(distribution, tfd.Independent) and isinstance(distribution.distribution, tfd.Deterministic)


def kl_method(posterior: tfd.Distribution, prior: tfd.Distribution) -> str:
    """Returns "analytic" if TFP has a closed form of KL(posterior || prior), else "monte_carlo"."""
    return "monte_carlo" if _analytic_kl(posterior, prior) is None else "analytic"


def kl_divergence(posterior: tfd.Distribution, prior: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """KL(q(z|x) || p(z)) in nats, in closed form or as an estimate.

    The closed form is that of `tfd.kl_divergence`, and is at least 0. Without one the estimate is
    `log q(z|x) - log p(z)`, which may be negative.

    Args:
      posterior: q(z|x), batch shape `(batch,)`.
      prior: p(z), batch shape `()`.
      z: samples of `posterior`, `(batch, *latent_shape)` or `(num_samples, batch, *latent_shape)`; only the
        estimate uses them.

    Returns:
      Tensor of shape `(batch,)`.
    """
    analytic = _analytic_kl(posterior, prior)
    if analytic is not None:
        return analytic
    estimate = posterior.log_prob(z) - prior.log_prob(z)
    return tf.reduce_mean(estimate, axis=0) if estimate.shape.rank == 2 else estimate


def kl_per_dimension(posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
    """KL of each latent dimension in nats, `(batch, *latent_shape)`, for a posterior and a prior that factorize.

    Raises:
      ValueError: if one of them does not factorize over the dimensions, or TFP knows no closed form.
    """
    if isinstance(posterior, tfd.Independent) and isinstance(prior, tfd.Independent):
        kl = _analytic_kl(posterior.distribution, prior.distribution)
        if kl is not None:
            return kl
    raise ValueError(
        "`posterior` and `prior` must factorize over the latent dimensions, with a closed form of the KL. Received: "
        f"posterior {type(posterior).__name__}, prior {type(prior).__name__}"
    )


def elbo(log_likelihood: tf.Tensor, kl: tf.Tensor, kl_weight: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Evidence lower bound `log p(x|z) - kl_weight * KL(q(z|x) || p(z))` in nats; higher is better.

    Kingma and Welling, "Auto-encoding variational Bayes" (2013), equation 3; a `kl_weight` other than 1 is the
    beta-VAE of Higgins et al. (2017), equation 4.

    Args:
      log_likelihood: log p(x|z) at a sample z of q(z|x), `(batch,)`.
      kl: KL(q(z|x) || p(z)), `(batch,)`.
      kl_weight: a number or scalar tensor.

    Returns:
      Tensor of shape `(batch,)`.
    """
    return log_likelihood - kl_weight * kl


def log_weight(
    log_likelihood: tf.Tensor, posterior: tfd.Distribution, prior: tfd.Distribution, z: tf.Tensor
) -> tf.Tensor:
    """Log importance weight `log p(x|z) + log p(z) - log q(z|x)` in nats; its mean over q is the ELBO.

    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders" (2016), equation 8.

    Args:
      log_likelihood: log p(x|z), `(..., batch)`.
      posterior: q(z|x), batch shape `(batch,)`.
      prior: p(z), batch shape `()`.
      z: samples of `posterior`, `(..., batch, *latent_shape)`.

    Returns:
      Tensor of shape `(..., batch)`.
    """
    return log_likelihood + prior.log_prob(z) - posterior.log_prob(z)


def stop_parameters(distribution: tfd.Distribution) -> tfd.Distribution:
    """Returns the distribution with constant parameters, so that its density only has a gradient through z.

    Raises:
      ValueError: if the parameters cannot be reached, as those of a flow, which are inside a network.
    """
    if isinstance(distribution, tfd.Independent | tfd.MultivariateNormalTriL):
        return tf.nest.map_structure(tf.stop_gradient, distribution, expand_composites=True)
    raise ValueError(
        "`posterior` must be a diagonal, isotropic or full Gaussian or a Laplace for a gradient along the path. "
        f"Received: posterior {type(distribution).__name__}"
    )


def importance_weighted_bound(log_weights: tf.Tensor) -> tf.Tensor:
    """Returns log 1/K sum_k w_k in nats for log weights `(num_samples, batch)`; Burda et al. (2016), equation 8."""
    return tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(tf.cast(tf.shape(log_weights)[0], tf.float32))


def total_correlation_terms(
    posterior: tfd.Distribution, prior: tfd.Distribution, z: tf.Tensor, dataset_size: int, weight: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Splits KL(q(z|x) || p(z)), averaged over the data, into three terms by minibatch-weighted sampling.

        I(z; n) = E[log q(z|x) - log q(z)],  TC = E[log q(z) - sum_d log q(z_d)],  sum_d E[log q(z_d) - log p(z_d)]

    Chen, Li, Grosse and Duvenaud, "Isolating sources of disentanglement in VAEs" (2018), equations 2 and 3.

    Args:
      posterior: q(z|x), `tfd.Independent` over the dimensions, batch shape `(batch,)`.
      prior: p(z), `tfd.Independent` over the dimensions.
      z: samples `(batch, *latent_shape)`.
      dataset_size: number of training examples.
      weight: weight of each example, `(batch,)`; it is 0 for rows that only fill the batch up.

    Returns:
      Mutual information, total correlation and dimension-wise KL, each `(batch,)`.
    """
    pairs = posterior.distribution.log_prob(z[:, None])
    pairs = tf.reshape(pairs, (-1, tf.shape(z)[0], math.prod(z.shape[1:])))  # [i, j, d] = log q(z_i,d | x_j)
    # A row of weight 0 gets a very negative finite number instead of log 0, so that a batch with no other rows, which a
    # replica may have, gives finite numbers.
    present = tf.where(weight > 0.0, tf.math.log(tf.maximum(weight, 1e-30)), -1e9)[None, :]
    normalizer = tf.math.log(tf.maximum(tf.reduce_sum(weight), 1e-30) * dataset_size)
    log_joint = tf.reduce_logsumexp(tf.reduce_sum(pairs, axis=-1) + present, axis=1) - normalizer
    log_marginals = tf.reduce_sum(tf.reduce_logsumexp(pairs + present[..., None], axis=1) - normalizer, axis=-1)
    return posterior.log_prob(z) - log_joint, log_joint - log_marginals, log_marginals - prior.log_prob(z)


def maximum_mean_discrepancy(z: tf.Tensor, prior_z: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Unbiased squared MMD between samples of q(z) and of p(z), with inverse multiquadric kernels of seven widths.

        k(a, b) = sum_s C_s / (C_s + |a - b|^2),  C_s = 2 d s,  s in 0.1, 0.2, 0.5, 1, 2, 5, 10

    with d the number of values in z.

    Tolstikhin, Bousquet, Gelly and Schoelkopf, "Wasserstein auto-encoders" (2018), algorithm 2 and section 4.

    Args:
      z: samples of the posteriors of a batch `(batch, *latent_shape)`.
      prior_z: as many samples of the prior.
      weight: weight of each example, `(batch,)`.

    Returns:
      Scalar. An unbiased estimate of a number of at least 0 can be below 0.
    """
    size = math.prod(z.shape[1:])
    z, prior_z = (tf.reshape(part, (-1, size)) for part in (z, prior_z))

    def kernel(a, b):
        distance = tf.reduce_sum(tf.math.squared_difference(a[:, None], b[None]), axis=-1)
        widths = [2.0 * size * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
        return tf.add_n([c / (c + distance) for c in widths])

    across = tf.ones_like(weight)
    same = 1.0 - tf.eye(tf.shape(z)[0])

    def mean(values, rows, columns, mask=1.0):
        weights = rows[:, None] * columns[None] * mask
        return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))

    return (
        mean(kernel(z, z), weight, weight, same)
        + mean(kernel(prior_z, prior_z), across, across, same)
        - 2.0 * mean(kernel(z, prior_z), weight, across)
    )
