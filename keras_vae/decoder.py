"""Decoder: z -> p(x|z)."""

import keras

from keras_vae.likelihoods import Likelihood
from keras_vae.stack import Stack


@keras.saving.register_keras_serializable(package="keras_vae")
class Decoder(Stack):
    """Maps z to the distribution p(x|z).

    Calling it returns a `tfd` distribution with batch shape `(batch,)` and event shape `likelihood.event_shape`.

    Args:
      trunk: Keras layer or model, (batch, latent_dim) -> features.
      likelihood: `keras_vae.likelihoods.Likelihood`, features -> p(x|z).
    """

    head_name = "likelihood"

    def __init__(self, trunk: keras.layers.Layer, likelihood: Likelihood, **kwargs):
        super().__init__(trunk, likelihood, **kwargs)
