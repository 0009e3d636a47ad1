"""Dense trunk."""

from collections.abc import Sequence

import keras

from keras_vae import checks


def width(units: int, activation) -> int:
    """Returns how many outputs a layer needs for `units` features: "glu" makes one of two, h * sigmoid(g)."""
    return 2 * units if activation in ("glu", keras.activations.glu) else units


def mlp(hidden_units: Sequence[int] = (512, 512), activation="gelu", name: str | None = None) -> keras.Sequential:
    """Returns a trunk that flattens its input and applies one dense layer for each number in `hidden_units`.

    Args:
      hidden_units: widths of the layers; may be empty, then the trunk only flattens.
      activation: anything `keras.layers.Dense` accepts. "glu" makes gated layers (Dauphin et al., 2017): `hidden_units`
        features h * sigmoid(g) of twice as many outputs h, g.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, ...) -> (batch, hidden_units[-1]).
    """
    widths = [checks.positive_int("hidden_units", units) for units in hidden_units]
    dense = [keras.layers.Dense(width(units, activation), activation=activation) for units in widths]
    return keras.Sequential([keras.layers.Flatten(), *dense], name=name)
