"""Likelihood heads against closed forms."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

import keras_vae as kv

COLOUR = (4, 3, 3)


def at(head, parameters):
    """Returns the distribution of a head at given parameters."""
    return head.distribution(tf.constant(parameters, tf.float32)[..., None])


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_bernoulli_log_prob_is_the_closed_form_summed_over_pixels_and_channels(random):
    logits, x = random.normal(0, 3, (7, *COLOUR)), random.integers(0, 2, (7, *COLOUR))
    actual = at(kv.likelihoods.Bernoulli(COLOUR), logits).log_prob(x.astype(np.float32))
    np.testing.assert_allclose(actual, reference.bernoulli_log_prob(x, logits), rtol=1e-5)


def test_bernoulli_accepts_grey_values(random):
    logits, x = random.normal(0, 3, (7, *COLOUR)), random.random((7, *COLOUR))
    actual = at(kv.likelihoods.Bernoulli(COLOUR), logits).log_prob(x.astype(np.float32))
    np.testing.assert_allclose(actual, reference.bernoulli_log_prob(np.float32(x), logits), rtol=1e-5)


@pytest.mark.parametrize("logit", [-100.0, -88.0, 88.0, 100.0])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_bernoulli_is_finite_with_finite_gradient_at_extreme_logits(logit, x):
    parameters = tf.Variable(tf.fill((1, 1, 1, 1, 1), logit))
    with tf.GradientTape() as tape:
        log_prob = kv.likelihoods.Bernoulli((1, 1, 1)).distribution(parameters).log_prob(tf.fill((1, 1, 1, 1), x))
    expected = -max(logit, 0.0) if x == 0.0 else -max(-logit, 0.0)
    np.testing.assert_allclose(log_prob, [expected], atol=1e-6)
    np.testing.assert_allclose(tape.gradient(log_prob, parameters)[0, 0, 0, 0], [x - (logit > 0)], atol=1e-6)


def test_bernoulli_masses_sum_to_one():
    images = np.array([[(i >> b) & 1 for b in range(4)] for i in range(16)], np.float32).reshape(16, 2, 2, 1)
    logits = np.tile(np.random.default_rng(1).normal(size=(1, 2, 2, 1)), (16, 1, 1, 1))
    log_prob = at(kv.likelihoods.Bernoulli((2, 2, 1)), logits).log_prob(images)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_gaussian_log_prob_is_the_closed_form(random, scale):
    loc, x = random.normal(size=(7, *COLOUR)), random.normal(size=(7, *COLOUR)).astype(np.float32)
    actual = at(kv.likelihoods.Gaussian(COLOUR, scale=scale), loc).log_prob(x)
    np.testing.assert_allclose(actual, reference.normal_log_prob(x, np.float32(loc), scale), rtol=1e-5)


def test_unit_gaussian_is_half_the_squared_distance_plus_a_constant(random):
    loc, x = random.normal(size=(7, *COLOUR)), random.normal(size=(7, *COLOUR)).astype(np.float32)
    squared = ((x - loc) ** 2).reshape(7, -1).sum(-1)
    constant = 0.5 * np.prod(COLOUR) * np.log(2 * np.pi)
    np.testing.assert_allclose(
        -at(kv.likelihoods.Gaussian(COLOUR), loc).log_prob(x), 0.5 * squared + constant, rtol=1e-5
    )


@pytest.mark.parametrize("features", [(5,), (4, 3, 2)], ids=["flat", "map"])
@pytest.mark.parametrize("head", [kv.likelihoods.Bernoulli, kv.likelihoods.Gaussian])
def test_adapt_starts_at_the_mean_of_the_data(head, features):
    layer = head(COLOUR)
    layer.build((None, *features))
    mean = np.broadcast_to([0.2, 0.5, 0.9], COLOUR)
    layer.adapt(mean)
    actual = layer(tf.zeros((2, *features))).mean()
    # 0.01: the Bernoulli keeps 1% away from 0 and 1.
    np.testing.assert_allclose(actual, np.broadcast_to(mean, (2, *COLOUR)), atol=0.01)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, np.nan], "finite"),
        ([0.0, np.inf], "finite"),
        ([0.0, 255.0], r"\[0, 1\].*from 0 to 255.*divide by 255"),
        ([-1.0, 1.0], r"\[0, 1\].*from -1 to 1"),
    ],
)
def test_bernoulli_names_values_outside_its_support(values, message):
    with pytest.raises(ValueError, match=message):
        kv.likelihoods.Bernoulli((1,)).validate(np.array(values))


def test_gaussian_takes_any_finite_value():
    kv.likelihoods.Gaussian((1,)).validate(np.array([-1e6, 1e6]))
    with pytest.raises(ValueError, match="finite"):
        kv.likelihoods.Gaussian((1,)).validate(np.array([0.0, np.nan]))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), "1"])
def test_gaussian_names_a_bad_scale(scale):
    with pytest.raises(ValueError, match="`scale` must be a positive number"):
        kv.likelihoods.Gaussian((1,), scale=scale)


@pytest.mark.parametrize("event_shape", [(0, 2, 1), (2.5,), 28, "ab"])
def test_a_bad_event_shape_is_named(event_shape):
    with pytest.raises(ValueError, match="`event_shape` must be a tuple of positive integers"):
        kv.likelihoods.Bernoulli(event_shape)


def test_heads_stay_in_float32_under_mixed_precision():
    head = kv.likelihoods.Bernoulli((2, 2, 1), dtype=keras.DTypePolicy("mixed_bfloat16"))
    head.build((None, 3))
    assert head(tf.ones((1, 3), tf.bfloat16)).log_prob(tf.ones((1, 2, 2, 1))).dtype == tf.float32
