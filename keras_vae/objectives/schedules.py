"""Schedules of the KL weight or of a capacity, which are functions of the training step."""

import math
from typing import Any, Self

import keras
import tensorflow as tf

from keras_vae.utils import checks
from keras_vae.utils.arguments import NonNegativeFloat, PositiveFloat, PositiveInt, checked
from keras_vae.utils.in_use import InUse

register = keras.saving.register_keras_serializable(package="keras_vae.schedules")


class Schedule(InUse):
    """Base of the schedules: called with a step (integer tensor, 0 for the first) it returns a float32 scalar.

    Attributes:
      num_steps: number of steps until the last value is reached, or for a cyclic schedule until the first cycle ends.
    """

    num_steps = 0

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Returns the value at `step`."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns the arguments."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the schedule with these arguments."""
        return cls(**config)


@checked
def as_schedule(name: str, value: Any) -> Schedule:
    """Returns a `Schedule` as it is and a number of at least 0 as a `Constant`; else raises `ValueError`."""
    if isinstance(value, Schedule):
        return value
    return Constant(checks.nonnegative_float(name, value))


@register
class Constant(Schedule):
    """The same value at every step.

    Args:
      value: at least 0.
    """

    @checked
    def __init__(self, value: NonNegativeFloat) -> None:
        self.value = checks.nonnegative_float("value", value)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        return tf.constant(self.value, tf.float32)

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return f"Constant({self.value:g})"

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class _Ramp(Schedule):
    """Base of the schedules that go from `start` to `end` in `num_steps` steps.

    Args:
      num_steps: length of the ramp, a positive integer.
      start: first value, at least 0.
      end: last value, at least 0.
    """

    @checked
    def __init__(self, num_steps: PositiveInt, start: NonNegativeFloat = 0.0, end: NonNegativeFloat = 1.0) -> None:
        self.num_steps = checks.positive_int("num_steps", num_steps)
        self.start = checks.nonnegative_float("start", start)
        self.end = checks.nonnegative_float("end", end)

    def _between(self, fraction):
        return self.start + (self.end - self.start) * fraction

    def get_config(self):
        return {"num_steps": self.num_steps, "start": self.start, "end": self.end}


@register
class Linear(_Ramp):
    """A straight ramp, for example for the warm-up of the KL weight (Bowman et al., 2016; Sonderby et al., 2016).

    Args:
      num_steps: length of the ramp, a positive integer.
      start: first value, at least 0.
      end: last value, at least 0.
    """

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        return self._between(tf.minimum(tf.cast(step, tf.float32) / self.num_steps, 1.0))


@register
class Cosine(_Ramp):
    """A ramp in the form of half a cosine, which is slow at both ends.

    Args:
      num_steps: length of the ramp, a positive integer.
      start: first value, at least 0.
      end: last value, at least 0.
    """

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        fraction = tf.minimum(tf.cast(step, tf.float32) / self.num_steps, 1.0)
        return self._between(0.5 - 0.5 * tf.cos(math.pi * fraction))


@register
class Cyclic(_Ramp):
    """Ramps that repeat: in each cycle the value rises, and then stays at its end (Fu et al., 2019).

    Args:
      num_steps: length of a cycle, a positive integer.
      start: value at the beginning of a cycle, at least 0.
      end: value at its end, at least 0.
      rise: share of the cycle in which the value rises, above 0 and at most 1.
    """

    @checked
    def __init__(
        self,
        num_steps: PositiveInt,
        start: NonNegativeFloat = 0.0,
        end: NonNegativeFloat = 1.0,
        rise: PositiveFloat = 0.5,
    ) -> None:
        super().__init__(num_steps, start, end)
        self.rise = checks.positive_float("rise", rise)
        if rise > 1:
            raise ValueError(f"`rise` must be at most 1. Received: rise={rise!r}")

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        # The remainder is taken in integers, because a step as float32 is exact only up to 2^24.
        position = tf.cast(tf.math.floormod(tf.cast(step, tf.int64), self.num_steps), tf.float32) / self.num_steps
        return self._between(tf.minimum(position / self.rise, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rise": self.rise}
