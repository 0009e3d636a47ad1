"""MADE, a masked dense network whose outputs for a value depend on the values before it alone."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveInt, checked
from keras_vae.utils.part import Part


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class MADE(Part):
    """Masked dense network, x `(..., batch, d)` -> parameters `(..., batch, d, num_parameters)`: those of x_i see x_<i.

        h_1 = f((M_1 * W_1) x + V context + b_1),  h_(l+1) = f((M_(l+1) * W_(l+1)) h_l + b_(l+1))

    A hidden unit of degree m sees x_1, ..., x_m, and the parameters of x_i see the units of a degree below i; the masks
    M_l are 0 where a weight would break this. Degrees are shared out evenly among the units of a layer. With a context
    there are units of degree 0, so that the parameters of x_1 are a function of it; without one they are constants.
    Germain, Gregor, Murray and Larochelle, "MADE: masked autoencoder for distribution estimation" (2015), equations 8
    to 13. All parameters of a new network are 0.

    It is called with x, and with a context `(batch, features)` if there was one when the network was built.

    Args:
      num_parameters: number of outputs for each value of x, a positive integer.
      hidden_units: widths of the hidden layers; may be empty, then the parameters are linear in x.
      activation: f, a function of each unit on its own.
      reverse: whether the parameters of x_i see x_>i instead.
    """

    @checked
    def __init__(
        self,
        num_parameters: PositiveInt = 2,
        hidden_units: Sequence[PositiveInt] = (64, 64),
        activation: Literal["elu", "gelu", "leaky_relu", "relu", "silu", "tanh"] = "relu",
        reverse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_parameters = checks.positive_int("num_parameters", num_parameters)
        self.hidden_units = tuple(int(units) for units in hidden_units)
        self.activation, self.reverse = activation, bool(reverse)
        self._activation = keras.activations.get(activation)
        self._hidden = [
            _MaskedDense(units, dtype=self.dtype_policy, name=f"hidden_{i}")
            for i, units in enumerate(self.hidden_units)
        ]

    def build(self, x_shape: tuple[int | None, ...], context_shape: tuple[int | None, ...] | None = None) -> None:
        size = x_shape[-1]
        if size is None:
            raise ValueError(f"`x` must have a last axis of a known size. Received: x of shape {tuple(x_shape)}")
        self._size = size
        self._out = _MaskedDense(
            size * self.num_parameters, kernel_initializer="zeros", dtype=self.dtype_policy, name="out"
        )
        own = np.arange(1, size + 1)[:: -1 if self.reverse else 1]
        lowest = 1 if context_shape is None and size > 1 else 0
        degrees = [own, *(lowest + np.arange(units) * (size - lowest) // units for units in self.hidden_units)]
        for layer, before, after in zip(self._hidden, degrees, degrees[1:], strict=False):
            layer.build_masked(before, after)
        # The parameters of x_i stand side by side, and see the units of lower degrees only.
        self._out.build_masked(degrees[-1], np.repeat(own, self.num_parameters) - 1)
        self._from_context = None if context_shape is None else self._context_layer(context_shape)
        super().build(x_shape)

    def _context_layer(self, context_shape):
        """Returns the layer of V, the context's part in the first layer."""
        units, first = (self.hidden_units[0], "glorot_uniform") if self._hidden else (self._out.units, "zeros")
        layer = keras.layers.Dense(
            units, use_bias=False, kernel_initializer=first, dtype=self.dtype_policy, name="from_context"
        )
        layer.build(context_shape)
        return layer

    def call(self, x: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        if x.shape[-1] != self._size:
            raise ValueError(
                f"`x` must have {self._size} values along its last axis, as when the network was built. Received: x of "
                f"shape {tuple(x.shape)}"
            )
        if (context is None) != (self._from_context is None):
            expected = "None" if self._from_context is None else "a tensor (batch, features)"
            raise ValueError(f"`context` must be {expected}, as when the network was built. Received: {context!r}")
        hidden = x
        for i, layer in enumerate([*self._hidden, self._out]):
            hidden = layer(hidden if i == 0 else self._activation(hidden))
            if i == 0 and self._from_context is not None:
                hidden += self._from_context(context)
        return tf.reshape(hidden, tf.concat([tf.shape(hidden)[:-1], [self._size, self.num_parameters]], axis=0))

    def get_config(self) -> dict[str, Any]:
        own = {"num_parameters": self.num_parameters, "hidden_units": list(self.hidden_units)}
        return {**super().get_config(), **own, "activation": self.activation, "reverse": self.reverse}


class _MaskedDense(keras.layers.Dense):
    """A dense layer in which an output of a degree sees the inputs of at most that degree."""

    def build_masked(self, degrees_in, degrees_out):
        # The weights come first, because whoever limits the size of a model counts them before they are made.
        self.build((None, len(degrees_in)))
        self.mask = degrees_in[:, None] <= degrees_out

    def call(self, inputs):
        kernel = tf.cast(self.mask, self.compute_dtype) * self.kernel
        return keras.ops.matmul(inputs, kernel) + self.bias
