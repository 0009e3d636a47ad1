"""Likelihoods of values in [0, 1]: Bernoulli for binary ones, continuous Bernoulli for real ones, such as gray."""

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.bernoulli import _Bernoullis, _ContinuousBernoulliLogits
from keras_vae.likelihoods.head import Likelihood, inner_mean, invert, register


@register
class Bernoulli(Likelihood):
    """p(x|z) = prod_i p_i^x_i (1 - p_i)^(1 - x_i), with logit(p) the projected features.

    For binary x its logarithm is that of a probability, in nats. Values between 0 and 1 are accepted, but the number is
    then no likelihood, and not comparable with that of binarized data; `ContinuousBernoulli` is a density for them.

    Args:
      event_shape: shape of one x.
    """

    is_density = False
    has_logits = True
    support = (0.0, 1.0)
    mean_range = (0.0, 1.0)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        each = tfd.Bernoulli(logits=tf.squeeze(parameters, -1), dtype=tf.float32)
        return _Bernoullis(each, len(self.event_shape))

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        p = inner_mean(mean)
        return (np.log(p) - np.log1p(-p))[..., None]


@register
class ContinuousBernoulli(Likelihood):
    """p(x|z) = prod_i C(l_i) exp(l_i x_i) on [0, 1], with l the projected features: a density for gray images.

    C is the factor by which the formula of the Bernoulli must be multiplied to integrate to 1 over [0, 1]
    (Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019, equation 5).

    Args:
      event_shape: shape of one x.
    """

    support = (0.0, 1.0)
    mean_range = (0.0, 1.0)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        return self._independent(_ContinuousBernoulliLogits(logits=tf.squeeze(parameters, -1)))

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        def mean_of(logits):
            size = np.maximum(np.abs(logits), 1e-3)
            above = -1.0 / np.expm1(-size) - 1.0 / size
            return np.where(logits > 0, above, 1.0 - above)

        return invert(mean_of, inner_mean(mean), bound=200.0)[..., None]
