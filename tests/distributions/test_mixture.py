"""Mixtures of Gaussians: TFP's density, and its gradient, which here is made of matrix products."""

import functools

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae as kv
from keras_vae.distributions.mixture import MixtureOfNormals, in_single_precision

tfd = tfp.distributions
SHAPE = (2, 8)


def parameters(scale, away=0.0, dtype=np.float64, components=6, latent_dim=3):
    """Returns logits, loc, scale and z: at components, as draws of a posterior are, or `away` from them."""
    rng = np.random.default_rng(0)
    loc = rng.normal(0.0, 2.0, (components, latent_dim))
    scales = scale * np.exp(rng.normal(0.0, 0.5, (components, latent_dim)))
    noise = rng.normal(size=(*SHAPE, latent_dim))
    z = loc[rng.integers(components, size=SHAPE)] + (scale + away) * noise
    return [tf.constant(value, dtype) for value in (rng.normal(size=components), loc, scales, z)]


def log_prob_and_gradient(mixture, logits, loc, scale, z):
    with tf.GradientTape() as tape:
        values = (logits, loc, scale, z)
        tape.watch(values)
        log_prob = mixture(tfd.Categorical(logits=logits), tfd.Independent(tfd.Normal(loc, scale), 1)).log_prob(z)
        weighted = tf.reduce_sum(log_prob * tf.reshape(tf.linspace(tf.constant(-1.0, z.dtype), 2.0, 16), SHAPE))
    return log_prob, tape.gradient(weighted, values)


def assert_close(actual, expected, tolerance):
    for a, b in zip(actual, expected, strict=True):
        assert np.abs(a.numpy() - b.numpy()).max() <= tolerance * max(1.0, np.abs(b.numpy()).max())


def test_the_density_is_the_closed_form():
    logits, loc, scale, z = (value.numpy() for value in parameters(0.5, away=1.0))
    log_weights = logits - scipy.special.logsumexp(logits)
    each = scipy.stats.norm.logpdf(z[:, :, None], loc, scale).sum(axis=-1)
    expected = scipy.special.logsumexp(each + log_weights, axis=-1)
    mixture = MixtureOfNormals(tfd.Categorical(logits=logits), tfd.Independent(tfd.Normal(loc, scale), 1))
    np.testing.assert_allclose(mixture.log_prob(z), expected, rtol=1e-10)
    np.testing.assert_allclose(mixture.log_prob(z[0, 0]), expected[0, 0], rtol=1e-10)
    assert mixture.log_prob(z[0, :0]).shape == (0,)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("scale", "away"), [(1.0, 0.0), (0.01, 0.0), (0.01, 3.0)])
def test_density_and_gradient_are_those_of_tfp(scale, away, jit_compile):
    compiled = tf.function(functools.partial(log_prob_and_gradient, MixtureOfNormals), jit_compile=jit_compile)
    ours = compiled(*parameters(scale, away))
    theirs = log_prob_and_gradient(tfd.MixtureSameFamily, *parameters(scale, away))
    assert ours[0].shape == SHAPE
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    assert_close(ours[1], theirs[1], 1e-9)


@pytest.mark.parametrize("away", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01, 1e-3, 1e-4])
def test_single_precision_is_as_good_as_that_of_tfp(scale, away):
    # What float32 makes of the numbers, exactly.
    given = parameters(scale, away, np.float32)
    exact = log_prob_and_gradient(tfd.MixtureSameFamily, *(tf.cast(value, tf.float64) for value in given))
    ours = log_prob_and_gradient(MixtureOfNormals, *given)
    np.testing.assert_allclose(ours[0], exact[0], rtol=1e-6, atol=1e-6)
    assert_close(ours[1], exact[1], 1e-5)


@pytest.mark.parametrize("shape", [(6, 1), (3,), ()])
def test_a_scale_that_several_components_or_dimensions_share(shape):
    logits, loc, scale, z = parameters(0.5)
    shared = tf.reshape(scale, -1)[: int(np.prod(shape))]
    ours, theirs = (
        log_prob_and_gradient(mixture, logits, loc, tf.reshape(shared, shape), z)
        for mixture in (MixtureOfNormals, tfd.MixtureSameFamily)
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    assert_close(ours[1], theirs[1], 1e-9)


@pytest.mark.parametrize(
    ("head", "ours"), [("DiagonalGaussian", True), ("IsotropicGaussian", True), ("FullGaussian", False)]
)
def test_the_priors_are_such_mixtures_where_their_components_are_diagonal(head, ours):
    encoder = kv.Encoder(kv.networks.mlp([4]), getattr(kv.posteriors, head)(2))
    encoder.build((None, 2, 2, 1))
    prior = kv.priors.VampPrior(2, (2, 2, 1), 3)
    prior.build()
    assert isinstance(prior(encoder), MixtureOfNormals) == ours
    assert prior(encoder).log_prob(tf.zeros((5, 2))).shape == (5,)
    learned = kv.priors.MixtureOfGaussians(2, 3)
    learned.build()
    assert isinstance(learned(), MixtureOfNormals)


def test_in_single_precision_no_float64_is_left_and_the_density_is_the_same():
    learned = kv.priors.MixtureOfGaussians(2, 3)
    z = tf.constant(np.random.default_rng(0).normal(size=(5, 4)), tf.float32)
    for prior in (learned, kv.priors.Hierarchical((2, 2), top=learned, hidden_units=(4,))):
        prior.build()
        distribution, code = prior(), z[:, : prior.latent_dim]
        lean = in_single_precision(distribution)
        np.testing.assert_allclose(lean.log_prob(code), distribution.log_prob(code), rtol=1e-5)
        graphs = [tf.function(p.log_prob).get_concrete_function(code).graph for p in (distribution, lean)]
        types = [{output.dtype for op in graph.get_operations() for output in op.outputs} for graph in graphs]
        assert [tf.float64 in each for each in types] == [True, False]
    normal = kv.priors.StandardNormal(2)()
    assert in_single_precision(normal) is normal
