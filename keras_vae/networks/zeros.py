"""`Zeros`, a trunk that looks at nothing."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_vae.networks")
class Zeros(keras.layers.Layer):
    """Returns one zero for each example, `(batch, 1)`, whatever comes in.

    As the first layer of a decoder's trunk it fixes z at 0, so that the model is one of x alone: a language model, or
    a PixelCNN. As the trunk of an encoder it gives all x one posterior, which training makes the prior.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.zeros((tf.shape(x)[0], 1), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        return (input_shape[0], 1)
