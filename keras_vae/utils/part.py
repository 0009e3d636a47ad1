"""Frozen parts: `trainable = False` reaches every layer inside, and comes back from a file as it was."""

from collections.abc import Collection

import keras


class Part(keras.layers.Layer):
    """Base of the package's layers: what a frozen one comes to hold is frozen too.

    Keras does so with the weights that a frozen layer adds. Its setter of `trainable` reaches the sublayers that are
    there, but those that `build` makes later would train, and so would all of a layer made with `trainable=False`.
    """

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if not getattr(self, "trainable", True):  # Keras's own __init__ sets attributes before there is a `trainable`
            for layer in keras.tree.flatten(value):
                if isinstance(layer, keras.layers.Layer):
                    layer.trainable = False


def freeze_new_layers(model: keras.Model, known: Collection[keras.layers.Layer]) -> None:
    """Freezes the layers inside frozen ones that are not among `known`, those that were there before `build`.

    A layer of `known` may have been thawed inside a frozen one on purpose.
    """
    for layer in model._flatten_layers():
        if not layer.trainable:
            for inner in layer._flatten_layers(include_self=False, recursive=False):
                if inner not in known:
                    inner.trainable = False


def frozen_layers(model: keras.Model) -> list[int]:
    """Returns which layers of `model` are frozen, as their numbers in Keras's order of them."""
    return [index for index, layer in enumerate(model._flatten_layers()) if not layer.trainable]


def set_frozen_layers(model: keras.Model, indices: Collection[int]) -> None:
    """Freezes the layers with these numbers and thaws all others: `frozen_layers` of a model with the same parts."""
    for index, layer in enumerate(model._flatten_layers()):  # a layer comes before those inside it
        if layer.trainable == (index in indices):
            layer.trainable = index not in indices
