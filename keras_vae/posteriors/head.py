"""`Posterior` and `ScaledPosterior`, the bases of the posterior heads."""

import math
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions import softplus
from keras_vae.utils import checks
from keras_vae.utils.arguments import LatentDim, PositiveFloat, checked
from keras_vae.utils.part import Part

register = keras.saving.register_keras_serializable(package="keras_vae.posteriors")


class Posterior(Part):
    """Base of the posterior heads: projects features to parameters and makes a distribution of them.

    z is a vector of shape `(latent_dim,)`, or has places, for example of shape `(height, width, channels)`. Features
    that have the same places, as feature maps `(batch, height, width, filters)`, are projected place by place. All
    others are flattened. A subclass sets `num_parameters` and implements `distribution`.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.

    Attributes:
      latent_shape: shape of one z, a tuple.
      latent_dim: number of values in one z.
    """

    # Whether q(z|x) has a density. Without one there is no KL, no ELBO and no bound of log p(x).
    has_density = True
    # Whether q(z|x) of one example can be evaluated at the codes of another, as a VampPrior and `split_kl` do.
    has_density_at_other_codes = True

    @checked
    def __init__(self, latent_dim: LatentDim, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latent_shape = checks.latent_shape(latent_dim)
        self.latent_dim = math.prod(self.latent_shape)
        # The dimension of each stochastic layer, z_1 first.
        self.latent_dims: tuple[int, ...] = (self.latent_dim,)

    @property
    def num_parameters(self) -> int:
        """Number of parameters at each place of z; a vector has one place, so that it is their number for all of z."""
        raise NotImplementedError

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of one draw for each input, `(None, *latent_shape)`, which `keras.Model.summary` shows."""
        return (None, *self.latent_shape)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns q(z|x) with event shape `latent_shape`.

        Args:
          parameters: float32 `(batch, *latent_shape[:-1], num_parameters)`.
        """
        raise NotImplementedError

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # The head computes in float32 under mixed precision too, because a density in half precision overflows.
        places = self.latent_shape[:-1]
        self._is_map = bool(places) and tuple(input_shape[1:-1]) == places
        count = self.num_parameters if self._is_map else math.prod(places) * self.num_parameters
        self._projection = keras.layers.Dense(count, dtype="float32", name="parameters")
        if not self._is_map:
            self._flatten = keras.layers.Flatten(data_format="channels_last")
            input_shape = self._flatten.compute_output_shape(input_shape)
        self._projection.build(input_shape)
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tfd.Distribution:
        return self.distribution(self.project(features))

    def project(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the parameters of `distribution`, a linear function of the features."""
        if self._is_map:
            return self._projection(tf.cast(features, tf.float32))
        parameters = self._projection(tf.cast(self._flatten(features), tf.float32))
        places = self.latent_shape[:-1]
        return tf.reshape(parameters, (-1, *places, self.num_parameters)) if places else parameters

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_dim": checks.latent_dim_of(self.latent_shape)}


class ScaledPosterior(Posterior):
    """Base of the heads with a scale, which is softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
      min_scale: floor of the scale, positive; it keeps log q finite.
    """

    @checked
    def __init__(self, latent_dim: LatentDim, min_scale: PositiveFloat = 1e-4, **kwargs: Any) -> None:
        super().__init__(latent_dim, **kwargs)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    def divide(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the location `(batch, *latent_shape)` and the raw numbers that the scale is made of."""
        # TFLite skips a slice that nobody reads, but would compute both outputs of `tf.split`.
        channels = self.latent_shape[-1]
        return parameters[..., :channels], parameters[..., channels:]

    def scale(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns positive scales, 1 + min_scale for `raw` = 0."""
        return softplus.scale(raw, self.min_scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "min_scale": self.min_scale}
