"""Real values: a location and a scale."""

import math
from typing import Literal

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import softplus
from keras_vae.likelihoods.head import Likelihood, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveFloat, Shape, checked

tfd = tfp.distributions

# Share of the way to its optimum on the batch that a shared scale goes in a training step.
FOLLOW_RATE = 0.25
# Variance at which a scale of one value starts at least, as a share of the mean variance over all values.
LEAST_SHARE = 0.1


class ScaledLikelihood(Likelihood):
    """Base of the heads with a location and a scale.

    A scale "shared" by all values is a parameter whose best value, given the locations, has a closed form:
    `scale^p = E[|x - loc|^p]`, with p = 2 for the Gaussian and 1 for the Laplace (Rybkin et al., 2021, section 3.2). In
    `fit` it therefore follows the residuals in steps of its own, a quarter of the way in scale^p each, whatever the
    optimizer and its learning rate: at the 1e-3 of an Adam step it would take hundreds of epochs of a small data set
    to get from 1 to the residuals. In a training loop of your own it is a weight with a gradient like any other.

    The followed scale keeps noise of a few percent where a batch holds few values, fewer than about 64 in all its
    examples together. An objective of your own that divides the log-likelihood by a number makes it follow as many
    times more slowly.

    Args:
      event_shape: shape of one x.
      scale: a positive number: fixed; "shared": one learned scale for all values; "per_value": a function of z for each
        value. Learned scales are softplus(.) + min_scale. They start at 1, and after `adapt` at the deviation of the
        data from their mean: "shared" of all values together, "per_value" of each.
      min_scale: floor of a learned scale, positive. A density has no upper bound: values that can be predicted exactly
        drive a learned scale to this floor.
    """

    # The p of the closed form.
    power = 2
    # Standard deviation at scale 1.
    unit_deviation = 1.0

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

    @property
    def learns_scale(self) -> bool:
        return self.scale in ("shared", "per_value")

    def build(self, input_shape):
        if self.scale == "shared":
            self.raw_scale = self.add_weight(
                name="raw_scale",
                shape=(),
                initializer="zeros",
                dtype="float32",
                autocast=False,
                # Each replica sets it to the same value.
                aggregation="only_first_replica",
            )
        super().build(input_shape)

    def loc_and_scale(self, parameters):
        """Returns location `(batch, *event_shape)` and scale, a scalar where one is shared by all values."""
        if self.scale == "per_value":
            return parameters[..., 0], softplus.scale(parameters[..., 1], self.min_scale)
        shared = self.scale == "shared"
        return tf.squeeze(parameters, -1), softplus.scale(self.raw_scale, self.min_scale) if shared else self.scale

    def initial_parameters(self, mean):
        return np.stack([mean] + [np.zeros_like(mean)] * (self.num_parameters - 1), axis=-1)

    def adapt(self, mean: np.ndarray, deviation: np.ndarray | None = None) -> None:
        """Starts at the mean and the deviation of the data.

        Args:
          mean: mean of the training set, shape `event_shape`.
          deviation: standard deviation of each value around it, at which a learned scale starts; None leaves it at 1.
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
        # Locations start off the mean by the random kernel: a value that never changes must not be priced as certain.
        variance = np.maximum(variance, min(1.0, LEAST_SHARE * variance.mean()))
        parameters = self.initial_parameters(np.asarray(mean, np.float32).reshape(self.event_shape))
        parameters[..., 1] = self._raw_of_variance(variance)
        self._assign_bias(parameters)

    def _raw_of_variance(self, variance):
        return softplus.raw_of_scale(np.sqrt(variance) / self.unit_deviation, self.min_scale).numpy()

    def closed_form(self, gradient_of):
        gradient = gradient_of(self.raw_scale) if self.scale == "shared" else None
        return [] if gradient is None else [(self.raw_scale, self._followed(gradient))]

    def _followed(self, gradient):
        """Returns raw_scale one step on its way to the best scale, from the gradient of the loss by raw_scale.

            d log p(x|z) / d log(scale) = sum_i (|x_i - loc_i|^p / scale^p - 1)

        The objective decides which examples and samples count, and how much: the gradient has it all.
        """
        raw = tf.convert_to_tensor(self.raw_scale)
        scale = softplus.scale(raw, self.min_scale)
        slope = tf.sigmoid(raw + softplus.UNIT) / scale  # d log(scale) / d raw
        excess = -gradient / (tf.maximum(slope, 1e-30) * math.prod(self.event_shape))
        # An objective that weighs the likelihood by more than 1 must not make it negative.
        followed = scale * tf.maximum(1.0 + FOLLOW_RATE * excess, 0.5) ** (1.0 / self.power)
        # After a step that is not finite the optimizer may go on, as under float16.
        return tf.where(tf.math.is_finite(followed), softplus.raw_of_scale(followed, self.min_scale), raw)

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

    power = 1
    unit_deviation = math.sqrt(2.0)

    def distribution(self, parameters):
        return self._independent(tfd.Laplace(*self.loc_and_scale(parameters)))
