"""Priors: p(z)."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import checks

tfd = tfp.distributions
register = keras.saving.register_keras_serializable(package="keras_vae")


class Prior(keras.layers.Layer):
    """Base of the priors: a layer without input that returns p(z).

    A subclass implements `distribution`.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)

    def distribution(self):
        """Returns p(z) with batch shape `()` and event shape `(latent_dim,)`."""
        raise NotImplementedError

    def build(self, input_shape=None):
        super().build(input_shape)

    def __call__(self):
        # A Keras layer call needs an input, and a prior has none.
        return self.distribution()

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim}


@register
class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    def distribution(self):
        zeros = tf.zeros((self.latent_dim,))
        return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), reinterpreted_batch_ndims=1)
