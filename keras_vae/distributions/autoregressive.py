"""A distribution whose values are drawn one after the other, each given those before."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.noise import EVALUATION_STREAM, Noise, NoiseSource, Tempered
from keras_vae.distributions.sampling import draw, mean


class Factors(Protocol):
    """What `_Autoregressive` is made of: all p(x_i | x_<i) at once, and one after the other.

    Attributes:
      batch: size of the batch, an integer or a scalar tensor.
      event_shape: shape of one x.
      dtype: type of x.
      has_mean: whether the conditionals have means.
      has_end: whether the value 0 ends an x, so that all after it are 0.
    """

    batch: Any
    event_shape: tuple[int, ...]
    dtype: Any
    has_mean: bool
    has_end: bool

    @property
    def order(self) -> np.ndarray:
        """Numbers of the values drawn in each turn, `(turns, steps, values)`, as in `networks.CausalNetwork`."""
        ...

    def conditional(self, x: tf.Tensor) -> tfd.Distribution:
        """Returns all p(x_i | x_<i) for x `(batch, *event_shape)`, as one factorized distribution over x."""
        ...

    def template(self) -> tfd.Distribution:
        """Returns a distribution of the kind and shape of `conditional`, with any parameters."""
        ...

    def drawn(self, noise: Sequence[tf.Tensor], temperature: Any, top_p: Any) -> tf.Tensor:
        """Returns `draw_in_turn(self, noise, temperature, top_p)`, from a graph that is kept for the next draw."""
        ...

    def drawing(self) -> tuple[Any, Callable]:
        """Returns the state before the first value, and a function (state, number, draw_values) -> next state.

        The function draws the values of turn `number`. It calls `draw_values(step, distribution)` for each step of the
        turn with the distribution of its values, of batch size `batch * values` and event shape `(1, ..., 1)`, and gets
        the values, `(batch * values, 1, ..., 1)`.
        """
        ...


class _Autoregressive(tfd.Distribution):
    """p(x) = prod_i p(x_i | x_<i).

    The mean is a sum over all x and has no closed form. `mean()` returns the means of the conditionals at one draw,
    whose noise is the same for each row; `keras_vae.sampling.mean` takes noise of one's own. If x are names, which have
    no mean, it returns the most probable value given those taken before, one after the other.

    Args:
      factors: the conditionals.
    """

    def __init__(self, factors: Factors) -> None:
        self.factors = factors
        super().__init__(
            dtype=factors.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"factors": factors},
            name="Autoregressive",
        )

    def _batch_shape(self):
        return tf.TensorShape([None if tf.is_tensor(self.factors.batch) else self.factors.batch])

    def _batch_shape_tensor(self):
        return tf.stack([self.factors.batch])

    def _event_shape(self):
        return tf.TensorShape(self.factors.event_shape)

    def _event_shape_tensor(self):
        return tf.constant(self.factors.event_shape, tf.int32)

    def _log_prob(self, value):
        return self.factors.conditional(value).log_prob(value)

    def _mean(self):
        return mean(self, _SameForAll(Noise(0, EVALUATION_STREAM)))


@mean.register(_Autoregressive)
def _(distribution, noise):
    if not distribution.factors.has_mean:
        return draw(distribution, Tempered(noise, 0.0))
    return distribution.factors.conditional(draw(distribution, noise)).mean()


@draw.register(_Autoregressive)
def _(distribution, noise, sample_shape=()):
    if tuple(sample_shape):
        raise NotImplementedError("an autoregressive distribution is drawn once for each row, without `sample_shape`")
    # A `Noise` would repeat itself inside of a loop, so all of it is taken before. The rule of the conditionals draws a
    # whole x once, which tells what noise it needs, and is later given the same noise value by value.
    recorder = _Recorder(noise)
    draw(distribution.factors.template(), recorder)
    # The graph that is kept for the next draw takes any temperature and share.
    scalars = (
        number if number is None else tf.cast(number, tf.float32) for number in (recorder.temperature, recorder.top_p)
    )
    return distribution.factors.drawn(recorder.tensors, *scalars)


def draw_in_turn(factors: Factors, noise: Sequence[tf.Tensor], temperature: Any, top_p: Any) -> tf.Tensor:
    """Returns a draw, by one loop over the values of x, which stops when all x have ended.

    Args:
      factors: the conditionals.
      noise: what the rule of the conditionals has asked for to draw a whole x, each `(batch, *event_shape, ...)`.
      temperature: temperature of that noise, or None.
      top_p: its share of the probability of tokens, or None.
    """
    shape, ones, batch = factors.event_shape, [1] * len(factors.event_shape), factors.batch
    order = factors.order
    turns, steps, values = order.shape
    order, several = order.reshape(-1), steps * values
    noise = [
        tf.reshape(
            tf.gather(_flat(tensor, len(shape)), np.maximum(order, 0), axis=1),
            (batch, turns, steps, values, *tensor.shape[1 + len(shape) :]),
        )
        for tensor in noise
    ]
    first, turn = factors.drawing()

    def body(number, x, ended, state):
        drawn = []

        def draw_values(step, conditional):
            here = [tf.reshape(tensor[:, number, step], (-1, *ones, *tensor.shape[4:])) for tensor in noise]
            drawn.append(draw(conditional, _Replay(here, temperature, top_p)))
            return drawn[-1]

        state = turn(state, number, draw_values)
        newest = [tf.reshape(value, (batch, values)) for value in drawn]
        if factors.has_end:
            ended |= tf.reduce_any(tf.concat(newest, axis=1) == 0, axis=1)
        return number + 1, tf.concat([x[:, several:], *newest], axis=1), ended, state

    def goes_on(number, _, ended, __):
        more = number < turns
        return more & ~tf.reduce_all(ended) if factors.has_end else more

    start = (tf.constant(0), tf.zeros((batch, len(order)), factors.dtype), tf.zeros((batch,), tf.bool), first)
    ran, x, *_ = tf.while_loop(goes_on, body, start, parallel_iterations=1)
    if factors.has_end:
        # What was drawn stands at the end of the row, and is followed by zeros.
        x = tf.slice(tf.concat([x, tf.zeros_like(x)], axis=1), [0, several * (turns - ran)], [-1, len(order)])
    places = np.zeros(math.prod(shape), int)
    places[order[order >= 0]] = np.flatnonzero(order >= 0)
    return tf.reshape(tf.gather(x, places, axis=1), (batch, *shape))


def _flat(tensor, rank):
    """Returns `(batch, *event_shape, ...)` as `(batch, size, ...)`."""
    return tf.reshape(tensor, (-1, math.prod(tensor.shape[1 : 1 + rank]), *tensor.shape[1 + rank :]))


class _Recorder(NoiseSource):
    """Passes noise on and keeps it, in the order in which it was asked for."""

    def __init__(self, noise: NoiseSource, parent: "_Recorder | None" = None) -> None:
        self._noise = noise
        self.tensors: list[tf.Tensor] = parent.tensors if parent else []
        source, self.temperature = noise.untempered()
        self.top_p = source.top_p

    def _kept(self, tensor):
        self.tensors.append(tensor)
        return tensor

    def normal(self, shape, axis=None):
        return self._kept(self._noise.normal(shape, axis))

    def uniform(self, shape, axis=None):
        return self._kept(self._noise.uniform(shape, axis))

    def untempered(self):
        noise, temperature = self._noise.untempered()
        return _Recorder(noise, self), temperature


class _Replay(NoiseSource):
    """Gives out tensors of noise in turn."""

    def __init__(self, tensors: Sequence[tf.Tensor], temperature: Any, top_p: Any) -> None:
        self._left = iter(tensors)
        self._temperature, self.top_p = temperature, top_p

    def normal(self, shape, axis=None):
        return next(self._left)

    def uniform(self, shape, axis=None):
        return next(self._left)

    def untempered(self):
        return self, self._temperature


class _SameForAll(NoiseSource):
    """The noise of the first row, for all rows."""

    def __init__(self, noise: NoiseSource) -> None:
        self._noise = noise

    def normal(self, shape, axis=None):
        return tf.broadcast_to(self._noise.normal([1, *shape[1:]]), shape)

    def uniform(self, shape, axis=None):
        return tf.broadcast_to(self._noise.uniform([1, *shape[1:]]), shape)
