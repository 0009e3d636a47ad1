"""The standard normal prior."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.priors.prior import Prior, register


@register
class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    is_standard_normal = True

    def distribution(self) -> tfd.Distribution:
        zeros = tf.zeros(self.latent_shape)
        return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), len(self.latent_shape))
