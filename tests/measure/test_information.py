"""The split of the KL against models in which both parts are known."""

import numpy as np
import pytest
import reference
import scipy.special
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import make_vae, slow_from

from keras_vae.measure import information

tfd = tfp.distributions


def diagonal(loc, scale):
    loc = tf.constant(loc, tf.float32)
    return tfd.Independent(tfd.Normal(loc, scale * tf.ones_like(loc)), 1)


def standard(latent_dim):
    return tfd.Independent(tfd.Normal(tf.zeros(latent_dim), 1.0), 1)


def linear_gaussian(count, weights=((1.0,), (0.5,)), seed=0):
    """Returns a probabilistic PCA and its exact posterior of `count` draws of x."""
    model = reference.LinearGaussian(weights, np.zeros(len(weights)))
    loc = model.posterior_mean(model.sample(count, seed))
    scale_tril = np.linalg.cholesky(model.posterior_covariance).astype(np.float32)
    return model, tfd.MultivariateNormalTriL(tf.constant(loc, tf.float32), scale_tril)


@pytest.mark.parametrize(
    "weights",
    slow_from(1, [[(1.0, 0.0), (0.3, 1.0), (0.0, 0.4)], [(1.0,), (0.5,)]]),
    ids=["two dimensions", "one dimension"],
)
def test_of_the_exact_posterior_information_is_that_of_the_model_and_the_marginal_is_the_prior(weights):
    model, posterior = linear_gaussian(5000, weights)
    split = information.split_kl(posterior, standard(model.latent_dim))
    expected = -0.5 * np.linalg.slogdet(model.posterior_covariance)[1]  # I(x; z) = log det(I + W^T W) / 2
    # 5000 examples stand for all x: they take some 1/1000 of a nat from one part and give it to the other.
    assert abs(split["mutual_information"] - expected) < 4 * split["mutual_information_standard_error"] + 1e-3
    assert abs(split["marginal_kl"]) < 4 * split["marginal_kl_standard_error"] + 1e-3
    assert split["mutual_information_standard_error"] < 0.05 * expected
    assert split["marginal_kl_standard_error"] < 0.01


@pytest.mark.slow
def test_a_posterior_that_is_off_adds_the_kl_of_its_marginal_to_the_prior():
    _, exact = linear_gaussian(5000)
    shifted = tfd.MultivariateNormalTriL(exact.loc + 0.7, exact.scale_tril)
    split, before = information.split_kl(shifted, standard(1)), information.split_kl(exact, standard(1))
    # q(z) = N(0.7, 1): KL = 0.7^2 / 2, and the information is that of before.
    assert abs(split["marginal_kl"] - 0.245) < 4 * split["marginal_kl_standard_error"] + 1e-3
    np.testing.assert_allclose(split["mutual_information"], before["mutual_information"], atol=1e-4)


def test_parts_sum_to_the_mean_kl():
    random = np.random.default_rng(0)
    loc, scale = random.normal(size=(400, 3)), np.float32(0.5)
    split = information.split_kl(diagonal(loc, scale), standard(3), num_samples=20)
    assert split["mutual_information"] + split["marginal_kl"] == pytest.approx(split["kl"], rel=1e-9)
    closed = reference.standard_normal_kl(loc, np.full_like(loc, scale))
    # Of each example the mean of 20 samples; only their noise counts here, so the standard error is more than needed.
    assert abs(split["kl"] - closed.mean()) < 4 * split["kl_standard_error"]


def test_posteriors_far_apart_have_log_n_of_information():
    split = information.split_kl(diagonal(100.0 * np.arange(50)[:, None], 1.0), standard(1))
    np.testing.assert_allclose(split["mutual_information"], np.log(50), rtol=1e-6)
    assert split["max_mutual_information"] == pytest.approx(np.log(50), rel=1e-12)
    assert split["num_examples"] == 50


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 10.0])
def test_information_is_between_zero_and_log_n(spread):
    loc = spread * np.random.default_rng(0).normal(size=(60, 2))
    split = information.split_kl(diagonal(loc, 1.0), standard(2), num_samples=50)
    assert split["mutual_information"] <= split["max_mutual_information"] + 1e-6
    assert split["mutual_information"] >= -4 * split["mutual_information_standard_error"] - 1e-6


