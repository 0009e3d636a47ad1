"""`Objective`, the base of the objectives, and the `LatentBatch` and `Terms` that go into and come out of one."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.noise import MultiSampleNoise, NoiseSource
from keras_vae.distributions.sampling import draw
from keras_vae.engine import strategies
from keras_vae.objectives.terms import kl_method
from keras_vae.utils.in_use import InUse

register = keras.saving.register_keras_serializable(package="keras_vae.objectives")


class Terms(NamedTuple):
    """What an objective returns.

    Attributes:
      objective: what training maximizes, `(batch,)` in nats.
      metrics: what is logged, each `(batch,)` under a name of `Objective.metrics`. The step adds `loss` and
        `kl_weight`, and `elbo`, the difference of `log_likelihood` and `kl`.
    """

    objective: tf.Tensor
    metrics: dict[str, tf.Tensor]


class LatentBatch:
    """One encoded batch, from which an objective draws z and decodes; with several replicas, the rows of this one.

    Attributes:
      posterior: q(z|x), batch shape `(batch,)`.
      prior: p(z), batch shape `()`, or `(batch,)` if it is p(z|c).
      noise: source of base noise.
      weight: weight of each example in the mean over the batch, `(batch,)`.
      step: training step, integer scalar.
      total_weight: the sum of the weights over the batch, in all replicas.
    """

    def __init__(
        self,
        posterior: tfd.Distribution,
        prior: tfd.Distribution,
        noise: NoiseSource | None,
        log_likelihood: Callable[[tf.Tensor], tf.Tensor],
        weight: tf.Tensor | None = None,
        step: tf.Tensor | int = 0,
    ) -> None:
        self.posterior = posterior
        self.prior = prior
        self.noise: Any = noise
        self.log_likelihood = log_likelihood
        self.weight = weight
        self.step = step
        self.total_weight = None if weight is None else strategies.over_replicas(tf.reduce_sum(weight))

    def draw(self, num_samples: int | None = None) -> tf.Tensor:
        """Returns z `(batch, *latent_shape)`, or `(num_samples, batch, *latent_shape)`."""
        if num_samples is None:
            return draw(self.posterior, self.noise)
        return draw(self.posterior, MultiSampleNoise(self.noise), (num_samples,))

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the weighted mean over the first axis and over all replicas."""
        return strategies.over_replicas(self.share(values))

    def share(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the share of this replica in the weighted mean over the first axis, the sum of all shares."""
        weight = tf.reshape(self.weight, [-1] + [1] * (values.shape.rank - 1))
        # An example of weight 0 must not count, even if its value is infinite and the product would be NaN.
        weighted = tf.math.multiply_no_nan(values, weight)
        return tf.math.divide_no_nan(tf.reduce_sum(weighted, axis=0), self.total_weight)


class Objective(InUse):
    """Base of the objectives: a function of a `LatentBatch` and the KL weight that returns `Terms`."""

    # Whether q(z|x) must have a density.
    needs_density = True
    # The names of what it logs: E_q[log p(x|z)] as estimated, and KL(q(z|x) || p(z)). A subclass may add others.
    metrics: tuple[str, ...] = ("log_likelihood", "kl")

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        """Returns the terms of each example."""
        raise NotImplementedError

    def kl_method(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> str:
        """Returns how the KL in the objective is computed: "analytic", "monte_carlo" or "none"."""
        return kl_method(posterior, prior)

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the objective with these arguments."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{k: deserialize(v) if isinstance(v, dict) else v for k, v in config.items()})
