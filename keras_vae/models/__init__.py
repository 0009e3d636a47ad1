"""The models: encoder, decoder, and the variational autoencoder made of them."""

# ruff: noqa: E402 - the check comes first, because without TensorFlow under Keras the imports below fail obscurely.

from keras_vae.utils.environment import check_backend

check_backend()

# Keras finds the classes that a file names only where they have been imported; no model refers to those of these two.
from keras_vae.data import subword_tokenizer as subword_tokenizer
from keras_vae.engine import averages as averages
from keras_vae.models.decoder import Decoder
from keras_vae.models.encoder import Encoder
from keras_vae.models.vae import VAE

__all__ = ["VAE", "Decoder", "Encoder"]
