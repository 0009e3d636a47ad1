"""softplus against NumPy, and its gradient against the sigmoid."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.distributions.softplus import UNIT, raw_of_scale, scale, softplus, softplus_sum

# The least normal float32 is 1e-38: below, zero will do.
X = np.array([-100.0, -20.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 20.0, 89.0, 100.0, 1e30])


def test_softplus_is_the_log_of_one_plus_the_exponential():
    np.testing.assert_allclose(softplus(tf.constant(X, tf.float32)), np.logaddexp(0.0, X), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(softplus(tf.constant(UNIT)), 1.0, rtol=1e-6)


def test_gradient_is_the_sigmoid_at_zero_too():
    x = tf.constant(X, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = softplus(x)
    np.testing.assert_allclose(tape.gradient(y, x), 1.0 / (1.0 + np.exp(-X)), rtol=1e-6, atol=1e-37)


def test_a_scale_is_softplus_plus_its_floor_and_starts_at_one():
    np.testing.assert_allclose(
        scale(tf.constant(X, tf.float32), 1e-3), np.logaddexp(0.0, X + UNIT) + 1e-3, rtol=1e-6, atol=1e-37
    )
    np.testing.assert_allclose(scale(tf.constant(0.0), 0.25), 1.25, rtol=1e-6)


def test_raw_numbers_make_the_scales_they_were_made_of():
    scales = np.array([0.002, 0.1, 1.0, 7.0, 80.0])
    made = scale(tf.cast(raw_of_scale(scales, 1e-3), tf.float32), 1e-3)
    np.testing.assert_allclose(made, scales, rtol=1e-5)
    large = np.float32([1e3, 1e8, 1e12])
    np.testing.assert_allclose(scale(raw_of_scale(large, 1e-3), 1e-3), large, rtol=1e-6)
    # What is too small for the floor gets the least scale, and no NaN.
    np.testing.assert_allclose(scale(raw_of_scale(np.array([0.0, 1e-3]), 1e-3), 1e-3), 1e-3 + 1e-6)


@pytest.mark.parametrize("shape", [(1,), (3, 15), (3, 16), (2, 3, 17), (4, 784), (0, 5)])
@pytest.mark.parametrize("scale", [0.1, 5.0, 200.0])
def test_the_sum_is_that_of_softplus_and_its_gradient_the_sigmoid(shape, scale):
    x = (scale * np.random.default_rng(0).normal(size=shape)).astype(np.float32)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = softplus_sum(tensor)
    exact = np.logaddexp(0.0, x.astype(np.float64)).sum(-1)
    np.testing.assert_allclose(y, exact, rtol=3e-7, atol=1e-6)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(tape.gradient(y, tensor), 1.0 / (1.0 + np.exp(-x.astype(np.float64))), atol=3e-7)


def test_the_sum_is_finite_and_has_second_derivatives():
    x = tf.constant([[-1e30, -100.0, 0.0, 100.0, 1e30]])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = softplus_sum(x)
        first = inner.gradient(y, x)
    np.testing.assert_allclose(y, [1e30])
    np.testing.assert_allclose(outer.gradient(first, x)[0], [0.0, 0.0, 0.25, 0.0, 0.0], atol=1e-12)
