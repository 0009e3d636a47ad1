"""`CausalNetwork`, the base of the networks that know of each value of x only the values before it."""

import contextlib
import math
from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_vae.utils.part import Part

Shape = tuple[Any, ...]
# The check of a network changes x from this many values on at most, one after the other.
MAX_CHECKS = 128
_CHUNK = 32


class CausalNetwork(Part):
    """Base of the causal networks: (x, features) -> outputs, those of value i a function of x_<i and the features.

    The values of x are counted in the order of its array: row by row, in a row from left to right, and in a pixel from
    channel to channel. A subclass implements `call`. With that alone a draw of x takes a whole pass for each value. A
    network that can go on from what it has computed for the values before implements `drawing` too, and may draw
    several values in a turn, in an `order` of its own.

    Attributes:
      event_shape: shape of one x, known once the network is built.
      x_dtype: the type of x as the network sees it, "float32" or "int32".
      num_categories: number of values that x may have, the integers from 0 on; None for real x, and for a network that
        takes any integers.
    """

    x_dtype: Literal["float32", "int32"] = "float32"
    num_categories: int | None = None

    def build(self, x_shape: Shape, features_shape: Shape) -> None:
        self.event_shape = tuple(x_shape[1:])
        super().build(x_shape)

    def call(self, x: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Returns the outputs at all values.

        Args:
          x: float32 `(batch, *event_shape)`, or int32 if the likelihood takes integers. Of texts it may be the first
            places alone.
          features: features of z, `(batch, ...)`.

        Returns:
          A tensor `(batch, *event_shape, width)`, or as many places as x has.
        """
        raise NotImplementedError

    @property
    def order(self) -> np.ndarray:
        """Numbers of the values that `drawing` draws, `(turns, steps, values)`.

        A turn has steps one after the other, and the values of a step are drawn at once, so that they must not depend
        on each other. A number of -1 stands for no value.
        """
        return np.arange(math.prod(self.event_shape)).reshape(-1, 1, 1)

    def drawing(self, features: tf.Tensor) -> tuple[Any, Callable]:
        """Returns the state before the first value, and a function that draws the values of one turn.

        The state is made of tensors `(batch, ...)` in tuples, lists and dicts. The function has three arguments, and
        returns the state after the turn:

          state: the state before it.
          number: the number of the turn from 0 on, an int32 scalar.
          draw: a function of the number of a step in the turn and the outputs of its values, `(batch * values, width)`
            with those of one x side by side, which draws them and returns them as the network sees them,
            `(batch * values,)`.
        """
        size = math.prod(self.event_shape)

        def turn(x, number, draw):
            outputs = self(tf.reshape(x, (-1, *self.event_shape)), features)
            here = tf.reshape(outputs, (-1, size, outputs.shape[-1]))[:, number]
            return x + tf.one_hot(number, size, dtype=x.dtype) * draw(0, here)[:, None]

        return tf.zeros((keras.ops.shape(features)[0], size), self.x_dtype), turn


def check_causal(
    network: CausalNetwork,
    event_shape: tuple[int, ...],
    features_shape: tuple[int, ...],
    num_categories: int | None = None,
) -> None:
    """Raises `ValueError` if an output of the network at value i changes with x from value i on.

    x is changed from value j on, for all j, or for `MAX_CHECKS` of them if x has more values, and the outputs up to j
    must stay what they are. Weights that are zero, as those at the end of a residual block may be, would hide what
    passes through them later, so all weights have random numbers added to them meanwhile.

    Args:
      network: the network, built.
      event_shape: shape of one x.
      features_shape: shape of the features of one example.
      num_categories: number of values that x may have, if they are the integers from 0 on; None if x is real.
    """
    size, random = math.prod(event_shape), np.random.default_rng(0)
    first, other = random.normal(size=(2, size)).astype(np.float32)
    if num_categories is not None:
        first = random.integers(num_categories, size=size, dtype=np.int32)
        other = (first + random.integers(1, num_categories, size=size, dtype=np.int32)) % num_categories
    features = random.normal(size=(1, *features_shape)).astype(np.float32)
    starts = np.unique(np.linspace(0, size - 1, min(size, MAX_CHECKS)).astype(int))
    with _stirred(network, random):
        expected = _outputs(network, first[None], features, event_shape)
        # Kernels differ in the last digits with the size of a batch.
        tolerance = 1e-4 * (1.0 + np.abs(expected).max())
        for chunk in np.split(starts, range(_CHUNK, len(starts), _CHUNK)):
            changed = np.where(np.arange(size) >= chunk[:, None], other, first)
            difference = np.abs(_outputs(network, changed, features, event_shape) - expected).max(axis=-1)
            ahead = np.argwhere((np.arange(size) <= chunk[:, None]) & ~(difference <= tolerance))
            if len(ahead):
                row, value = ahead[0]
                raise ValueError(
                    "`network` must be causal: its outputs at a value of x may depend on the values before it alone. "
                    f"Received: {type(network).__name__}, whose outputs at value {value} change with x from value "
                    f"{chunk[row]} on"
                )


@contextlib.contextmanager
def _stirred(network, random):
    """Within this context random numbers are added to all weights that are trained."""
    before = [(weight, keras.ops.convert_to_numpy(weight)) for weight in network.trainable_weights]
    try:
        for weight, value in before:
            weight.assign(value + 0.3 * random.normal(size=value.shape))
        yield
    finally:
        for weight, value in before:
            weight.assign(value)


def _outputs(network, x, features, event_shape):
    """Returns the outputs for each row of x as an array `(rows, values, width)`."""
    rows = len(x)
    several = tf.repeat(tf.constant(features), rows, axis=0)
    outputs = network(tf.reshape(tf.constant(x), (rows, *event_shape)), several)
    if tuple(outputs.shape[:-1]) != (rows, *event_shape):
        raise ValueError(
            f"`network` must return (batch, {', '.join(map(str, event_shape))}, width). Received: "
            f"{type(network).__name__}, which returns {tuple(outputs.shape)} for {rows} examples"
        )
    return keras.ops.convert_to_numpy(tf.cast(outputs, tf.float32)).reshape(rows, math.prod(event_shape), -1)
