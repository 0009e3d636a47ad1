"""Posterior and prior heads against closed forms."""

import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae as kv
from keras_vae.posteriors import UNIT

tfd = tfp.distributions


def test_zero_parameters_are_the_standard_normal_up_to_the_floor():
    q = kv.posteriors.DiagonalGaussian(3, min_scale=1e-4).distribution(tf.zeros((2, 6)))
    np.testing.assert_allclose(q.mean(), np.zeros((2, 3)))
    np.testing.assert_allclose(q.stddev(), np.full((2, 3), 1.0001), rtol=1e-5)


@pytest.mark.parametrize("raw", [-100.0, -20.0, 0.0, 50.0])
def test_scale_is_softplus_plus_floor_and_never_below_it(raw):
    q = kv.posteriors.DiagonalGaussian(1, min_scale=1e-3).distribution(tf.constant([[0.0, raw]]))
    np.testing.assert_allclose(q.stddev(), [[np.logaddexp(0.0, raw + UNIT) + 1e-3]], rtol=1e-5)


def test_log_prob_is_the_closed_form():
    random = np.random.default_rng(0)
    parameters, z = random.normal(size=(5, 6)).astype(np.float32), random.normal(size=(5, 3)).astype(np.float32)
    q = kv.posteriors.DiagonalGaussian(3).distribution(tf.constant(parameters))
    scale = np.logaddexp(0.0, parameters[:, 3:] + UNIT) + 1e-4
    np.testing.assert_allclose(q.log_prob(z), reference.normal_log_prob(z, parameters[:, :3], scale), rtol=1e-5)


def test_standard_normal_log_prob_is_the_closed_form():
    z = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(
        kv.priors.StandardNormal(4)().log_prob(z), reference.normal_log_prob(z, np.zeros(4), np.ones(4)), rtol=1e-5
    )


@pytest.mark.parametrize("latent_dim", [0, -1, 2.5, "3", True, None])
@pytest.mark.parametrize("head", [kv.posteriors.DiagonalGaussian, kv.priors.StandardNormal])
def test_a_bad_latent_dim_is_named(head, latent_dim):
    with pytest.raises(ValueError, match="`latent_dim` must be a positive integer"):
        head(latent_dim)


def test_posterior_flattens_feature_maps():
    head = kv.posteriors.DiagonalGaussian(2)
    head.build((None, 3, 2, 4))
    q = head(tf.ones((5, 3, 2, 4)))
    assert isinstance(q, tfd.Distribution)
    assert (q.batch_shape, q.event_shape) == ((5,), (2,))
