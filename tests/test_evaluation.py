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


def test_kl_per_dimension_sums_to_the_kl(vae, binary):
    loc, scale = evaluation.posterior_moments(vae, binary, batch_size=7)
    per_dimension = evaluation.gaussian_kl_per_dimension(loc, scale)
    np.testing.assert_allclose(per_dimension.sum(), reference.standard_normal_kl(loc, scale).mean(), rtol=1e-5)


@pytest.mark.parametrize(("spread", "expected"), [([1.0, 0.2, 0.05, 0.0], 2), ([0.0, 0.0, 0.0, 0.0], 0)])
def test_active_units_are_the_dimensions_whose_mean_varies(spread, expected):
    loc = np.random.default_rng(0).normal(size=(2000, 4)) * spread
    assert evaluation.active_units(loc) == expected


def test_standard_error_of_one_value_is_zero():
    assert evaluation.standard_error(np.array([3.0])) == 0.0
