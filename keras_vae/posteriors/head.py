"""`Posterior` and `ScaledPosterior`, the bases of the posterior heads."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions import softplus
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, checked
from keras_vae.utils.part import Part

register = keras.saving.register_keras_serializable(package="keras_vae.posteriors")


class Posterior(Part):
    """Base of the posterior heads: projects features to parameters and makes a distribution of them.

    A subclass sets `num_parameters` and implements `distribution`.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    # Whether q(z|x) has a density. Without one there is no KL, no ELBO and no bound of log p(x).
    has_density = True
    # Whether q(z|x) of one example can be evaluated at the codes of another, as a VampPrior and `split_kl` do.
    has_density_at_other_codes = True

    @checked
    def __init__(self, latent_dim: PositiveInt, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)
        # The dimension of each stochastic layer, z_1 first.
        self.latent_dims: tuple[int, ...] = (self.latent_dim,)

    @property
    def num_parameters(self) -> int:
        """Number of parameters of the distribution of one z."""
        raise NotImplementedError

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of one draw for each input, `(None, latent_dim)`, which `keras.Model.summary` shows."""
        return (None, self.latent_dim)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns q(z|x) with event shape `(latent_dim,)` from float32 `parameters` `(batch, num_parameters)`."""
        raise NotImplementedError

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # The head computes in float32 under mixed precision too, because a density in half precision overflows.
        self._flatten = keras.layers.Flatten(data_format="channels_last")
        self._projection = keras.layers.Dense(self.num_parameters, dtype="float32", name="parameters")
        self._projection.build(self._flatten.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tfd.Distribution:
        return self.distribution(self._projection(tf.cast(self._flatten(features), tf.float32)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_dim": self.latent_dim}


class ScaledPosterior(Posterior):
    """Base of the heads with a scale, which is softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the scale, positive; it keeps log q finite.
    """

    @checked
    def __init__(self, latent_dim: PositiveInt, min_scale: PositiveFloat = 1e-4, **kwargs: Any) -> None:
        super().__init__(latent_dim, **kwargs)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    def divide(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the location `(batch, latent_dim)` and the raw numbers that the scale is made of."""
        # TFLite skips a slice that nobody reads, but would compute both outputs of `tf.split`.
        return parameters[..., : self.latent_dim], parameters[..., self.latent_dim :]

    def scale(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns positive scales, 1 + min_scale for `raw` = 0."""
        return softplus.scale(raw, self.min_scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "min_scale": self.min_scale}
