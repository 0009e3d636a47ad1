"""Frozen parts: `trainable = False` reaches every layer inside, and comes back from a file as it was."""

from typing import Any

import keras


class Part(keras.layers.Layer):
    """Base of the package's layers: a layer that is added to a frozen one is frozen too.

    Keras already freezes the weights that a frozen layer adds. Its setter of `trainable` only reaches the sublayers
    that exist when it is called. Those that `build` makes later would train, and so would all sublayers of a layer that
    is made with `trainable=False`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # Keras's own __init__ sets attributes before there is a `trainable`.
        if not getattr(self, "trainable", True):
            for layer in keras.tree.flatten(value):
                if isinstance(layer, keras.layers.Layer):
                    layer.trainable = False
