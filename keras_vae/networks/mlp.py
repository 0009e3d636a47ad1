"""Dense trunk."""

from collections.abc import Sequence

import keras

from keras_vae import checks


def mlp(hidden_units: Sequence[int] = (512, 512), activation="gelu", name: str | None = None) -> keras.Sequential:
    """Returns a trunk that flattens its input and applies one dense layer for each number in `hidden_units`.

    Args:
      hidden_units: widths of the layers; may be empty, then the trunk only flattens.
      activation: anything `keras.layers.Dense` accepts.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, ...) -> (batch, hidden_units[-1]).
    """
    widths = [checks.positive_int("hidden_units", units) for units in hidden_units]
    dense = [keras.layers.Dense(units, activation=activation) for units in widths]
    return keras.Sequential([keras.layers.Flatten(), *dense], name=name)
