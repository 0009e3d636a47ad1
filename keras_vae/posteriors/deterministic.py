"""The posterior of a plain autoencoder: a point."""

import tensorflow_probability as tfp

from keras_vae.posteriors.head import Posterior, register

tfd = tfp.distributions


@register
class Deterministic(Posterior):
    """q(z|x) = all mass at one code: the plain autoencoder, with the objective `Reconstruction`.

    It has no density, so its KL from a prior is infinite and the ELBO says nothing of it.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    @property
    def num_parameters(self) -> int:
        return self.latent_dim

    def distribution(self, parameters):
        return tfd.Independent(tfd.Deterministic(parameters), reinterpreted_batch_ndims=1)
