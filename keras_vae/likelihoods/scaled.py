"""Likelihoods of real values, with a location and a scale."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions import softplus
from keras_vae.likelihoods.head import Likelihood, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveFloat, Shape, checked

# In each training step a shared scale goes this share of the way to its best value on the batch.
FOLLOW_RATE = 0.25
# A scale "per_value" starts at no less than this share of the mean variance over all values.
LEAST_SHARE = 0.1


class ScaledLikelihood(Likelihood):
    """Base of the heads with a location and a scale.

    The scale "shared" is one number for all values. Given the locations, its best value has a closed form:
    `scale^p = E[|x - loc|^p]`, with p = 2 for the Gaussian and 1 for the Laplace (Rybkin et al., 2021, section 3.2). In
    `fit` it is therefore not left to the optimizer: each step moves scale^p a quarter of the way to the best value on
    the batch. With Adam's steps of 1e-3 it would take hundreds of epochs of a small data set to get from 1 to the size
    of the residuals. In a training loop of your own the scale is a weight with a gradient like any other.

    The scale keeps a noise of a few percent if a batch holds few values, fewer than about 64 in all its examples
    together. If an objective of your own divides the log likelihood by a number, the scale follows as many times more
    slowly.

    Args:
      event_shape: shape of one x.
      scale: a positive number is a fixed scale; "shared" is one learned scale for all values; "per_value" is a learned
        function of z for each value. Learned scales are softplus(.) + min_scale. They start at 1, or after `adapt` at
        the standard deviation of the data, for "shared" over all values together and for "per_value" of each value.
      min_scale: floor of a learned scale, positive. A density has no upper bound, so values that can be predicted
        exactly drive a learned scale to this floor.
    """

    # This is the exponent p of the closed form.
    power = 2
    # This is the standard deviation of the distribution at scale 1.
    unit_deviation = 1.0

    @checked
    def __init__(
        self,
        event_shape: Shape,
        scale: PositiveFloat | Literal["shared", "per_value"] = 1.0,
        min_scale: PositiveFloat = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, **kwargs)
        self.scale = scale if scale in ("shared", "per_value") else checks.positive_float("scale", scale)
        self.min_scale = float(min_scale)

    @property
    def num_parameters(self) -> int:
        return 2 if self.scale == "per_value" else 1

    @property
    def learns_scale(self) -> bool:  # type: ignore[override]
        return self.scale in ("shared", "per_value")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.scale == "shared":
            self.raw_scale = self.add_weight(
                name="raw_scale",
                shape=(),
                initializer="zeros",
                dtype="float32",
                autocast=False,
                # Each replica assigns the same value, so that there is nothing to sum or to average.
                aggregation="only_first_replica",
            )
        super().build(input_shape)

    def loc_and_scale(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns location `(batch, *event_shape)` and scale, which is a scalar unless it is "per_value"."""
        if self.scale == "per_value":
            return parameters[..., 0], softplus.scale(parameters[..., 1], self.min_scale)
        shared = self.scale == "shared"
        return tf.squeeze(parameters, -1), softplus.scale(self.raw_scale, self.min_scale) if shared else self.scale

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        return np.stack([mean] + [np.zeros_like(mean)] * (self.num_parameters - 1), axis=-1)

    def adapt(self, mean: np.ndarray, deviation: np.ndarray | None = None) -> None:
        """Sets the output bias so that training starts from the mean and the standard deviation of the data.

        Args:
          mean: mean of the training set, shape `event_shape`.
          deviation: standard deviation of each value around the mean, at which a learned scale starts; None leaves the
            scale at 1.
        """
        super().adapt(mean)
        if deviation is None or not self.learns_scale:
            return
        variance = np.square(np.asarray(deviation, np.float64)).reshape(self.event_shape)
        if self.scale == "shared":
            self.raw_scale.assign(self._raw_of_variance(variance.mean()))
            return
        if self._is_map:
            variance = np.broadcast_to(variance.mean(axis=(0, 1)), self.event_shape)
        # The random kernel moves the first locations off the mean. A value that never changes would start with a tiny
        # scale, under which that small distance is very improbable, so the variance has a floor.
        variance = np.maximum(variance, min(1.0, LEAST_SHARE * variance.mean()))
        parameters = self.initial_parameters(np.asarray(mean, np.float32).reshape(self.event_shape))
        parameters[..., 1] = self._raw_of_variance(variance)
        self._assign_bias(parameters)

    def _raw_of_variance(self, variance):
        return softplus.raw_of_scale(np.sqrt(variance) / self.unit_deviation, self.min_scale).numpy()

    def closed_form(
        self, gradient_of: Callable[[tf.Variable], tf.Tensor | None]
    ) -> list[tuple[tf.Variable, tf.Tensor]]:
        gradient = gradient_of(self.raw_scale) if self.scale == "shared" else None
        return [] if gradient is None else [(self.raw_scale, self._followed(gradient))]

    def _followed(self, gradient):
        """Returns raw_scale one step nearer to the best scale.

            d log p(x|z) / d log(scale) = sum_i (|x_i - loc_i|^p / scale^p - 1)

        The residuals are read off the gradient of the loss by raw_scale instead of x and loc, because the objective
        decides which examples and samples count, and how much.
        """
        raw = tf.convert_to_tensor(self.raw_scale)
        scale = softplus.scale(raw, self.min_scale)
        slope = tf.sigmoid(raw + softplus.UNIT) / scale  # d log(scale) / d raw
        excess = -gradient / (tf.maximum(slope, 1e-30) * math.prod(self.event_shape))
        # The maximum keeps the scale positive if an objective weighs the likelihood by more than 1.
        followed = scale * tf.maximum(1.0 + FOLLOW_RATE * excess, 0.5) ** (1.0 / self.power)
        # Training may go on after a gradient that is not finite, as it does under float16, so the scale is then kept.
        return tf.where(tf.math.is_finite(followed), softplus.raw_of_scale(followed, self.min_scale), raw)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "min_scale": self.min_scale}


@register
class Gaussian(ScaledLikelihood):
    """p(x|z) = N(x; loc, diag(scale^2)), with loc the projected features.

    With scale 1, `log p(x|z) = -0.5 ||x - loc||^2 - (D / 2) log(2 pi)` for D values in x: the squared distance of a
    plain autoencoder. With scale "shared" the model is the sigma-VAE of Rybkin et al., "Simple and effective VAE
    training with calibrated decoders" (2021).

    Args:
      event_shape: shape of one x.
      scale: a positive number, "shared" or "per_value"; see `ScaledLikelihood`.
      min_scale: floor of a learned scale, positive.
    """

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        return self._independent(tfd.Normal(*self.loc_and_scale(parameters)))


@register
class Laplace(ScaledLikelihood):
    """p(x|z) = prod_i exp(-|x_i - loc_i| / scale_i) / (2 scale_i): the absolute distance where the Gaussian squares it.

    Args:
      event_shape: shape of one x.
      scale: a positive number, "shared" or "per_value"; see `ScaledLikelihood`.
      min_scale: floor of a learned scale, positive.
    """

    power = 1
    unit_deviation = math.sqrt(2.0)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        return self._independent(tfd.Laplace(*self.loc_and_scale(parameters)))
