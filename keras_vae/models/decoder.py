"""`Decoder`, which maps z to p(x|z)."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.likelihoods import Likelihood
from keras_vae.models.stack import Stack
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveInt, checked


@keras.saving.register_keras_serializable(package="keras_vae")
class Decoder(Stack):
    """Maps z to the distribution p(x|z), or z and a condition c, which the trunk sees side by side, to p(x|z, c).

    If z has places, each place has the condition beside its channels.

    Calling it returns a `tfd` distribution with batch shape `(batch,)` and event shape `likelihood.event_shape`.

    Args:
      trunk: Keras layer or model, (batch, latent_dim + condition_dim) -> features; for a z with places
        (batch, height, width, channels + condition_dim) -> features.
      likelihood: `keras_vae.likelihoods.Likelihood`, features -> p(x|z).
      condition_dim: size of the condition vector, None for no condition.
      latent_dim: number of the first dimensions of z that the trunk sees, which are the lowest layer of a hierarchical
        z; None is all of them.
    """

    head_name = "likelihood"

    @checked
    def __init__(
        self,
        trunk: keras.layers.Layer,
        likelihood: Likelihood,
        condition_dim: PositiveInt | None = None,
        latent_dim: PositiveInt | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trunk, likelihood, condition_dim, **kwargs)
        self.latent_dim = None if latent_dim is None else checks.positive_int("latent_dim", latent_dim)

    def trunk_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*input_shape[:-1], (self.latent_dim or input_shape[-1]) + (self.condition_dim or 0))

    def call(self, z: tf.Tensor, condition: tf.Tensor | None = None, training: bool | None = None) -> tfd.Distribution:
        # A slice of all dimensions would be one more operation in every exported file.
        return super().call(z if self.latent_dim is None else z[:, : self.latent_dim], condition, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_dim": self.latent_dim}

    def join(self, inputs: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        places = inputs.shape[1:-1].as_list()
        if places:
            condition = tf.reshape(condition, (-1, *[1] * len(places), condition.shape[-1]))
            condition = tf.tile(condition, [1, *places, 1])
        return tf.concat([inputs, condition], axis=-1)
