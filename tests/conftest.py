"""Small models and data that many tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_vae as kv

# Two devices for the strategies; must be said before the first operation.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

SHAPE = (6, 5, 1)


def make_vae(event_shape=SHAPE, latent_dim=3, likelihood=None, seed=0, units=(16,), **kwargs):
    """Returns a small dense VAE with fixed initial weights, compiled with Adam."""
    keras.utils.set_random_seed(seed)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp(units), kv.posteriors.DiagonalGaussian(latent_dim)),
        kv.Decoder(kv.networks.mlp(units), likelihood or kv.likelihoods.Bernoulli(event_shape)),
        seed=seed,
        **kwargs,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


def make_binary(count=50, event_shape=SHAPE, seed=0):
    """Returns binary images with structure: two prototypes with 10% of their pixels flipped."""
    random = np.random.default_rng(seed)
    prototypes = random.random((2, *event_shape)) < 0.5
    flips = random.random((count, *event_shape)) < 0.1
    return (prototypes[random.integers(0, 2, count)] ^ flips).astype(np.float32)


@pytest.fixture
def vae():
    """A small VAE, not trained."""
    return make_vae()


@pytest.fixture
def binary():
    """Fifty small binary images."""
    return make_binary()
