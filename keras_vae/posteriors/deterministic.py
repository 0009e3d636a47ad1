"""The posterior of a plain autoencoder, which is a single point."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.posteriors.head import Posterior, register


@register
class Deterministic(Posterior):
    """q(z|x) has all its mass at one code, as in a plain autoencoder with the objective `Reconstruction`.

    It has no density, so that its KL from a prior is infinite and its ELBO says nothing.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
    """

    has_density = has_density_at_other_codes = False

    @property
    def num_parameters(self) -> int:
        return self.latent_shape[-1]

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        return tfd.Independent(tfd.Deterministic(parameters), len(self.latent_shape))
