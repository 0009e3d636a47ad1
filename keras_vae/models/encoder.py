"""`Encoder`, which maps x to q(z|x)."""

import math
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.models.stack import Stack
from keras_vae.posteriors import Posterior
from keras_vae.utils.arguments import ArrayLike, NonNegativeInt, PositiveInt, checked


@keras.saving.register_keras_serializable(package="keras_vae")
class Encoder(Stack):
    """Maps x to the distribution q(z|x), or x and a condition c to q(z|x, c).

    The trunk sees x minus `input_mean`, which is 0 until `adapt` sets it, or integers as they are. To this is added a
    learned linear function of the condition, so that the input of the trunk keeps its shape. For a dense trunk it is
    as good as appending c to x.

    Calling it returns a `tfd` distribution with batch shape `(batch,)` and event shape `latent_shape`.

    Args:
      trunk: Keras layer or model, (batch, ...) -> features.
      posterior: `keras_vae.posteriors.Posterior`, features -> q(z|x).
      condition_dim: size of the condition vector, None for no condition.
    """

    head_name = "posterior"
    # The type of x, for which the trunk is built. A model sets it to that of its likelihood.
    event_dtype: Literal["float32", "int32"] = "float32"

    @checked
    def __init__(
        self, trunk: keras.layers.Layer, posterior: Posterior, condition_dim: PositiveInt | None = None, **kwargs: Any
    ) -> None:
        super().__init__(trunk, posterior, condition_dim, **kwargs)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        event_shape = tuple(input_shape[1:])
        self.input_mean = self.add_weight(name="input_mean", shape=event_shape, initializer="zeros", trainable=False)
        if self.condition_dim is not None:
            self._condition_image = keras.layers.Dense(math.prod(event_shape), use_bias=False, name="condition_image")
            self._condition_image.build((None, self.condition_dim))
        super().build(input_shape)

    def join(self, inputs: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        return inputs + tf.reshape(self._condition_image(condition), (-1, *inputs.shape[1:]))

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None, training: bool | None = None) -> tfd.Distribution:
        return super().call(x if x.dtype.is_integer else x - self.input_mean, condition, training=training)

    @checked
    def check_takes(self, last: NonNegativeInt) -> None:
        """Raises `ValueError` if a layer, as an embedding, is for fewer integers than the largest that x may hold."""
        try:
            # On a GPU an embedding takes every integer without an error.
            with tf.init_scope(), tf.device("CPU"):
                self(tf.fill((1, *self.input_mean.shape), last))
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(
                f"`encoder` must take the integers from 0 to {last}, as the likelihood does. Received: one with a "
                f"layer, maybe an embedding, that does not take {last}"
            ) from error

    @checked
    def adapt(self, mean: ArrayLike) -> None:
        """Centers the input: sets `input_mean` to the mean of the training set, which has the shape of one x."""
        self.input_mean.assign(np.reshape(mean, self.input_mean.shape))
