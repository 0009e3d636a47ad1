"""Gated layers."""

import keras


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class GatedLinearUnit(keras.layers.Layer):
    """h * sigmoid(g), with h, g the halves of the last axis (Dauphin et al., 2017): `(..., 2 n)` -> `(..., n)`."""

    def call(self, inputs):
        return keras.activations.glu(inputs)

    def compute_output_shape(self, input_shape):
        # Keras's own layers with activation "glu" give their shape before it.
        return (*input_shape[:-1], input_shape[-1] // 2)


def layers(make, units: int, activation, **options) -> list[keras.layers.Layer]:
    """Returns `make(units, activation=activation, **options)`; of "glu" that with twice the units, and the gate."""
    if activation != "glu":
        return [make(units, activation=activation, **options)]
    layer = make(2 * units, **options)
    return [layer, GatedLinearUnit(dtype=layer.dtype_policy.name)]
