"""The settings of a model that may be changed after its construction, and when a change takes effect."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae import objectives
from keras_vae.objectives.schedules import Constant, Schedule, as_schedule
from keras_vae.utils.arguments import NoiseSeed, NonNegativeFloat, checked

# These cannot be replaced, because optimizer, compiled steps and other parts depend on their weights and shapes.
_FIXED = ("encoder", "decoder", "prior", "latent_shape", "latent_dim", "condition_dim", "event_shape")


class Settings(keras.Model):
    """Mixin of a model: `objective`, `kl_weight` and `seed` may be set at any time and hold from the next step on.

    A compiled step holds them as constants, so that setting one of them makes Keras trace the steps anew. The KL weight
    is an exception: once it was set to a number, it is read from a variable, so that a callback may set it in each
    epoch at the cost of one trace in all.
    """

    _check_parts: Callable[[objectives.Objective], None]
    renew_steps: Callable[[], None]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and hasattr(self, name):
            raise AttributeError(
                f"`{name}` of a model must not be replaced: its other parts were made for it. Make a new model"
            )
        super().__setattr__(name, value)

    @property
    def kl_weight(self) -> Schedule:
        """The factor on the KL term; setting a number makes it a `Constant`."""
        return self._kl_weight

    @kl_weight.setter
    @checked
    def kl_weight(self, kl_weight: NonNegativeFloat | Schedule) -> None:
        schedule = as_schedule("kl_weight", kl_weight).mark_in_use()
        if not hasattr(self, "_kl_weight"):
            first = tf.VariableAggregation.ONLY_FIRST_REPLICA
            self._kl_number = tf.Variable(0.0, trainable=False, aggregation=first)
            self._reads_number = False
            self._kl_weight = schedule
            return
        self._kl_weight, before = schedule, self._reads_number
        self._reads_number = isinstance(schedule, Constant)
        if self._reads_number:
            self._kl_number.assign(schedule.value)
        if not (before and self._reads_number):
            self.renew_steps()

    def kl_weight_at(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the KL weight at a training step, which may be a tensor of a graph."""
        return self._kl_number.read_value() if self._reads_number else self._kl_weight(step)

    @property
    def objective(self) -> objectives.Objective:
        """The objective that training maximizes."""
        return self._objective

    @objective.setter
    @checked
    def objective(self, objective: objectives.Objective) -> None:
        self._check_parts(objective)
        _check_metrics(objective)
        self._objective = objective.mark_in_use()
        with self.distribute_strategy.scope():
            for name in ("elbo", *objective.metrics, "kl_weight"):
                if name not in self._trackers:
                    self._trackers[name] = keras.metrics.Mean(name=name)
        self.renew_steps()

    def tracker(self, name: str) -> keras.metrics.Metric:
        """Returns the metric of a name that the objective logs."""
        return self._trackers[name]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of the model, without those that an earlier objective logged."""
        logged = {"elbo", *self.objective.metrics, "kl_weight"}
        idle = {id(tracker) for name, tracker in self._trackers.items() if name not in logged}
        return [metric for metric in super().metrics if id(metric) not in idle]

    @property
    def seed(self) -> int:
        """The seed of all noise in training."""
        return self._seed

    @seed.setter
    @checked
    def seed(self, seed: NoiseSeed) -> None:
        self._seed = seed
        self.renew_steps()


def _check_metrics(objective):
    names = set(objective.metrics)
    if not names >= {"log_likelihood", "kl"} or names & {"loss", "elbo", "kl_weight"}:
        raise ValueError(
            f"`metrics` of {type(objective).__name__} must have log_likelihood and kl among their names, and not loss, "
            f"elbo or kl_weight, which the model logs itself. Received: {', '.join(objective.metrics)}"
        )
