"""Trunk + head, the common shape of `Encoder` and `Decoder`."""

import keras


class Stack(keras.layers.Layer):
    """A trunk (tensor -> features) followed by a head (features -> distribution).

    A subclass sets `head_name`, the name under which its head is an argument and an attribute.
    """

    head_name: str

    def __init__(self, trunk: keras.layers.Layer, head: keras.layers.Layer, **kwargs):
        super().__init__(**kwargs)
        self.trunk = trunk
        setattr(self, self.head_name, head)

    @property
    def head(self) -> keras.layers.Layer:
        return getattr(self, self.head_name)

    def build(self, input_shape):
        if not self.trunk.built:
            self.trunk.build(input_shape)
        if not self.head.built:
            self.head.build(self.trunk.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, inputs, training=None):
        return self.head(self.trunk(inputs, training=training))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), "trunk": serialize(self.trunk), self.head_name: serialize(self.head)}

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        parts = {name: deserialize(config[name]) for name in ("trunk", cls.head_name)}
        return cls(**{**config, **parts})
