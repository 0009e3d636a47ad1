"""Normalizing flows whose layers move each value of z by a function of the values before it."""

from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from keras_vae.distributions.coupling_flow import bounded
from keras_vae.distributions.density_first import DensityFirst
from keras_vae.networks.made import MADE
from keras_vae.utils.part import Part


class AutoregressiveFlow(Part):
    """Affine autoregressive layers (Papamakarios, Pavlakou and Murray, 2017, equations 3 and 4).

        z_i = u_i * exp(s_i(z_<i, context)) + t_i(z_<i, context)

    Shifts t and log scales s of a layer are the parameters of one `MADE`; s is squashed into (-2, 2). Both are 0 in a
    new network, so that a new layer is the identity. Each layer has the values in the reverse order of the one before.
    From z to u takes one pass of each network, from u to z one pass for each value. `tfb.Invert` of the bijector has it
    the other way round.

    Args:
      latent_dim: dimension of z, a positive integer.
      num_layers: number of layers, a positive integer.
      hidden_units: width of the network in each.
      hidden_layers: number of hidden layers of that network.
    """

    def __init__(self, latent_dim: int, num_layers: int, hidden_units: int, hidden_layers: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._latent_dim = latent_dim
        self._networks = [
            MADE(2, (hidden_units,) * hidden_layers, "silu", reverse=bool(i % 2), dtype="float32", name=f"made_{i}")
            for i in range(num_layers)
        ]
        self._compiled = tf.function(self._value_by_value, autograph=False)

    def build(self, context_shape: tuple[int | None, ...] | None = None) -> None:
        for network in self._networks:
            network.build((None, self._latent_dim), context_shape)
        super().build(context_shape)

    def bijector(self, context: tf.Tensor | None = None) -> tfb.Bijector:
        """Returns the map from u to z; `context` is `(batch, features)` or None."""
        return DensityFirst(
            lambda u: self._forward(u, context), lambda z: self._inverse(z, context), name="autoregressive_flow"
        )

    def _inverse(self, z, context):
        log_det = 0.0
        for network in self._networks:
            shift, log_scale = _shift_and_log_scale(network, z, context)
            z = (z - shift) * tf.exp(-log_scale)
            log_det -= tf.reduce_sum(log_scale, axis=-1)
        return z, log_det

    def _forward(self, u, context):
        # Eagerly, a draw of 40 values would call some 500 layers one by one.
        return (self._compiled if tf.executing_eagerly() else self._value_by_value)(u, context)

    def _value_by_value(self, u, context):
        for network in self._networks[::-1]:
            u = self._one_layer(network, u, context)
        return u

    def _one_layer(self, network, u, context):
        places = tf.range(self._latent_dim)

        def step(turn, z):
            shift, log_scale = _shift_and_log_scale(network, z, context)
            place = self._latent_dim - 1 - turn if network.reverse else turn
            # The values whose turn comes later stay 0, as a number that overflows there would reach all others: it is
            # not hidden by a weight of 0.
            return turn + 1, tf.where(places == place, u * tf.exp(log_scale) + shift, z)

        _, z = tf.while_loop(
            lambda turn, _: turn < self._latent_dim,
            step,
            (tf.constant(0), tf.zeros_like(u)),
            maximum_iterations=self._latent_dim,
        )
        return z


def _shift_and_log_scale(network, z, context):
    parameters = network(z, context)
    return parameters[..., 0], bounded(parameters[..., 1])
