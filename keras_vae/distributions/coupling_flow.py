"""Normalizing flows of affine coupling layers: invertible maps of z for posteriors and priors."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from keras_vae.distributions.density_first import DensityFirst
from keras_vae.utils import checks
from keras_vae.utils.part import Part


def bounded(log_scale: tf.Tensor) -> tf.Tensor:
    """Squashes a log scale into (-2, 2), with slope 1 at 0."""
    return 2.0 * tf.tanh(0.5 * log_scale)


class CouplingNetwork(Part):
    """Network of one coupling layer: the half of z that stays, and a context -> shift and log scale of the other half.

        h = tanh(A z + B context + b)

    Shift and log scale are linear in h, and the log scale is then squashed into (-2, 2). Both are zero in a new
    network, so that a new coupling layer is the identity.
    """

    def __init__(self, size_in: int, size_out: int, hidden_units: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.size_in = size_in
        self._from_z = keras.layers.Dense(hidden_units, dtype="float32", name="from_z")
        self._from_context = keras.layers.Dense(hidden_units, use_bias=False, dtype="float32", name="from_context")
        self._out = keras.layers.Dense(2 * size_out, kernel_initializer="zeros", dtype="float32", name="out")
        self.hidden_units = hidden_units

    def build(self, context_shape: tuple[int | None, ...] | None = None) -> None:
        self._from_z.build((None, self.size_in))
        if context_shape is not None:
            self._from_context.build(context_shape)
        self._out.build((None, self.hidden_units))
        self.built = True

    def __call__(self, z: tf.Tensor, context: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        # TFP calls this inside a bijector, with any number of leading dimensions. Keras's layer call would check shapes
        # and record the call, so this method replaces it.
        hidden = self._from_z(z)
        if context is not None:
            hidden += self._from_context(context)
        shift, log_scale = tf.split(self._out(tf.tanh(hidden)), 2, axis=-1)
        return shift, bounded(log_scale)


class CouplingFlow(Part):
    """Affine coupling layers (Dinh et al., 2017, equation 7): each moves half of z by a function of the other half.

        z_b' = z_b * exp(s(z_a, context)) + t(z_a, context),  z_a' = z_a

    The two halves take turns from layer to layer.

    Args:
      latent_dim: dimension of z, at least 2.
      num_layers: number of coupling layers, a positive integer.
      hidden_units: width of the network in each.
    """

    def __init__(self, latent_dim: int, num_layers: int = 4, hidden_units: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        half = _half(latent_dim)
        # TFP's `RealNVP` counts a negative number of masked dimensions from the end. The signs alternate, so that the
        # halves take turns.
        self._masks = [
            half if i % 2 else half - latent_dim for i in range(checks.positive_int("num_layers", num_layers))
        ]
        checks.positive_int("hidden_units", hidden_units)
        self._networks = [
            CouplingNetwork(abs(mask), latent_dim - abs(mask), hidden_units, name=f"coupling_{i}")
            for i, mask in enumerate(self._masks)
        ]

    def build(self, context_shape: tuple[int | None, ...] | None = None) -> None:
        for network in self._networks:
            network.build(context_shape)
        super().build(context_shape)

    def bijector(self, context: tf.Tensor | None = None) -> tfb.Bijector:
        """Returns the map from base noise to z; `context` is `(batch, features)` or None."""
        return tfb.Chain([self._coupling(*pair, context) for pair in zip(self._masks, self._networks, strict=True)])

    @staticmethod
    def _coupling(mask, network, context):
        return tfb.RealNVP(num_masked=mask, shift_and_log_scale_fn=lambda z, _: network(z, context))


class DeepCouplingFlow(Part):
    """Affine coupling layers with deep networks, each of which keeps a random half of z and moves the other.

        z_b' = z_b * exp(s(z_a)) + t(z_a),  z_a' = z_a,  with (z_a, z_b) = z in the order of the layer

    Two layers after each other keep the one and the other half of a permutation, so that two layers move all of z. The
    permutations are a fixed function of the number of the layer.

    Args:
      latent_dim: dimension of z, at least 2.
      num_layers: number of coupling layers, a positive integer.
      hidden_units: width of the network in each.
      hidden_layers: number of hidden layers of that network.
    """

    def __init__(self, latent_dim: int, num_layers: int, hidden_units: int, hidden_layers: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._latent_dim, half = latent_dim, _half(latent_dim)
        kept = [latent_dim - half if i % 2 else half for i in range(num_layers)]
        self._networks = [
            ResidualNetwork(size, latent_dim - size, hidden_units, hidden_layers, name=f"coupling_{i}")
            for i, size in enumerate(kept)
        ]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        for network in self._networks:
            network.build(input_shape)
        orders = [_order(i, self._latent_dim) for i in range(len(self._networks))]
        # Between two layers z goes from the order of the one to that of the next, and after the last to its own.
        own = np.arange(self._latent_dim)
        steps = zip([own, *orders], [*orders, own], strict=True)
        self._permutations = [np.argsort(before)[after] for before, after in steps]
        super().build(input_shape)

    def bijector(self) -> tfb.Bijector:
        """Returns the map from base noise to z."""
        return DensityFirst(self._forward, self._inverse, name="deep_coupling_flow")

    def _forward(self, u):
        z = _permuted(u, np.argsort(self._permutations[-1]))
        for network, permutation in zip(self._networks[::-1], self._permutations[-2::-1], strict=True):
            kept, moved = z[..., : network.size_in], z[..., network.size_in :]
            shift, log_scale = network(kept)
            z = _permuted(tf.concat([kept, moved * tf.exp(log_scale) + shift], axis=-1), np.argsort(permutation))
        return z

    def _inverse(self, z):
        log_det = 0.0
        for network, permutation in zip(self._networks, self._permutations, strict=False):
            z = _permuted(z, permutation)
            kept, moved = z[..., : network.size_in], z[..., network.size_in :]
            shift, log_scale = network(kept)
            z = tf.concat([kept, (moved - shift) * tf.exp(-log_scale)], axis=-1)
            log_det -= tf.reduce_sum(log_scale, axis=-1)
        return _permuted(z, self._permutations[-1]), log_det


class ResidualNetwork(Part):
    """Network of one deep coupling layer: the half of z that stays -> shift and log scale of the other half.

        h_1 = silu(A z + b),  h_l = h_(l-1) + silu(W_l h_(l-1) + b_l)

    Shift and log scale are linear in the last h, and 0 in a new network; the log scale is then squashed into (-2, 2).
    """

    def __init__(self, size_in: int, size_out: int, hidden_units: int, hidden_layers: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.size_in, self.hidden_units = size_in, hidden_units
        self._hidden = [
            keras.layers.Dense(hidden_units, "silu", kernel_initializer="lecun_normal", dtype="float32")
            for _ in range(hidden_layers)
        ]
        self._out = keras.layers.Dense(2 * size_out, kernel_initializer="zeros", dtype="float32")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        for i, layer in enumerate([*self._hidden, self._out]):
            layer.build((None, self.hidden_units if i else self.size_in))
        self.built = True

    def __call__(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # As in `CouplingNetwork`, this replaces Keras's layer call.
        hidden = self._hidden[0](z)
        for layer in self._hidden[1:]:
            hidden += layer(hidden)
        shift, log_scale = tf.split(self._out(hidden), 2, axis=-1)
        return shift, bounded(log_scale)


def _half(latent_dim):
    if checks.positive_int("latent_dim", latent_dim) < 2:
        raise ValueError(f"`latent_dim` must be at least 2 for a flow of halves. Received: latent_dim={latent_dim}")
    return latent_dim // 2


def _order(layer, size):
    """Returns the order of z in a coupling layer: first what it keeps, then what it moves."""
    # NumPy promises that `RandomState` gives the same numbers in all versions, which a saved model needs.
    order = np.random.RandomState(layer // 2).permutation(size)
    return order[::-1] if layer % 2 else order


def _permuted(x, permutation):
    """Returns `x[..., permutation]`; its gradient is permuted back, which is faster than that of `tf.gather`."""

    @tf.custom_gradient
    def permute(x):
        return tf.gather(x, permutation, axis=-1), lambda gradient: _permuted(gradient, np.argsort(permutation))

    return permute(x)
