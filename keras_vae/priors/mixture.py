"""A mixture of Gaussians as the prior."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions import softplus
from keras_vae.distributions.mixture import MixtureOfNormals
from keras_vae.priors.prior import Prior, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, LatentDim, PositiveFloat, PositiveInt, checked


@register
class MixtureOfGaussians(Prior):
    """p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)), with learned weights, means and scales.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
      num_components: number of components, a positive integer.
      min_scale: floor of the standard deviations, positive.
    """

    @checked
    def __init__(
        self, latent_dim: LatentDim, num_components: PositiveInt = 10, min_scale: PositiveFloat = 1e-3, **kwargs: Any
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        self.num_components = checks.positive_int("num_components", num_components)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (self.num_components, *self.latent_shape)
        self.logits = self.add_weight(name="logits", shape=shape[:1], initializer="zeros", dtype="float32")
        self.loc = self.add_weight(
            name="loc", shape=shape, initializer=keras.initializers.RandomNormal(stddev=1.0), dtype="float32"
        )
        self.raw_scale = self.add_weight(name="raw_scale", shape=shape, initializer="zeros", dtype="float32")
        super().build(input_shape)

    def distribution(self) -> tfd.Distribution:
        scale = softplus.scale(self.raw_scale, self.min_scale)
        normals = tfd.Normal(tf.convert_to_tensor(self.loc), scale)
        components = tfd.Independent(normals, len(self.latent_shape))
        return MixtureOfNormals(tfd.Categorical(logits=tf.convert_to_tensor(self.logits)), components)

    @checked
    def set_mixture(self, weights: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> None:
        """Sets weights `(components,)` that sum to 1, means and standard deviations `(components, *latent_shape)`."""
        self.logits.assign(np.log(weights))
        self.loc.assign(loc)
        self.raw_scale.assign(softplus.raw_of_scale(scale, self.min_scale))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components, "min_scale": self.min_scale}
