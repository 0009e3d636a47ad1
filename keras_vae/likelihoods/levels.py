"""Likelihoods of values on equally spaced levels, such as those of 8-bit images."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.levels import _DiscretizedLogistic, _LevelCategorical
from keras_vae.distributions.sampling import draw, full_shape
from keras_vae.distributions.softplus import UNIT, softplus
from keras_vae.likelihoods.head import Likelihood, inner_mean, invert, register
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, Shape, checked

# Scale of a new logistic mixture, in units of x.
START_SCALE = 0.1


def exponential_logits(mean: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns logits of a categorical over `values` `(k,)` whose mean is `mean`: `(*mean.shape, k)`.

    There are many such logits. These are linear in `values`, so the probabilities are exponential in them.
    """

    def mean_of(slope):
        logits = slope[..., None] * (values - 0.5)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return (weights * values).sum(axis=-1) / weights.sum(axis=-1)

    return invert(mean_of, inner_mean(mean), bound=200.0)[..., None] * (values - 0.5)


class Levels(Likelihood):
    """Base of the heads for x on equally spaced levels: `x * (num_levels - 1)` is an integer.

    Args:
      event_shape: shape of one x.
      num_levels: number of levels between 0 and 1, at least 2.
    """

    is_density = False
    support = (0.0, 1.0)
    mean_range = (0.0, 1.0)
    num_levels: int
    validates_each_value = True

    @checked
    def __init__(self, event_shape: Shape, num_levels: PositiveInt = 256, **kwargs: Any) -> None:
        super().__init__(event_shape, **kwargs)
        self.num_levels = int(num_levels)
        if num_levels < 2:
            raise ValueError(f"`num_levels` must be at least 2. Received: num_levels={num_levels!r}")

    def validate(self, x: np.ndarray) -> None:
        super().validate(x)
        position = np.asarray(x, np.float64) * (self.num_levels - 1)
        if np.abs(position - np.round(position)).max() > 1e-3:
            raise ValueError(
                f"`x` must lie on {self.num_levels} equally spaced levels from 0 to 1, the support of the likelihood "
                f"{type(self).__name__}. Received: x with values between them. "
                "Quantize the data, change num_levels, or choose a likelihood with a density"
            )

    def in_support(self, x: tf.Tensor) -> tf.Tensor:
        position = tf.cast(x, tf.float32) * (self.num_levels - 1)
        return self._in_range(x) & (tf.reduce_max(tf.abs(position - tf.round(position))) <= 1e-3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_levels": self.num_levels}


@draw.register(_LevelCategorical)
def _(distribution, noise, sample_shape=()):
    index = draw.dispatch(tfd.Categorical)(distribution, noise, sample_shape)
    return tf.cast(index, tf.float32) / (distribution.logits_parameter().shape[-1] - 1)


@register
class Categorical(Levels):
    """p(x|z) = prod_i softmax(l_i)[level of x_i]: a free probability for each level of each value.

    Args:
      event_shape: shape of one x.
      num_levels: number of levels between 0 and 1, at least 2.
    """

    has_logits = True

    @property
    def num_parameters(self) -> int:
        return self.num_levels

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        return self._independent(_LevelCategorical(logits=parameters, dtype=tf.float32))

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        return exponential_logits(mean, np.linspace(0.0, 1.0, self.num_levels))


@draw.register(_DiscretizedLogistic)
def _(distribution, noise, sample_shape=()):
    u = noise.uniform(full_shape(distribution, sample_shape))
    x = distribution.loc + distribution.scale * (tf.math.log(u) - tf.math.log(1.0 - u))
    steps = distribution.num_levels - 1
    return tf.round(tf.clip_by_value(x, 0.0, 1.0) * steps) / steps


@register
class DiscretizedLogisticMixture(Levels):
    """p(x|z) = prod_i sum_k w_ik [S((x_i + h - loc_ik) / s_ik) - S((x_i - h - loc_ik) / s_ik)], S the sigmoid.

    This is the likelihood of 8-bit images of Salimans et al., "PixelCNN++" (2017), equation 2, without its coupling of
    the color channels. h is half the step between levels; all mass below 0 and above 1 goes to the outer levels. It is
    a probability, so -log p(x|z) / (D log 2) is in bits/dim. Its mean is computed from the mixture clipped to [0, 1],
    before rounding to levels.

    Args:
      event_shape: shape of one x.
      num_levels: number of levels between 0 and 1, at least 2.
      num_components: number of logistics for each value, a positive integer.
      min_scale: floor of the scales, positive, in units of x.
    """

    @checked
    def __init__(
        self,
        event_shape: Shape,
        num_levels: PositiveInt = 256,
        num_components: PositiveInt = 5,
        min_scale: PositiveFloat = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, num_levels, **kwargs)
        self.num_components = int(num_components)
        self.min_scale = float(min_scale)

    @property
    def num_parameters(self) -> int:
        return 3 * self.num_components

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        logits, raw_loc, raw_scale = tf.split(parameters, 3, axis=-1)
        # Locations start spread over [0, 1], so that the components divide the range among themselves from the start.
        spread = (tf.range(self.num_components, dtype=tf.float32) + 0.5) / self.num_components
        scale = START_SCALE * softplus(raw_scale + UNIT) + self.min_scale
        components = _DiscretizedLogistic(raw_loc + spread, scale, self.num_levels)
        return self._independent(tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components))

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        # Only the weights of the components are set, as an exponential function of their means. Locations and scales
        # keep the values that they start with.
        loc, scale = (np.arange(self.num_components) + 0.5) / self.num_components, START_SCALE
        means = scale * (np.logaddexp(0.0, loc / scale) - np.logaddexp(0.0, (loc - 1.0) / scale))
        logits = exponential_logits(mean, means)
        return np.concatenate([logits, np.zeros_like(logits), np.zeros_like(logits)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components, "min_scale": self.min_scale}
