"""Encoder: x -> q(z|x)."""

import keras
import numpy as np

from keras_vae.posteriors import Posterior
from keras_vae.stack import Stack


@keras.saving.register_keras_serializable(package="keras_vae")
class Encoder(Stack):
    """Maps x to the distribution q(z|x).

    The trunk sees x minus `input_mean`, which is 0 until `adapt` sets it.

    Calling it returns a `tfd` distribution with batch shape `(batch,)` and event shape `(latent_dim,)`.

    Args:
      trunk: Keras layer or model, (batch, ...) -> features.
      posterior: `keras_vae.posteriors.Posterior`, features -> q(z|x).
    """

    head_name = "posterior"

    def __init__(self, trunk: keras.layers.Layer, posterior: Posterior, **kwargs):
        super().__init__(trunk, posterior, **kwargs)

    def build(self, input_shape):
        self.input_mean = self.add_weight(
            name="input_mean", shape=input_shape[1:], initializer="zeros", trainable=False
        )
        super().build(input_shape)

    def call(self, x, training=None):
        return super().call(x - self.input_mean, training=training)

    def adapt(self, mean: np.ndarray) -> None:
        """Centres the input: sets `input_mean` to the mean of the training set, shape of one x."""
        self.input_mean.assign(np.reshape(mean, self.input_mean.shape))
