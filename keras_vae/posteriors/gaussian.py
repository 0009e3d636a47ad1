"""Gaussian posteriors: diagonal, isotropic and with a full covariance matrix."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd

from keras_vae.posteriors.head import ScaledPosterior, register
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, checked


@register
class DiagonalGaussian(ScaledPosterior):
    """q(z|x) = N(loc, diag(scale^2)), with scale = softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
      min_scale: floor of the standard deviation, positive; it keeps log q finite.
    """

    @property
    def num_parameters(self) -> int:
        return 2 * self.latent_shape[-1]

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        loc, raw_scale = self.divide(parameters)
        return tfd.Independent(tfd.Normal(loc, self.scale(raw_scale)), len(self.latent_shape))


@register
class IsotropicGaussian(ScaledPosterior):
    """q(z|x) = N(loc, scale^2 I), with one scale for all dimensions.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the standard deviation, positive.
    """

    @checked
    def __init__(self, latent_dim: PositiveInt, min_scale: PositiveFloat = 1e-4, **kwargs: Any) -> None:
        super().__init__(latent_dim, min_scale, **kwargs)

    @property
    def num_parameters(self) -> int:
        return self.latent_dim + 1

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        loc, raw_scale = self.divide(parameters)
        return tfd.Independent(tfd.Normal(loc, self.scale(raw_scale) * tf.ones_like(loc)), reinterpreted_batch_ndims=1)


class _FullNormal(tfd.MultivariateNormalTriL):
    """`tfd.MultivariateNormalTriL` with a standard deviation of row sums: TFLite cannot take the diagonal of L L^T."""

    def _stddev(self):
        return tf.linalg.norm(self.scale.to_dense(), axis=-1)


@register
class FullGaussian(ScaledPosterior):
    """q(z|x) = N(loc, L L^T), with L lower triangular and its diagonal softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the diagonal of L, positive.
    """

    @checked
    def __init__(self, latent_dim: PositiveInt, min_scale: PositiveFloat = 1e-4, **kwargs: Any) -> None:
        super().__init__(latent_dim, min_scale, **kwargs)

    @property
    def num_parameters(self) -> int:
        return self.latent_dim + self.latent_dim * (self.latent_dim + 1) // 2

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        loc, raw = self.divide(parameters)
        raw, eye = tfp.math.fill_triangular(raw), tf.eye(self.latent_dim)
        # The diagonal is taken and set by products with the unit matrix, because TFLite has no built-in for either.
        diagonal = self.scale(tf.reduce_sum(raw * eye, axis=-1))
        return _FullNormal(loc, raw * (1.0 - eye) + diagonal[..., None] * eye)
