"""Mixtures of Gaussians: TFP's density, and its gradient, which here is made of matrix products."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.mixtures import MixtureOfNormals

tfd = tfp.distributions


def parameters(scale, dtype=np.float64, components=6, latent_dim=3):
    rng = np.random.default_rng(0)
    loc = rng.normal(0.0, 2.0, (components, latent_dim))
    scales = scale * np.exp(rng.normal(0.0, 0.5, (components, latent_dim)))
    # Near components, as draws of a posterior are, and away from all.
    near = loc[rng.integers(components, size=8)] + scale * rng.normal(size=(8, latent_dim))
    z = np.stack([near, rng.normal(0.0, 3.0, (8, latent_dim))])
    return [tf.constant(value, dtype) for value in (rng.normal(size=components), loc, scales, z)]


def log_prob_and_gradient(mixture, logits, loc, scale, z):
    with tf.GradientTape() as tape:
        values = (logits, loc, scale, z)
        tape.watch(values)
        log_prob = mixture(tfd.Categorical(logits=logits), tfd.Independent(tfd.Normal(loc, scale), 1)).log_prob(z)
        weighted = tf.reduce_sum(log_prob * tf.constant(np.linspace(-1.0, 2.0, 16).reshape(2, 8), log_prob.dtype))
    return log_prob, tape.gradient(weighted, values)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_density_and_gradient_are_those_of_tfp(scale, jit_compile):
    compiled = tf.function(functools.partial(log_prob_and_gradient, MixtureOfNormals), jit_compile=jit_compile)
    ours = compiled(*parameters(scale))
    theirs = log_prob_and_gradient(tfd.MixtureSameFamily, *parameters(scale))
    assert ours[0].shape == (2, 8)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    for actual, expected in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 0.05, 0.01])
def test_single_precision_is_enough(scale):
    ours = log_prob_and_gradient(MixtureOfNormals, *parameters(scale, np.float32))
    exact = log_prob_and_gradient(tfd.MixtureSameFamily, *parameters(scale))
    np.testing.assert_allclose(ours[0], exact[0], rtol=1e-4, atol=1e-4)
    for actual, expected in zip(ours[1], exact[1], strict=True):
        assert np.abs(actual.numpy() - expected.numpy()).max() < 2e-3 * np.abs(expected.numpy()).max()
