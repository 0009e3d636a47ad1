"""Objectives: closed form, Monte Carlo, and the linear-Gaussian model whose evidence is known."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae as kv
from keras_vae import objectives
from keras_vae.noise import Noise
from keras_vae.posteriors import UNIT
from keras_vae.sampling import draw

tfd = tfp.distributions
DIM_X, LATENT_DIM = 5, 2


def diagonal(loc, scale):
    return tfd.Independent(tfd.Normal(tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)), 1)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_kl_is_the_closed_form(random):
    loc, scale = random.normal(size=(6, 3)), random.uniform(0.1, 2.0, (6, 3))
    kl = objectives.kl_divergence(diagonal(loc, scale), kv.priors.StandardNormal(3)(), None)
    np.testing.assert_allclose(kl, reference.standard_normal_kl(loc, scale), rtol=1e-5)


def test_kl_of_a_distribution_with_itself_is_zero():
    np.testing.assert_array_equal(
        objectives.kl_divergence(kv.priors.StandardNormal(3)(), kv.priors.StandardNormal(3)(), None), 0
    )


def test_kl_agrees_with_monte_carlo(random):
    q = diagonal(random.normal(size=(1, 3)), random.uniform(0.3, 1.5, (1, 3)))
    prior = kv.priors.StandardNormal(3)()
    z = draw(q, Noise(0), (20_000,))
    estimates = (q.log_prob(z) - prior.log_prob(z)).numpy()
    error = estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - float(objectives.kl_divergence(q, prior, None)[0])) < 4 * error


def test_kl_without_closed_form_is_estimated_at_the_sample(random):
    q = diagonal(random.normal(size=(4, 3)), random.uniform(0.3, 1.5, (4, 3)))
    prior = tfd.Independent(tfd.Laplace(tf.zeros(3), tf.ones(3)), 1)
    z = draw(q, Noise(0))
    assert objectives.kl_method(q, prior) == "monte_carlo"
    assert objectives.kl_method(q, kv.priors.StandardNormal(3)()) == "analytic"
    np.testing.assert_allclose(objectives.kl_divergence(q, prior, z), q.log_prob(z) - prior.log_prob(z))


def test_elbo_weighs_the_kl():
    np.testing.assert_allclose(objectives.elbo(tf.constant([-3.0]), tf.constant([2.0]), 4.0), [-11.0])
    np.testing.assert_allclose(objectives.elbo(tf.constant([-3.0]), tf.constant([2.0])), [-5.0])


@pytest.fixture(scope="module")
def linear():
    """A linear-Gaussian model whose posterior is diagonal, because the columns of W are orthogonal."""
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM_X, LATENT_DIM)))[0]
    return reference.LinearGaussian(basis * [2.0, 0.7], np.linspace(-1, 1, DIM_X))


def linear_vae(linear, stretch=1.0):
    """Returns a VAE that is the linear-Gaussian model with its exact posterior, scales multiplied by `stretch`."""
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(LATENT_DIM, min_scale=1e-6)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((DIM_X,))),
        seed=0,
    )
    gain = linear.weights @ linear.posterior_covariance
    raw = np.log(np.expm1(np.sqrt(np.diag(linear.posterior_covariance)) * stretch - 1e-6)) - UNIT
    kernel = np.concatenate([gain, np.zeros_like(gain)], axis=1)
    vae.encoder.posterior._projection.set_weights([kernel, np.concatenate([-linear.bias @ gain, raw])])
    vae.decoder.likelihood._projection.set_weights([linear.weights.T, linear.bias])
    vae.compile()
    return vae


def test_at_the_exact_posterior_elbo_and_bound_are_the_evidence(linear):
    x = linear.sample(20)
    elbo, bound = linear_vae(linear).bounds(x, num_samples=7)
    np.testing.assert_allclose(elbo, linear.log_evidence(x), atol=1e-4)
    np.testing.assert_allclose(bound, linear.log_evidence(x), atol=1e-4)


def test_evaluate_reports_the_exact_expected_elbo(linear):
    x, vae = linear.sample(20_000), linear_vae(linear, stretch=1.3)
    metrics = vae.evaluate(x, batch_size=20_000, verbose=0, return_dict=True)
    covariance = linear.posterior_covariance * 1.3**2
    expected = linear.elbo(x, linear.posterior_mean(x), covariance)
    # log p(x|z) is sampled: its standard deviation is below 2.5 nats an image.
    assert abs(metrics["elbo"] - expected.mean()) < 4 * 2.5 / np.sqrt(len(x))
    np.testing.assert_allclose(metrics["loss"], -metrics["elbo"], rtol=1e-6)
    np.testing.assert_allclose(metrics["elbo"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-5)


def test_bounds_are_ordered_and_close_as_samples_grow(linear):
    x, vae = linear.sample(400), linear_vae(linear, stretch=1.6)
    elbo, _ = vae.bounds(x, num_samples=200)
    means = [vae.bounds(x, num_samples=k)[1].mean() for k in (1, 5, 50)]
    evidence = linear.log_evidence(x).mean()
    expected = linear.elbo(x, linear.posterior_mean(x), linear.posterior_covariance * 1.6**2).mean()
    np.testing.assert_allclose(elbo.mean(), expected, atol=0.02)
    assert expected - 0.2 < means[0] < means[1] < means[2] < evidence + 0.01


def test_importance_weighted_estimate_meets_the_evidence_within_its_error(linear):
    x, vae = linear.sample(10), linear_vae(linear, stretch=1.5)
    runs = np.stack([vae.log_prob(x, num_samples=1000, seed=seed) for seed in range(20)])
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    gap = runs.mean(axis=0) - linear.log_evidence(x)
    # Jensen's bias at K = 1000 is about half the variance of one run: far below the error of twenty.
    assert np.all(np.abs(gap) < 4 * error)


def test_training_finds_the_evidence(linear):
    x = linear.sample(2000, seed=1)
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(LATENT_DIM)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((DIM_X,))),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(x, batch_size=200, epochs=60, verbose=0)
    # The maximum of the likelihood reaches the evidence of the truth on its own data.
    np.testing.assert_allclose(vae.bounds(x, 50)[1].mean(), linear.log_evidence(x).mean(), atol=0.05)
