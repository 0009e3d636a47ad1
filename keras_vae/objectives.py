"""Objectives as pure functions: distributions in, `(batch,)` nats out."""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def kl_method(posterior, prior) -> str:
    """Returns "analytic" where TFP has a closed form of KL(posterior || prior), else "monte_carlo"."""
    try:
        tfd.kl_divergence(posterior, prior)
    except NotImplementedError:
        return "monte_carlo"
    return "analytic"


def kl_divergence(posterior, prior, z: tf.Tensor) -> tf.Tensor:
    """KL(q(z|x) || p(z)) in nats, at least 0 when analytic.

    The closed form of `tfd.kl_divergence` where there is one, else the estimate `log q(z|x) - log p(z)`.

    Args:
      posterior: q(z|x), batch shape `(batch,)`.
      prior: p(z), batch shape `()`.
      z: a sample of `posterior`, `(batch, latent_dim)`; used by the estimate only.

    Returns:
      Tensor of shape `(batch,)`.
    """
    if kl_method(posterior, prior) == "analytic":
        return tfd.kl_divergence(posterior, prior)
    return posterior.log_prob(z) - prior.log_prob(z)


def elbo(log_likelihood: tf.Tensor, kl: tf.Tensor, kl_weight=1.0) -> tf.Tensor:
    """Evidence lower bound `log p(x|z) - kl_weight * KL(q(z|x) || p(z))` in nats, higher is better.

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


def log_weight(log_likelihood: tf.Tensor, posterior, prior, z: tf.Tensor) -> tf.Tensor:
    """Log importance weight `log p(x|z) + log p(z) - log q(z|x)` in nats; its mean over q is the ELBO.

    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders" (2016), equation 8.

    Args:
      log_likelihood: log p(x|z), `(..., batch)`.
      posterior: q(z|x), batch shape `(batch,)`.
      prior: p(z), batch shape `()`.
      z: samples of `posterior`, `(..., batch, latent_dim)`.

    Returns:
      Tensor of shape `(..., batch)`.
    """
    return log_likelihood + prior.log_prob(z) - posterior.log_prob(z)
