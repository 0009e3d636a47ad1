"""Posterior heads: features -> q(z|x)."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import checks

tfd = tfp.distributions
register = keras.saving.register_keras_serializable(package="keras_vae")

# softplus(UNIT) = 1: a head that outputs zeros starts at scale 1.
UNIT = 0.5413248546129181


class Posterior(keras.layers.Layer):
    """Base of the posterior heads: projects features to parameters and makes a distribution of them.

    A subclass sets `num_parameters` and implements `distribution`.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)

    @property
    def num_parameters(self) -> int:
        """How many numbers the head needs for one z."""
        raise NotImplementedError

    def distribution(self, parameters: tf.Tensor):
        """Returns q(z|x) with event shape `(latent_dim,)` from float32 `parameters` `(batch, num_parameters)`."""
        raise NotImplementedError

    def build(self, input_shape):
        # float32 whatever the trunk computes in: a density in half precision overflows.
        self._flatten = keras.layers.Flatten()
        self._projection = keras.layers.Dense(self.num_parameters, dtype="float32", name="parameters")
        self._projection.build(self._flatten.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, features):
        return self.distribution(self._projection(tf.cast(self._flatten(features), tf.float32)))

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim}


@register
class DiagonalGaussian(Posterior):
    """q(z|x) = N(loc, diag(scale^2)), with scale = softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the standard deviation, positive; keeps log q finite.
    """

    def __init__(self, latent_dim: int, min_scale: float = 1e-4, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    @property
    def num_parameters(self) -> int:
        return 2 * self.latent_dim

    def distribution(self, parameters):
        loc, raw_scale = tf.split(parameters, 2, axis=-1)
        scale = tf.nn.softplus(raw_scale + UNIT) + self.min_scale
        return tfd.Independent(tfd.Normal(loc, scale), reinterpreted_batch_ndims=1)

    def get_config(self):
        return {**super().get_config(), "min_scale": self.min_scale}
