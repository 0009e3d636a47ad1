"""The standard normal prior."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.priors.prior import Prior, register

tfd = tfp.distributions


@register
class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    def distribution(self):
        zeros = tf.zeros((self.latent_dim,))
        return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), reinterpreted_batch_ndims=1)
