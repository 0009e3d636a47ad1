"""Small models and data that many tests share."""

import pathlib

import keras
import numpy as np
import pytest

import keras_vae as kv

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHAPE = (6, 5, 1)


def slow_from(first, cases):
    """Returns the cases of a test for `parametrize`, those from number `first` on marked as slow.

    A tuple is a case of several arguments.
    """
    marks = [[] if i < first else [pytest.mark.slow] for i in range(len(cases))]
    return [pytest.param(*_values(case), marks=mark) for case, mark in zip(cases, marks, strict=True)]


def _values(case):
    return case if isinstance(case, tuple) else (case,)


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


def make_conditional(num_classes=3):
    """Returns a small dense VAE with a condition, which runs eagerly."""
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(2), condition_dim=num_classes),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), condition_dim=num_classes),
        seed=0,
    )
    vae.compile("adam", run_eagerly=True)
    return vae


def shake(layer, stddev=0.5, seed=0):
    """Sets all weights of a layer at random, because a new flow is the identity, which would hide mistakes."""
    random = np.random.default_rng(seed)
    layer.set_weights([random.normal(0.0, stddev, w.shape) for w in layer.get_weights()])
    return layer
