"""Normalizing flows of affine coupling layers: invertible maps of z for posteriors and priors."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from keras_vae.utils import checks
from keras_vae.utils.part import Part


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
        return shift, 2.0 * tf.tanh(0.5 * log_scale)


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
        if checks.positive_int("latent_dim", latent_dim) < 2:
            raise ValueError(f"`latent_dim` must be at least 2 for a flow of halves. Received: latent_dim={latent_dim}")
        half = latent_dim // 2
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
