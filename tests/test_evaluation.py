"""Measurement against NumPy."""

import numpy as np
import pytest
import reference

from keras_vae import evaluation


def test_report_is_made_of_the_model_s_own_numbers(vae, binary):
    report = evaluation.evaluate(vae, binary, num_importance_samples=4, seed=3)
    elbo, bound = vae.bounds(binary, 4, seed=3)
    np.testing.assert_allclose(report["elbo"], elbo.mean(), rtol=1e-6)
    np.testing.assert_allclose(report["log_likelihood"], bound.mean(), rtol=1e-6)
    np.testing.assert_allclose(report["log_likelihood_standard_error"], bound.std(ddof=1) / np.sqrt(50), rtol=1e-5)
    assert (report["num_importance_samples"], report["num_examples"]) == (4, 50)
    assert report["elbo"] < report["log_likelihood"]


def test_kl_per_dimension_sums_to_the_kl(vae, binary, monkeypatch):
    monkeypatch.setattr(evaluation, "BATCH_SIZE", 7)
    posterior = vae.encode(binary)
    expected = reference.standard_normal_kl(posterior.mean(), posterior.stddev()).mean()
    np.testing.assert_allclose(sum(evaluation.mean_kl_per_dimension(vae, binary)), expected, rtol=1e-5)
    np.testing.assert_allclose(evaluation.posterior_centers(vae, binary), posterior.mean(), rtol=1e-5, atol=1e-6)


def test_reconstruction_error_is_the_mean_squared_distance(vae, binary):
    expected = ((binary - vae.reconstruct(binary).numpy()) ** 2).reshape(50, -1).sum(1).mean()
    np.testing.assert_allclose(evaluation.reconstruction_error(vae, binary), expected, rtol=1e-5)


def test_bits_per_dimension_are_the_log_likelihood_in_other_units(vae, binary):
    report = evaluation.evaluate(vae, binary, num_importance_samples=2)
    np.testing.assert_allclose(report["bits_per_dimension"] * np.log(2) * 30, -report["log_likelihood"], rtol=1e-6)


@pytest.mark.parametrize(("spread", "expected"), [([1.0, 0.2, 0.05, 0.0], 2), ([0.0, 0.0, 0.0, 0.0], 0)])
def test_active_units_are_the_dimensions_whose_mean_varies(spread, expected):
    loc = np.random.default_rng(0).normal(size=(2000, 4)) * spread
    assert evaluation.active_units(loc) == expected


def test_standard_error_of_one_value_is_zero():
    assert evaluation.standard_error(np.array([3.0])) == 0.0
