"""Measurement against NumPy."""

import numpy as np
import pytest
import reference
import tensorflow as tf
from helpers import SHAPE, make_vae

import keras_vae as kv
from keras_vae.data import Examples, dequantize
from keras_vae.measure import evaluation
from keras_vae.models import codes
from keras_vae.utils import statistics


def test_report_is_made_of_the_model_s_own_numbers(vae, binary):
    report = evaluation.evaluate(vae, binary, num_importance_samples=4, seed=3)
    elbo, bound = vae.bounds(binary, 4, seed=3)
    np.testing.assert_allclose(report["elbo"], elbo.mean(), rtol=1e-6)
    np.testing.assert_allclose(report["log_likelihood"], bound.mean(), rtol=1e-6)
    np.testing.assert_allclose(report["log_likelihood_standard_error"], bound.std(ddof=1) / np.sqrt(50), rtol=1e-5)
    assert (report["num_importance_samples"], report["num_examples"]) == (4, 50)
    assert report["elbo"] < report["log_likelihood"]


def test_kl_per_dimension_sums_to_the_kl(vae, binary, monkeypatch):
    monkeypatch.setattr(codes, "BATCH_SIZE", 7)
    posterior = vae.encode(binary)
    expected = reference.standard_normal_kl(posterior.mean(), posterior.stddev()).mean()
    np.testing.assert_allclose(sum(evaluation.mean_kl_per_dimension(vae, binary)), expected, rtol=1e-5)
    assert evaluation.mean_kl(vae, binary) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(codes.posterior_centers(vae, binary), posterior.mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_without_a_closed_form_the_kl_is_estimated_at_one_z_for_each_example(binary, monkeypatch):
    monkeypatch.setattr(codes, "BATCH_SIZE", 30)
    vae = make_vae(prior=kv.priors.MixtureOfGaussians(3, 5))
    seen = [evaluation.mean_kl(vae, binary, seed) for seed in range(200)]
    # The ELBO is the mean of log p(x|z) less the KL, at other draws of z.
    posterior, prior = vae.encode(binary), vae.prior_distribution()
    z = posterior.sample(2000, seed=0)
    many = (posterior.log_prob(z) - prior.log_prob(z)).numpy().mean(axis=1)
    difference = np.mean(seen) - many.mean()
    assert abs(difference) < 4 * np.sqrt(np.var(seen) / len(seen) + np.var(many) / len(many))
    assert evaluation.evaluate(vae, binary, 2, seed=3)["kl"] == evaluation.mean_kl(vae, binary, seed=3)


def test_reconstruction_error_is_the_mean_squared_distance(vae, binary):
    expected = ((binary - vae.reconstruct(binary).numpy()) ** 2).reshape(50, -1).sum(1).mean()
    np.testing.assert_allclose(evaluation.reconstruction_error(vae, binary), expected, rtol=1e-5)


def test_bits_per_dimension_of_binary_values_are_the_log_likelihood_in_other_units(vae, binary):
    report = evaluation.evaluate(vae, binary, num_importance_samples=2)
    np.testing.assert_allclose(report["bits_per_dimension"] * np.log(2) * 30, -report["log_likelihood"], rtol=1e-6)
    assert report["measure"] == "probability of binary values"


def eight_bit():
    return Examples(np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8), divisor=255.0)


def test_bits_of_a_uniform_density_on_dequantized_values_are_the_eight_of_a_uniform_byte():
    # A continuous Bernoulli at logit 0 is the uniform density on [0, 1]: -log p = 0 nats, that is 8 bits a byte.
    vae = make_vae(likelihood=kv.likelihoods.ContinuousBernoulli(SHAPE))
    for weight in vae.decoder.likelihood.weights:
        weight.assign(tf.zeros_like(weight))
    images = dequantize(eight_bit())
    bits = evaluation.bits_per_dimension(vae, images, float(vae.decode(np.zeros((20, 3))).log_prob(images.numpy())[0]))
    np.testing.assert_allclose(bits, 8.0, rtol=1e-6)
    assert "256-level values with uniform dequantization" in evaluation.describe_measure(vae, images)
    report = evaluation.evaluate(vae, images, num_importance_samples=2)
    np.testing.assert_allclose(report["bits_per_dimension"], 8.0 - report["log_likelihood"] / np.log(2) / 30, rtol=1e-6)


def test_a_density_of_dequantized_values_and_a_mass_of_bytes_agree_where_they_are_the_same_model():
    # log p of a density that is constant over each level, minus log 256 a value, is the log mass of that level.
    random = np.random.default_rng(1)
    masses = random.dirichlet(np.ones(256))
    values = random.integers(0, 256, 10_000)
    density = np.log(256 * masses[values]).sum()
    expected = -np.log2(masses[values]).mean()
    vae = make_vae((10, 10, 100), likelihood=kv.likelihoods.ContinuousBernoulli((10, 10, 100)))
    images = Examples(np.zeros((1, 10, 10, 100), np.float32), levels=256)
    np.testing.assert_allclose(evaluation.bits_per_dimension(vae, images, density), expected, rtol=1e-6)


def test_what_is_no_probability_has_no_bits():
    gray = eight_bit()
    for likelihood, words in (
        (kv.likelihoods.Bernoulli(SHAPE), "none: a Bernoulli of values between 0 and 1"),
        (kv.likelihoods.Gaussian(SHAPE), "without dequantization: not comparable"),
    ):
        report = evaluation.evaluate(make_vae(likelihood=likelihood), gray, num_importance_samples=2)
        assert words in report["measure"]
        assert report["bits_per_dimension"] is None
    levels = make_vae(likelihood=kv.likelihoods.DiscretizedLogisticMixture(SHAPE))
    assert evaluation.describe_measure(levels, gray) == "probability of values on 256 levels"


@pytest.mark.parametrize(("spread", "expected"), [([1.0, 0.2, 0.05, 0.0], 2), ([0.0, 0.0, 0.0, 0.0], 0)])
def test_active_units_are_the_dimensions_whose_mean_varies(spread, expected):
    loc = np.random.default_rng(0).normal(size=(2000, 4)) * spread
    assert evaluation.active_units(loc) == expected


def test_standard_error_of_one_value_is_zero():
    assert statistics.standard_error(np.array([3.0])) == 0.0


def test_whole_numbers_have_a_probability_and_numbers_between_have_none():
    # Neither a density nor levels: a head such as a Poisson of one's own.
    vae = make_vae()
    counts = Examples(np.arange(60.0).reshape(2, *SHAPE))
    assert evaluation.describe_measure(vae, counts) == "probability of integers"
    assert evaluation.bits_per_dimension(vae, counts, -30 * np.log(2.0)) == pytest.approx(1.0)
    between = Examples(counts.values + 0.5)
    assert evaluation.describe_measure(vae, between).startswith("none: ")
    assert evaluation.bits_per_dimension(vae, between, -1.0) is None
