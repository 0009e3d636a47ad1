"""`Stack`, a trunk followed by a head, the base of `Encoder` and `Decoder`."""

from typing import Any, Self

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.utils import checks
from keras_vae.utils.part import Part


class Stack(Part):
    """A trunk (tensor -> features) followed by a head (features -> distribution), with an optional condition.

    A subclass sets `head_name`, which is the name of its head as an argument and an attribute, and implements `join`.
    """

    head_name: str
    # The type of the inputs.
    event_dtype = "float32"

    def __init__(
        self, trunk: keras.layers.Layer, head: keras.layers.Layer, condition_dim: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.trunk = checks.instance("trunk", trunk, keras.layers.Layer)
        setattr(self, self.head_name, checks.instance(self.head_name, head, keras.layers.Layer))
        self.condition_dim = None if condition_dim is None else checks.positive_int("condition_dim", condition_dim)

    @property
    def head(self) -> keras.layers.Layer:
        """The head."""
        return getattr(self, self.head_name)

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """Trunk and head, which `keras.Model.summary(expand_nested=True)` shows."""
        return [self.trunk, self.head]

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of one draw of the head's distribution for each input, which `keras.Model.summary` shows."""
        return self.head.output_shape

    def join(self, inputs: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """Returns what the trunk sees of the inputs and a condition `(batch, condition_dim)`."""
        raise NotImplementedError

    def trunk_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of what the trunk sees."""
        return input_shape

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # The trunk is called symbolically, because a user's own trunk may have no `build` or `compute_output_shape`.
        features = self.trunk(keras.KerasTensor(self.trunk_shape(input_shape), dtype=self.event_dtype))
        if not isinstance(features, keras.KerasTensor):
            raise ValueError(
                f"`trunk` must return one tensor of features: the {self.head_name} makes a distribution of them, its "
                f"mean and scale included. Received: a {type(features).__name__} of {len(features)}"
            )
        if not self.head.built:
            self.head.build(features.shape)
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, condition: tf.Tensor | None = None, training: bool | None = None
    ) -> tfd.Distribution:
        if (condition is None) != (self.condition_dim is None):
            expected = "no condition" if self.condition_dim is None else f"shape (batch, {self.condition_dim})"
            received = "none" if condition is None else tuple(condition.shape)
            raise ValueError(f"`condition` must be given as the model was made: {expected}. Received: {received}")
        if condition is not None:
            inputs = self.join(inputs, tf.cast(condition, inputs.dtype))
        return self.head(self.trunk(inputs, training=training))

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        parts = {"trunk": serialize(self.trunk), self.head_name: serialize(self.head)}
        return {**super().get_config(), **parts, "condition_dim": self.condition_dim}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        deserialize = keras.saving.deserialize_keras_object
        parts = {name: deserialize(config[name]) for name in ("trunk", cls.head_name)}
        return cls(**{**config, **parts})
