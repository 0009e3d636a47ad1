"""Gated linear units, and the kind of argument that names an activation."""

from collections.abc import Callable
from typing import Annotated, Any

import keras
import tensorflow as tf

from keras_vae.utils.arguments import Kind


def is_activation(value: Any) -> bool:
    """Whether Keras accepts a value as an activation: a name, a function, a configuration or None."""
    if isinstance(value, str):
        try:
            return keras.activations.get(value) is not None
        except ValueError:
            return False
    return value is None or isinstance(value, dict) or (callable(value) and not isinstance(value, type))


Activation = Annotated[
    str | Callable | dict | None,
    Kind("the name of an activation of Keras, a function or None", "activations", is_activation),
]


def not_gated(activation: str | Callable | dict | None) -> str | Callable | dict | None:
    """Returns the activation of residual blocks, or raises `ValueError` if it is "glu"."""
    if activation == "glu":
        raise ValueError(
            "`activation` must not be glu for residual blocks: it would halve their channels. Received: glu"
        )
    return activation


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class GatedLinearUnit(keras.layers.Layer):
    """h * sigmoid(g), with h, g the halves of the last axis (Dauphin et al., 2017): `(..., 2 n)` -> `(..., n)`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return keras.activations.glu(inputs)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        # This layer exists because of this method: Keras's own layers with activation "glu" report twice their width.
        return (*input_shape[:-1], input_shape[-1] // 2)


def layers(
    make: Callable, units: int, activation: str | Callable | dict | None, **options: Any
) -> list[keras.layers.Layer]:
    """Returns [`make(units, activation=activation, **options)`]; for "glu", a layer of twice the units and a gate."""
    if activation != "glu":
        return [make(units, activation=activation, **options)]
    layer = make(2 * units, **options)
    return [layer, GatedLinearUnit(dtype=layer.dtype_policy.name)]
