"""Learned scales: where they start, and how a shared one follows the residuals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_vae, slow_from

import keras_vae as kv
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import draw
from keras_vae.distributions.softplus import UNIT

HEADS = {"Gaussian": kv.likelihoods.Gaussian, "Laplace": kv.likelihoods.Laplace}
POWER = {"Gaussian": 2, "Laplace": 1}


@pytest.fixture
def random():
    return np.random.default_rng(0)


def built(name, scale, shape=(4,), features=(3,)):
    head = HEADS[name](shape, scale=scale)
    head.build((None, *features))
    return head


def set_scale(head, scale):
    head.raw_scale.assign(np.log(np.expm1(scale - head.min_scale)) - UNIT)


def shared_scale(head):
    return np.logaddexp(0.0, float(head.raw_scale.numpy()) + UNIT) + head.min_scale


# The start.


@pytest.mark.parametrize("name", HEADS)
def test_adapt_starts_a_shared_scale_at_the_deviation_of_all_values(name):
    head, deviation = built(name, "shared"), np.array([0.1, 0.2, 0.0, 30.0])
    head.adapt(np.arange(4.0), deviation)
    expected = np.sqrt(np.mean(deviation**2))
    np.testing.assert_allclose(head(tf.zeros((1, 3))).stddev(), np.full((1, 4), expected), rtol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_adapt_starts_each_scale_at_the_deviation_of_its_value(name):
    head, deviation = built(name, "per_value"), np.array([0.5, 7.0, 0.0, 1e8])
    head.adapt(np.arange(4.0), deviation)
    p = head(tf.zeros((1, 3)))
    np.testing.assert_allclose(p.mean(), [np.arange(4.0)], rtol=1e-6)
    # A small one, and that of a value which never changes, start at 1 among so large ones.
    np.testing.assert_allclose(p.stddev(), [[1.0, 7.0, 1.0, 1e8]], rtol=1e-5)


def test_the_floor_of_a_start_is_a_tenth_of_the_mean_variance():
    head = built("Gaussian", "per_value")
    head.adapt(np.zeros(4), np.array([0.4, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(head(tf.zeros((1, 3))).stddev(), [[0.4, *[np.sqrt(0.004)] * 3]], rtol=1e-5)


def test_a_convolutional_head_starts_at_the_deviation_of_each_channel():
    head = built("Gaussian", "per_value", shape=(2, 2, 2), features=(2, 2, 5))
    deviation = np.stack([[[0.3, 0.4], [0.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]], axis=-1)
    head.adapt(np.zeros((2, 2, 2)), deviation)
    expected = np.broadcast_to([0.25, 0.5], (1, 2, 2, 2))
    np.testing.assert_allclose(head(tf.zeros((1, 2, 2, 5))).stddev(), expected, rtol=1e-5)


def test_adapting_a_model_takes_the_deviation_of_its_data(random):
    x = random.normal([3.0, -2.0], [0.5, 0.1], (400, 2)).astype(np.float32)
    vae = make_vae((2,), likelihood=kv.likelihoods.Gaussian((2,), scale="shared"))
    vae.adapt(x)
    np.testing.assert_allclose(shared_scale(vae.decoder.likelihood), np.sqrt(x.var(axis=0).mean()), rtol=1e-5)


# The steps.


@pytest.mark.parametrize("start", [1.0, 0.05, 1e4])
@pytest.mark.parametrize("name", HEADS)
def test_a_step_goes_a_quarter_of_the_way_to_the_closed_form_of_the_batch(random, name, start):
    head, p = built(name, "shared"), POWER[name]
    set_scale(head, np.float64(start)) if start < 100 else head.raw_scale.assign(start - UNIT - 1e-3)
    x, weights = random.normal(0, 0.3, (7, 4)).astype(np.float32), np.float32([1, 0, 2, 1, 3, 1, 0.5])
    with tf.GradientTape() as tape:
        log_prob = head.distribution(tf.zeros((7, 4, 1))).log_prob(x)
        loss = -tf.reduce_sum(weights * log_prob) / weights.sum()
    gradient = tape.gradient(loss, head.raw_scale.value)
    ((variable, value),) = head.closed_form(lambda _: gradient)
    assert variable is head.raw_scale
    head.raw_scale.assign(value)
    best = np.average((np.abs(x) ** p).mean(axis=1), weights=weights)
    np.testing.assert_allclose(shared_scale(head) ** p, 0.75 * start**p + 0.25 * best, rtol=1e-4)


def test_a_gradient_that_is_not_finite_leaves_the_scale():
    head = built("Gaussian", "shared")
    set_scale(head, 0.3)
    ((_, value),) = head.closed_form(lambda _: tf.constant(np.nan))
    np.testing.assert_array_equal(value, head.raw_scale)


def test_values_that_are_predicted_exactly_take_the_scale_to_its_floor():
    head = kv.likelihoods.Gaussian((4,), scale="shared", min_scale=0.02)
    head.build((None, 3))
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(head.distribution(tf.zeros((5, 4, 1))).log_prob(tf.zeros((5, 4))))
        gradient = tape.gradient(loss, head.raw_scale.value)
        head.raw_scale.assign(head.closed_form(lambda _, gradient=gradient: gradient)[0][1])
    np.testing.assert_allclose(shared_scale(head), 0.02 + 1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "objective", [kv.objectives.ELBO(), kv.objectives.IWAE(3), kv.objectives.DReG(3)], ids=lambda o: type(o).__name__
)
def test_without_adapting_and_at_no_learning_rate_it_still_finds_the_residuals(random, objective):
    x = random.normal(0.0, 0.02, (256, 5)).astype(np.float32)
    vae = make_vae((5,), likelihood=kv.likelihoods.Gaussian((5,), scale="shared"), objective=objective)
    kernel = vae.decoder.likelihood._projection.kernel
    kernel.assign(tf.zeros_like(kernel.value))  # the locations are 0: the residuals are the data
    vae.compile(keras.optimizers.SGD(0.0))
    vae.fit(x, batch_size=16, epochs=4, verbose=0)
    np.testing.assert_allclose(shared_scale(vae.decoder.likelihood), np.sqrt(np.mean(x**2)), rtol=0.05)


def test_the_scale_of_a_frozen_decoder_stays(random):
    vae = make_vae((5,), likelihood=kv.likelihoods.Gaussian((5,), scale="shared"))
    vae.decoder.trainable = False
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(random.normal(size=(64, 5)).astype(np.float32), epochs=1, verbose=0)
    np.testing.assert_array_equal(vae.decoder.likelihood.raw_scale, 0.0)


# One epoch.


def colored_discs(random, count=2300):
    """Returns pictures uint8 `(count, 16, 16, 3)` of a disc of any color on white."""
    y, x = np.mgrid[:16, :16]
    center, color = random.uniform(4, 12, (2, count, 1, 1)), random.integers(0, 200, (count, 1, 1, 3))
    inside = np.hypot(y - center[0], x - center[1]) < random.uniform(3, 7, (count, 1, 1))
    return np.where(inside[..., None], color, 255).astype(np.uint8)


def after_one_epoch(images, likelihood):
    """Returns the root of the mean square of scales and of residuals after one epoch of the rate of a default run."""
    vae = make_vae(images.event_shape, 8, likelihood, units=(256,))
    vae.adapt(images)
    vae.compile(keras.optimizers.Adam(2e-3))
    vae.fit(images, batch_size=64, epochs=1, verbose=0)
    x = images.numpy(seed=1)
    p = vae.decode(draw(vae.encode(x), Noise(0)))
    return np.sqrt(np.mean(np.square(p.stddev()))), np.sqrt(np.mean(np.square(x - p.mean())))


@pytest.mark.parametrize("data", slow_from(1, ["color", "gray"]))
@pytest.mark.parametrize("scale", slow_from(1, ["per_value", "shared"]))
def test_after_one_epoch_the_scale_is_that_of_the_residuals(random, data, scale):
    if data == "color":
        images = kv.data.dequantize(kv.data.Examples(colored_discs(random), divisor=255.0))
    else:
        images = kv.data.load("mnist", binarization="none", dequantization="uniform").train[:3000]
    actual, residual = after_one_epoch(images, kv.likelihoods.Gaussian(images.event_shape, scale=scale))
    np.testing.assert_allclose(actual, residual, rtol=0.1)
    assert residual < 0.9 * images.deviation().max()
