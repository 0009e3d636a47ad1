"""Schedules against their formulas."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from helpers import make_vae, slow_from

from keras_vae import objectives
from keras_vae.objectives import schedules
from keras_vae.objectives.schedules import Constant, Cosine, Cyclic, Linear

SCHEDULES = {
    "constant": Constant(0.7),
    "linear": Linear(10, start=1.0, end=3.0),
    "falling": Linear(4, start=2.0, end=0.0),
    "cosine": Cosine(8, start=0.5, end=2.5),
    "cyclic": Cyclic(20, start=0.0, end=4.0, rise=0.25),
    "sawtooth": Cyclic(5, rise=1.0),
}


def half_cosine(t):
    return 0.5 - 0.5 * math.cos(math.pi * t)


@pytest.mark.parametrize(
    ("name", "step", "expected"),
    [
        ("constant", 0, 0.7),
        ("constant", 10**9, 0.7),
        ("linear", 0, 1.0),
        ("linear", 1, 1.2),
        ("linear", 5, 2.0),
        ("linear", 10, 3.0),
        ("linear", 11, 3.0),
        ("linear", 10**12, 3.0),
        ("falling", 1, 1.5),
        ("falling", 9, 0.0),
        ("cosine", 0, 0.5),
        ("cosine", 1, 0.5 + 2.0 * half_cosine(1 / 8)),
        ("cosine", 4, 1.5),
        ("cosine", 7, 0.5 + 2.0 * half_cosine(7 / 8)),
        ("cosine", 8, 2.5),
        ("cosine", 800, 2.5),
        ("cyclic", 0, 0.0),
        ("cyclic", 2, 1.6),
        ("cyclic", 5, 4.0),
        ("cyclic", 19, 4.0),
        ("cyclic", 20, 0.0),
        ("cyclic", 42, 1.6),
        ("cyclic", 20 * 2**40 + 3, 2.4),
        ("sawtooth", 4, 0.8),
        ("sawtooth", 5, 0.0),
    ],
)
def test_values_are_the_formula(name, step, expected):
    value = SCHEDULES[name](tf.constant(step, tf.int64))
    assert value.dtype == tf.float32
    assert value.shape == ()
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(SCHEDULES[name](step), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_compiled_graph_gives_the_same_values(name):
    compiled = tf.function(SCHEDULES[name], input_signature=[tf.TensorSpec((), tf.int64)])
    steps = tf.range(45, dtype=tf.int64)
    np.testing.assert_allclose([compiled(i) for i in steps], [SCHEDULES[name](i) for i in steps], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_config_comes_back_through_keras_serialization(name):
    config = keras.saving.serialize_keras_object(SCHEDULES[name])
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(SCHEDULES[name])
    assert copy.get_config() == SCHEDULES[name].get_config()
    np.testing.assert_array_equal([copy(i) for i in range(45)], [SCHEDULES[name](i) for i in range(45)])


@pytest.mark.parametrize(
    ("name", "num_steps"), [("constant", 0), ("linear", 10), ("falling", 4), ("cosine", 8), ("cyclic", 20)]
)
def test_num_steps_is_the_end_of_the_ramp(name, num_steps):
    assert SCHEDULES[name].num_steps == num_steps


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1.0), "`value` must be a number of at least 0"),
        (lambda: Linear(0), "`num_steps` must be a positive integer"),
        (lambda: Linear(2.5), "`num_steps` must be a positive integer"),
        (lambda: Cosine(5, start=-0.1), "`start` must be a number of at least 0"),
        (lambda: Cosine(5, end=math.inf), "`end` must be a number of at least 0"),
        (lambda: Cyclic(5, rise=0.0), "`rise` must be a positive number"),
        (lambda: Cyclic(5, rise=1.5), "`rise` must be at most 1"),
        (lambda: schedules.as_schedule("kl_weight", "high"), "`kl_weight` must be a number of at least 0"),
    ],
)
def test_a_bad_argument_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_number_is_a_constant_and_a_schedule_is_itself():
    assert schedules.as_schedule("kl_weight", SCHEDULES["linear"]) is SCHEDULES["linear"]
    assert schedules.as_schedule("kl_weight", 2).get_config() == {"value": 2.0}


def test_fit_follows_the_schedule_step_by_step(binary):
    vae = make_vae(kl_weight=Linear(8))
    history = vae.fit(binary, batch_size=25, epochs=5, verbose=0).history
    # Two steps an epoch: the mean of step / 8 over them.
    np.testing.assert_allclose(history["kl_weight"], [0.5 / 8, 2.5 / 8, 4.5 / 8, 6.5 / 8, 1.0], rtol=1e-5)
    assert vae.evaluate(binary, batch_size=50, verbose=0, return_dict=True)["kl_weight"] == 1.0


def test_the_scheduled_weight_multiplies_the_kl_in_the_loss(binary):
    vae = make_vae(kl_weight=Linear(4, start=0.25))
    metrics = vae.evaluate(binary, batch_size=50, verbose=0, return_dict=True)
    np.testing.assert_allclose(metrics["loss"], -(metrics["log_likelihood"] - 0.25 * metrics["kl"]), rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-5)


@pytest.fixture
def warnings(monkeypatch):
    """The warnings that absl logs, as text."""
    logged = []
    monkeypatch.setattr(logging, "warning", lambda message, *args: logged.append(message % args))
    return logged


def test_fit_warns_when_the_warm_up_is_longer_than_the_run(binary, warnings):
    make_vae(kl_weight=Linear(100)).fit(binary, batch_size=25, epochs=5, verbose=0)
    assert len(warnings) == 1
    assert "kl_weight ends its warm-up after 100 steps, but training ended after 10, at kl_weight=0.1" in warnings[0]


@pytest.mark.parametrize(
    "kl_weight", slow_from(1, [Linear(10), Cosine(3), 0.5]), ids=["as long", "shorter", "constant"]
)
def test_fit_does_not_warn_when_the_warm_up_ends(binary, warnings, kl_weight):
    make_vae(kl_weight=kl_weight).fit(binary, batch_size=25, epochs=5, verbose=0)
    assert warnings == []


@pytest.mark.slow
def test_the_clock_is_the_training_step_and_not_that_of_the_optimizer(binary, warnings):
    vae = make_vae(kl_weight=Linear(8), objective=objectives.Capacity(Linear(8), weight=3.0))
    vae.compile(keras.optimizers.SGD(0.0, gradient_accumulation_steps=4))
    history = vae.fit(binary, batch_size=25, epochs=2, verbose=0).history["kl_weight"]
    np.testing.assert_allclose(history, [0.5 / 8, 2.5 / 8], rtol=1e-6)
    assert [message.split(",")[0] for message in warnings] == [
        "kl_weight ends its warm-up after 8 steps",
        "capacity ends its warm-up after 8 steps",
    ]
    vae.compile(keras.optimizers.SGD(0.0))  # as for fine-tuning: the warm-up goes on
    assert vae.evaluate(binary, verbose=0, return_dict=True)["kl_weight"] == 0.5
    np.testing.assert_allclose(vae.fit(binary, batch_size=25, verbose=0).history["kl_weight"], [4.5 / 8], rtol=1e-6)


def test_the_capacity_goes_on_after_a_new_compile(binary):
    vae = make_vae(objective=objectives.Capacity(Linear(4, end=100.0), weight=3.0))
    vae.train_steps.assign(2)
    vae.compile("adam")
    metrics = vae.evaluate(binary, batch_size=50, verbose=0, return_dict=True)
    loss = -metrics["log_likelihood"] + 3.0 * (50.0 - metrics["kl"])
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
