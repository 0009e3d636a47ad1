"""Decoder: z -> p(x|z)."""

import keras
import tensorflow as tf

from keras_vae.likelihoods import Likelihood
from keras_vae.stack import Stack


@keras.saving.register_keras_serializable(package="keras_vae")
class Decoder(Stack):
    """Maps z to the distribution p(x|z), or z and a condition c to p(x|z, c); the trunk then sees both.

    Calling it returns a `tfd` distribution with batch shape `(batch,)` and event shape `likelihood.event_shape`.

    Args:
      trunk: Keras layer or model, (batch, latent_dim + condition_dim) -> features.
      likelihood: `keras_vae.likelihoods.Likelihood`, features -> p(x|z).
      condition_dim: size of the condition vector, None for no condition.
    """

    head_name = "likelihood"

    def __init__(self, trunk: keras.layers.Layer, likelihood: Likelihood, condition_dim: int | None = None, **kwargs):
        super().__init__(trunk, likelihood, condition_dim, **kwargs)

    def trunk_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + (self.condition_dim or 0))

    def join(self, inputs, condition):
        return tf.concat([inputs, condition], axis=-1)
