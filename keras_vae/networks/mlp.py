"""The trunk of dense layers."""

from collections.abc import Sequence

import keras

from keras_vae.networks import gated
from keras_vae.networks.gated import Activation
from keras_vae.utils.arguments import PositiveInt, checked


@checked
def mlp(
    hidden_units: Sequence[PositiveInt] = (512, 512), activation: Activation = "gelu", name: str | None = None
) -> keras.Sequential:
    """Returns a trunk that flattens its input and applies one dense layer for each number in `hidden_units`.

    Args:
      hidden_units: widths of the layers; may be empty, then the trunk only flattens.
      activation: anything `keras.layers.Dense` accepts. "glu" makes gated layers (Dauphin et al., 2017): `hidden_units`
        features h * sigmoid(g) of twice as many outputs h, g.
      name: name of the model.

    Returns:
      A `keras.Sequential`, (batch, ...) -> (batch, hidden_units[-1]).
    """
    widths = [int(units) for units in hidden_units]
    dense = [layer for units in widths for layer in gated.layers(keras.layers.Dense, units, activation)]
    return keras.Sequential([keras.layers.Flatten(data_format="channels_last"), *dense], name=name)
