"""Objectives that compare the aggregate posterior of a batch with the prior, and one without a prior."""

import math
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.sampling import draw_rows
from keras_vae.objectives import terms
from keras_vae.objectives.objective import LatentBatch, Objective, Terms, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import NonNegativeFloat, PositiveFloat, PositiveInt64, checked


@register
class BetaTCVAE(Objective):
    """`log p(x|z) - kl_weight * (I(z; n) + beta * TC + sum_d KL_d)`, the beta-TCVAE.

    Chen, Li, Grosse and Duvenaud (2018), equation 4; the three terms are estimated by minibatch-weighted sampling, and
    their sum is the KL. Posterior and prior must factorize.

    Args:
      dataset_size: number of training examples, a positive integer. It shifts the loss by a constant, (beta - 1)
        (latent_dim - 1) log(dataset_size), and has no part in the gradient.
      beta: weight of the total correlation, at least 0.
    """

    @checked
    def __init__(self, dataset_size: PositiveInt64, beta: NonNegativeFloat = 6.0) -> None:
        self.dataset_size = int(dataset_size)
        self.beta = checks.nonnegative_float("beta", beta)

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        terms.kl_per_dimension(batch.posterior, batch.prior)  # this raises an error if they do not factorize
        z = batch.draw()
        log_likelihood = batch.log_likelihood(z)
        information, correlation, dimensions = terms.total_correlation_terms(
            batch.posterior, batch.prior, z, self.dataset_size, batch.weight
        )
        penalty = information + self.beta * correlation + dimensions
        kl = terms.kl_divergence(batch.posterior, batch.prior, z)
        return Terms(log_likelihood - kl_weight * penalty, {"log_likelihood": log_likelihood, "kl": kl})

    def get_config(self) -> dict[str, Any]:
        return {"dataset_size": self.dataset_size, "beta": self.beta}


@register
class WAE(Objective):
    """`log p(x|z) - kl_weight * weight * MMD(q(z), p(z))`: the Wasserstein autoencoder with the MMD penalty.

    Tolstikhin, Bousquet, Gelly and Schoelkopf (2018), algorithm 2. It is the aggregate posterior that is matched to the
    prior, and not the posterior of each example.

    Args:
      weight: factor on the MMD, positive. It should be large, because log p(x|z) is a sum over all pixels, while the
        MMD is a number of order 1.
    """

    @checked
    def __init__(self, weight: PositiveFloat = 100.0) -> None:
        self.weight = checks.positive_float("weight", weight)

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        z = batch.draw()
        log_likelihood = batch.log_likelihood(z)
        prior_z = draw_rows(batch.prior, batch.noise, z.shape[0] or tf.shape(z)[0])
        penalty = terms.maximum_mean_discrepancy(z, prior_z, batch.weight)
        kl = terms.kl_divergence(batch.posterior, batch.prior, z)
        return Terms(log_likelihood - kl_weight * self.weight * penalty, {"log_likelihood": log_likelihood, "kl": kl})

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight}


@register
class Reconstruction(Objective):
    """`log p(x|z)` alone, the objective of a plain autoencoder; with a unit Gaussian it is the squared distance.

    KL and ELBO are still reported; for a `Deterministic` posterior they are infinite.
    """

    needs_density = False

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        z = batch.draw()
        log_likelihood = batch.log_likelihood(z)
        if terms.is_deterministic(batch.posterior):
            kl = tf.fill(tf.shape(log_likelihood), math.inf)
        else:
            kl = terms.kl_divergence(batch.posterior, batch.prior, z)
        return Terms(log_likelihood, {"log_likelihood": log_likelihood, "kl": kl})

    def kl_method(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> str:
        return "none"