def test_equal_posteriors_have_no_information():
    split = information.split_kl(diagonal(np.full((30, 2), 0.5), 0.8), standard(2), num_samples=100)
    np.testing.assert_allclose(split["mutual_information"], 0.0, atol=1e-5)
    expected = reference.standard_normal_kl(np.full((1, 2), 0.5), np.full((1, 2), 0.8))[0]
    assert abs(split["marginal_kl"] - expected) < 4 * split["marginal_kl_standard_error"]


def test_a_posterior_that_is_the_prior_has_no_kl():
    split = information.split_kl(diagonal(np.zeros((20, 3)), 1.0), standard(3))
    np.testing.assert_allclose([split[name] for name in ("kl", "mutual_information", "marginal_kl")], 0.0, atol=1e-5)


def test_two_gaussians_have_the_information_of_a_binary_channel():
    # N(-m, 1) or N(m, 1): I = log 2 - E[log(1 + exp(-2 m z))], z ~ N(m, 1), by quadrature.
    m = 0.9
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    expected = np.log(2) - (weights * np.logaddexp(0.0, -2 * m * (nodes + m))).sum() / weights.sum()
    split = information.split_kl(diagonal([[-m], [m]], 1.0), standard(1), num_samples=20_000)
    # Of one sample the term has a deviation below 1 nat: 40000 of them have a standard error below 0.005.
    assert abs(split["mutual_information"] - expected) < 4 * 0.005


@pytest.mark.parametrize("pairs", [1, 700, 10**6])
def test_blocks_of_any_size_give_the_density_of_the_mixture(pairs, monkeypatch):
    monkeypatch.setattr(information, "PAIRS", pairs)
    random = np.random.default_rng(0)
    loc, z = random.normal(size=(23, 3)), random.normal(size=(31, 3)).astype(np.float32)
    pairwise = [reference.normal_log_prob(z, mean, 0.5) for mean in loc]
    expected = scipy.special.logsumexp(pairwise, axis=0) - np.log(23)
    np.testing.assert_allclose(information.aggregate_log_prob(diagonal(loc, 0.5), z), expected, rtol=1e-5)


def test_the_split_of_a_model_is_that_of_its_posteriors(binary):
    vae = make_vae()
    posterior = vae.encode(binary)
    split = information.split_kl(posterior, vae.prior_distribution(), num_samples=200)
    closed = reference.standard_normal_kl(posterior.mean(), posterior.stddev()).mean()
    assert abs(split["kl"] - closed) < 4 * split["kl_standard_error"]
    assert split["mutual_information"] < np.log(50)


def test_samples_follow_the_seed():
    posterior = diagonal(np.arange(10.0)[:, None], 1.0)
    first = information.split_kl(posterior, standard(1), seed=3)
    assert information.split_kl(posterior, standard(1), seed=3) == first
    assert information.split_kl(posterior, standard(1), seed=4)["kl"] != first["kl"]


@pytest.mark.parametrize(
    ("posterior", "message"),
    [
        (standard(3), r"`posterior` must have batch shape \(count,\).*Received: batch shape \(\)"),
        (tfd.Normal(tf.zeros(3), 1.0), r"event shape \(\)"),
        (tfd.Independent(tfd.Normal(tf.zeros((2, 2)), np.inf), 1), "finite density .*Received: Independent"),
    ],
)
def test_what_is_no_posterior_is_refused(posterior, message):
    with pytest.raises(ValueError, match=message):
        information.split_kl(posterior, standard(3))


@pytest.mark.parametrize(("name", "value"), [("num_samples", 0), ("seed", -1)])
def test_bad_numbers_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"`{name}` .*{name}={value}"):
        information.split_kl(diagonal(np.zeros((2, 1)), 1.0), standard(1), **{name: value})
