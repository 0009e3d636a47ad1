"""Frozen parts: `trainable = False` reaches every layer inside, and comes back from a file as it was."""

from collections.abc import Collection

import keras


class Part(keras.layers.Layer):
    """Base of the package's layers: a layer that is added to a frozen one is frozen too.

    Keras already freezes the weights that a frozen layer adds. Its setter of `trainable` only reaches the sublayers
    that exist when it is called. Those that `build` makes later would train, and so would all sublayers of a layer that
    is made with `trainable=False`.
    """

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        # Keras's own __init__ sets attributes before there is a `trainable`.
        if not getattr(self, "trainable", True):
            for layer in keras.tree.flatten(value):
                if isinstance(layer, keras.layers.Layer):
                    layer.trainable = False


def freeze_new_layers(model: keras.Model, known: Collection[keras.layers.Layer]) -> None:
    """Freezes the layers inside frozen ones, apart from `known`, the layers that were there before `build`.

    A layer of `known` keeps its state, because the user may have thawed it inside a frozen one on purpose.
    """
    for layer in model._flatten_layers():
        if not layer.trainable:
            for inner in layer._flatten_layers(include_self=False, recursive=False):
                if inner not in known:
                    inner.trainable = False


def frozen_layers(model: keras.Model) -> list[int]:
    """Returns the positions of the frozen layers in the order in which Keras lists the layers of `model`."""
    return [index for index, layer in enumerate(model._flatten_layers()) if not layer.trainable]


def set_frozen_layers(model: keras.Model, indices: Collection[int]) -> None:
    """Freezes the layers at these positions and thaws all others.

    Args:
      model: a model with the same parts as the one that `frozen_layers` was asked about.
      indices: what `frozen_layers` returned.
    """
    # Keras lists a layer before those inside it, so that what is set for an inner layer is set last and stays.
    for index, layer in enumerate(model._flatten_layers()):
        if layer.trainable == (index in indices):
            layer.trainable = index not in indices
