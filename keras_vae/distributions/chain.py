"""Several stochastic layers as one z: a chain z_1, ..., z_L in which each layer depends on the one before it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd

from keras_vae.distributions import softplus
from keras_vae.distributions.mixture import in_single_precision
from keras_vae.distributions.noise import NoiseSource
from keras_vae.distributions.sampling import draw
from keras_vae.networks import gated
from keras_vae.utils import checks
from keras_vae.utils.part import Part


class Chain(tfd.Distribution):
    """p(z) = p(a_1) prod_i p(a_i | a_(i-1)), where z is the layers a_1, ..., a_L side by side.

    Args:
      first: distribution of a_1.
      transitions: functions a_(i-1) -> distribution of a_i, for i from 2.
      sizes: dimensions of a_1, ..., a_L.
      from_last: whether z holds the layers in the order a_L, ..., a_1, as for a prior that starts at the top layer.
    """

    def __init__(
        self, first: tfd.Distribution, transitions: Sequence[Callable], sizes: Sequence[int], from_last: bool = False
    ) -> None:
        parameters = dict(locals())
        self._first, self._transitions, self._sizes, self._from_last = first, transitions, tuple(sizes), from_last
        super().__init__(
            dtype=first.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
        )

    def draw(self, noise: NoiseSource, sample_shape: Sequence[int] = ()) -> tf.Tensor:
        """Returns z as a function of base noise."""
        layers = [draw(self._first, noise, sample_shape)]
        for transition in self._transitions:
            layers.append(draw(transition(layers[-1]), noise))
        return self._side_by_side(layers)

    def _side_by_side(self, layers):
        return tf.concat(layers[::-1] if self._from_last else layers, axis=-1)

    def _sample_n(self, n, seed=None):
        first, *others = tf.unstack(tfp.random.split_seed(seed, n=len(self._sizes)))
        layers = [self._first.sample(n, seed=first)]
        for transition, other in zip(self._transitions, others, strict=True):
            layers.append(transition(layers[-1]).sample(seed=other))
        return self._side_by_side(layers)

    def _log_prob(self, value):
        layers = tf.split(value, self._sizes[::-1] if self._from_last else self._sizes, axis=-1)
        layers = layers[::-1] if self._from_last else layers
        total = self._first.log_prob(layers[0])
        for transition, before, layer in zip(self._transitions, layers, layers[1:], strict=False):
            total += transition(before).log_prob(layer)
        return total

    def _batch_shape(self):
        return self._first.batch_shape

    def _batch_shape_tensor(self):
        return self._first.batch_shape_tensor()

    def _event_shape(self):
        return tf.TensorShape([sum(self._sizes)])

    def _event_shape_tensor(self):
        return tf.constant([sum(self._sizes)])


@draw.register(Chain)
def _(distribution, noise, sample_shape=()):
    return distribution.draw(noise, sample_shape)


@in_single_precision.register(Chain)
def _(distribution):
    return distribution.copy(first=in_single_precision(distribution.parameters["first"]))


class Transition(Part):
    """Distribution of the next layer of a chain: N(loc(a), diag(scale(a)^2)), with a dense network of the layer a.

    Args:
      size: dimension of the next layer.
      hidden_units: widths of the network.
      activation: activation of the network, anything `keras.layers.Dense` accepts.
      min_scale: floor of the standard deviations, positive.
    """

    def __init__(
        self,
        size: int,
        hidden_units: Sequence[int],
        activation: str | Callable | dict | None,
        min_scale: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self._size, self._min_scale = size, min_scale
        make = functools.partial(keras.layers.Dense, dtype="float32")
        hidden = [layer for units in hidden_units for layer in gated.layers(make, units, activation)]
        self._network = keras.Sequential([*hidden, make(2 * size, name="parameters")])

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._network.build(input_shape)
        self.built = True

    def __call__(self, a: tf.Tensor) -> tfd.Distribution:
        # `Chain` calls this with any number of leading dimensions. Keras's layer call would check shapes and record the
        # call, so this method replaces it.
        for layer in self._network.layers:
            a = layer(a)
        scale = softplus.scale(a[..., self._size :], self._min_scale)
        return tfd.Independent(tfd.Normal(a[..., : self._size], scale), reinterpreted_batch_ndims=1)


def check_latent_dims(latent_dims: Sequence[int]) -> tuple[int, ...]:
    """Returns the dimensions of the layers, or raises `ValueError` if there are not two or more positive integers."""
    if not isinstance(latent_dims, tuple | list) or len(latent_dims) < 2:
        raise ValueError(f"`latent_dims` must be two or more positive integers. Received: latent_dims={latent_dims!r}")
    return tuple(checks.positive_int("latent_dims", size) for size in latent_dims)
