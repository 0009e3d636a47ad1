"""Which layers of a model are frozen: found, set, and passed on to the layers that `build` makes."""

from collections.abc import Collection

import keras

from keras_vae.engine.keras_compat import direct_layers_of, layers_of


def freeze_new_layers(model: keras.Model, known: Collection[keras.layers.Layer]) -> None:
    """Freezes the layers inside frozen ones, apart from `known`, the layers that were there before `build`.

    A layer of `known` keeps its state, because the user may have thawed it inside a frozen one on purpose.
    """
    for layer in layers_of(model):
        if not layer.trainable:
            for inner in direct_layers_of(layer):
                if inner not in known:
                    inner.trainable = False


def frozen_layers(model: keras.Model) -> list[int]:
    """Returns the positions of the frozen layers in the order in which Keras lists the layers of `model`."""
    return [index for index, layer in enumerate(layers_of(model)) if not layer.trainable]


def set_frozen_layers(model: keras.Model, indices: Collection[int]) -> None:
    """Freezes the layers at these positions and thaws all others.

    Args:
      model: a model with the same parts as the one that `frozen_layers` was asked about.
      indices: what `frozen_layers` returned.
    """
    # Keras lists a layer before those inside it, so that what is set for an inner layer is set last and stays.
    for index, layer in enumerate(layers_of(model)):
        if layer.trainable == (index in indices):
            layer.trainable = index not in indices
