"""The Laplace posterior."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.posteriors.head import ScaledPosterior, register


@register
class Laplace(ScaledPosterior):
    """q(z|x) = prod_d exp(-|z_d - loc_d| / scale_d) / (2 scale_d), with scale = softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
      min_scale: floor of the scale, positive.
    """

    @property
    def num_parameters(self) -> int:
        return 2 * self.latent_shape[-1]

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        loc, raw_scale = self.divide(parameters)
        return tfd.Independent(tfd.Laplace(loc, self.scale(raw_scale)), len(self.latent_shape))
