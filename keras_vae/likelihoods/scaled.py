"""Real values: a location and a scale."""

from typing import Literal

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import checks, positive
from keras_vae.arguments import PositiveFloat, Shape, checked
from keras_vae.likelihoods.head import Likelihood, register

tfd = tfp.distributions


class ScaledLikelihood(Likelihood):
    """Base of the heads with a location and a scale.

    Args:
      event_shape: shape of one x.
      scale: a positive number: fixed; "shared": one learned scale for all values; "per_value": a function of z for each
        value. Learned scales are softplus(.) + min_scale and start at 1.
      min_scale: floor of a learned scale, positive. A density has no upper bound: values that can be predicted exactly
        drive a learned scale to this floor.
    """

    @checked
    def __init__(
        self,
        event_shape: Shape,
        scale: PositiveFloat | Literal["shared", "per_value"] = 1.0,
        min_scale: PositiveFloat = 1e-3,
        **kwargs,
    ):
        super().__init__(event_shape, **kwargs)
        self.scale = scale if scale in ("shared", "per_value") else checks.positive_float("scale", scale)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    @property
    def num_parameters(self) -> int:
        return 2 if self.scale == "per_value" else 1

    def build(self, input_shape):
        if self.scale == "shared":
            self.raw_scale = self.add_weight(
                name="raw_scale", shape=(), initializer="zeros", dtype="float32", autocast=False
            )
        super().build(input_shape)

    def loc_and_scale(self, parameters):
        """Returns location `(batch, *event_shape)` and scale, a scalar where one is shared by all values."""
        if self.scale == "per_value":
            return parameters[..., 0], positive.scale(parameters[..., 1], self.min_scale)
        shared = self.scale == "shared"
        return tf.squeeze(parameters, -1), positive.scale(self.raw_scale, self.min_scale) if shared else self.scale

    def initial_parameters(self, mean):
        return np.stack([mean] + [np.zeros_like(mean)] * (self.num_parameters - 1), axis=-1)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "min_scale": self.min_scale}


@register
class Gaussian(ScaledLikelihood):
    """p(x|z) = N(x; loc, diag(scale^2)), with loc the projected features.

    With scale 1 its log density is minus half the squared distance minus a constant:
    `log p(x|z) = -0.5 ||x - loc||^2 - (D / 2) log(2 pi)`, D the number of values in x. With scale "shared" it is the
    sigma-VAE of Rybkin et al., "Simple and effective VAE training with calibrated decoders" (2021).

    Args:
      event_shape: shape of one x.
      scale: a positive number, "shared" or "per_value"; see `ScaledLikelihood`.
      min_scale: floor of a learned scale, positive.
    """

    def distribution(self, parameters):
        return self._independent(tfd.Normal(*self.loc_and_scale(parameters)))


@register
class Laplace(ScaledLikelihood):
    """p(x|z) = prod_i exp(-|x_i - loc_i| / scale_i) / (2 scale_i): the absolute distance where the Gaussian squares it.

    Args:
      event_shape: shape of one x.
      scale: a positive number, "shared" or "per_value"; see `ScaledLikelihood`.
      min_scale: floor of a learned scale, positive.
    """

    def distribution(self, parameters):
        return self._independent(tfd.Laplace(*self.loc_and_scale(parameters)))
