"""Likelihood heads: features -> p(x|z)."""

import math

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import checks

tfd = tfp.distributions
register = keras.saving.register_keras_serializable(package="keras_vae")


class Likelihood(keras.layers.Layer):
    """Base of the likelihood heads: projects features to parameters and makes a distribution of them.

    Feature maps `(batch, height, width, filters)` of the data's own height and width are projected by a 3x3
    convolution, anything else is flattened and projected by a dense layer. A subclass implements `distribution`, and
    names its `support`, the range of x, and its `mean_range`, the range of the mean of p(x|z) (None: unbounded).

    Args:
      event_shape: shape of one x, for example `(28, 28, 1)`.
    """

    support = (-math.inf, math.inf)
    mean_range: tuple[float, float] | None = None

    def __init__(self, event_shape, **kwargs):
        super().__init__(**kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)

    def distribution(self, parameters: tf.Tensor):
        """Returns p(x|z) with event shape `event_shape` from float32 `parameters` `(batch, *event_shape)`."""
        raise NotImplementedError

    def bias_for_mean(self, mean: np.ndarray) -> np.ndarray:
        """Returns the parameters at which p(x|z) has the mean `mean`, both of shape `event_shape`."""
        raise NotImplementedError

    def build(self, input_shape):
        # float32 whatever the trunk computes in: a density in half precision overflows.
        self._is_map = len(input_shape) == 4 and tuple(input_shape[1:3]) == self.event_shape[:2]
        if self._is_map:
            self._projection = keras.layers.Conv2D(
                self.event_shape[-1], 3, padding="same", dtype="float32", name="parameters"
            )
            self._projection.build(input_shape)
        else:
            self._flatten = keras.layers.Flatten()
            self._projection = keras.layers.Dense(math.prod(self.event_shape), dtype="float32", name="parameters")
            self._projection.build(self._flatten.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, features):
        if not self._is_map:
            features = self._flatten(features)
        parameters = self._projection(tf.cast(features, tf.float32))
        return self.distribution(tf.reshape(parameters, (-1, *self.event_shape)))

    def adapt(self, mean: np.ndarray) -> None:
        """Sets the output bias so that training starts from the mean of the data.

        Args:
          mean: mean of the training set, shape `event_shape`. A convolutional projection takes its mean per channel.
        """
        bias = self.bias_for_mean(np.asarray(mean, np.float32).reshape(self.event_shape))
        bias = bias.mean(axis=(0, 1)) if self._is_map else bias.reshape(-1)
        self._projection.bias.assign(bias)

    def validate(self, x: np.ndarray) -> None:
        """Raises `ValueError` if `x` holds a value that is not finite or lies outside `support`."""
        low, high = float(np.min(x)), float(np.max(x))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("`x` must be finite. Received: x with NaN or infinite values")
        if low < self.support[0] or high > self.support[1]:
            raise ValueError(
                f"`x` must lie in [{self.support[0]:g}, {self.support[1]:g}], the support of the likelihood "
                f"{type(self).__name__}. Received: x with values from {low:g} to {high:g}. "
                "Rescale the data (8-bit images: divide by 255) or choose another likelihood"
            )

    def get_config(self):
        return {**super().get_config(), "event_shape": list(self.event_shape)}


class _BernoulliLogits(tfd.Bernoulli):
    """`tfd.Bernoulli` with `log p(x) = x l - softplus(l)`: one softplus where TFP takes two."""

    def _log_prob(self, event):
        logits = self.logits_parameter()
        return tf.cast(event, logits.dtype) * logits - tf.nn.softplus(logits)


@register
class Bernoulli(Likelihood):
    """p(x|z) = prod_i p_i^x_i (1 - p_i)^(1 - x_i), with logit(p) the projected features.

    For binary x this is a probability mass in nats. Values between 0 and 1 are accepted, but the number is then no
    likelihood and not comparable with any binarised figure.

    Args:
      event_shape: shape of one x.
    """

    support = (0.0, 1.0)
    mean_range = (0.0, 1.0)

    def distribution(self, parameters):
        return tfd.Independent(_BernoulliLogits(logits=parameters, dtype=tf.float32), len(self.event_shape))

    def bias_for_mean(self, mean):
        # 1e-2 away from 0 and 1: pixels that never change must not start with a logit that gradients cannot move.
        p = 0.01 + 0.98 * np.clip(mean, 0.0, 1.0)
        return np.log(p) - np.log1p(-p)


@register
class Gaussian(Likelihood):
    """p(x|z) = N(x; loc, scale^2 I), with loc the projected features and a fixed scale.

    With scale 1 its log density is minus half the squared distance minus a constant:
    `log p(x|z) = -0.5 ||x - loc||^2 - (D / 2) log(2 pi)`, D the number of values in x.

    Args:
      event_shape: shape of one x.
      scale: standard deviation of every value, positive.
    """

    def __init__(self, event_shape, scale: float = 1.0, **kwargs):
        super().__init__(event_shape, **kwargs)
        self.scale = checks.positive_float("scale", scale)

    def distribution(self, parameters):
        return tfd.Independent(tfd.Normal(parameters, self.scale), len(self.event_shape))

    def bias_for_mean(self, mean):
        return mean

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
