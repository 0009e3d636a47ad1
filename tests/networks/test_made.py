"""MADE: what each of its outputs sees, by the Jacobian, and its numbers by the formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fuzz import EXAMPLES, FUZZ
from helpers import shake
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_vae import networks

CONTEXT = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def make(size, context=None, **options):
    """Returns a network with smooth units, so that no derivative is 0 by chance, and weights at random."""
    made = networks.MADE(**{"activation": "tanh", **options})
    made.build((None, size), None if context is None else context.shape)
    return shake(made)


def points(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def jacobian(made, size, context=None):
    """Returns the derivatives `(4, size, num_parameters, size)` of the outputs by x."""
    x = tf.constant(points(4, size))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = made(x, context)
    return tape.batch_jacobian(outputs, x).numpy()


@settings(FUZZ, max_examples=EXAMPLES)
@given(
    size=st.integers(1, 6),
    num_parameters=st.integers(1, 3),
    hidden_units=st.lists(st.integers(1, 9), max_size=3),
    reverse=st.booleans(),
    with_context=st.booleans(),
)
@example(size=1, num_parameters=2, hidden_units=[3], reverse=False, with_context=False)
@example(size=5, num_parameters=2, hidden_units=[1, 1, 1], reverse=True, with_context=True)
def test_parameters_of_a_value_see_the_values_before_it_alone(
    size, num_parameters, hidden_units, reverse, with_context
):
    context = CONTEXT if with_context else None
    made = make(size, context, num_parameters=num_parameters, hidden_units=hidden_units, reverse=reverse)
    seen = np.abs(jacobian(made, size, context)).max((0, 2)) > 0
    before = np.tril(np.ones((size, size), bool), -1)
    before = before[::-1, ::-1] if reverse else before
    assert not np.any(seen & ~before)
    # Where no layer is narrower than there are degrees, each sees all of them.
    if all(units >= size for units in hidden_units):
        np.testing.assert_array_equal(seen, before)


@pytest.mark.parametrize("hidden_units", [(), (5,), (6, 7)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_each_output_is_the_network_of_what_it_may_see(hidden_units, reverse):
    """The values that an output may not see are set to zero instead of masking weights: the output is the same."""
    made, x = make(4, hidden_units=hidden_units, reverse=reverse), points(5, 4)
    outputs = made(x).numpy()
    for i in range(4):
        before = np.arange(4) > i if reverse else np.arange(4) < i
        np.testing.assert_allclose(made(np.where(before, x, 0.0))[:, i], outputs[:, i], rtol=1e-5, atol=1e-6)


def test_two_values_are_a_function_of_one():
    """With d = 2 and no context all units see x_1, so that the parameters of x_2 are a dense network of x_1."""
    made, x = make(2, hidden_units=(3,)), np.float64(points(5, 2))
    kernel, bias, out, out_bias = map(np.float64, made.get_weights())
    hidden = np.tanh(x[:, :1] * kernel[:1] + bias)
    np.testing.assert_allclose(made(x)[:, 1], hidden @ out[:, 2:] + out_bias[2:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made(x)[:, 0], np.tile(out_bias[:2], (5, 1)), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("hidden_units", [(), (9,), (5, 9)], ids=str)
def test_every_output_sees_the_context_of_its_own_example(size, hidden_units):
    made, x, context = make(size, CONTEXT, hidden_units=hidden_units), points(4, size), tf.constant(CONTEXT)
    with tf.GradientTape() as tape:
        tape.watch(context)
        outputs = made(x, context)
    found = np.abs(tape.jacobian(outputs, context)).max(-1)  # (example, value, parameter, example)
    for i in range(4):
        assert np.all(found[i, :, :, i] > 0)
        assert np.all(np.delete(found[i], i, axis=-1) == 0)


def test_leading_dimensions_stay():
    made, x = make(3, CONTEXT), points(6, 2, 4, 3)
    expected = np.stack([[made(part, CONTEXT) for part in row] for row in x])
    assert expected.shape == (6, 2, 4, 3, 2)
    np.testing.assert_allclose(made(x, CONTEXT), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("context", [None, CONTEXT], ids=["without", "with context"])
@pytest.mark.parametrize("hidden_units", [(), (4,)], ids=str)
def test_parameters_of_a_new_network_are_zero(context, hidden_units):
    made = networks.MADE(3, hidden_units)
    np.testing.assert_array_equal(made(points(4, 5), context), np.zeros((4, 5, 3)))


def test_weights_are_those_of_the_formula():
    made = networks.MADE(3, (7, 8))
    made.build((None, 5), (None, 2))
    assert made.count_params() == 2 * 7 + (5 * 7 + 7) + (7 * 8 + 8) + (8 * 15 + 15)


@pytest.mark.parametrize("context", [None, CONTEXT], ids=["without", "with context"])
def test_a_model_with_it_is_saved_and_loaded(context, tmp_path):
    inputs = [keras.Input((5,))] + ([] if context is None else [keras.Input((3,))])
    model = keras.Model(inputs, networks.MADE(3, (7,), "elu", reverse=True)(*inputs))
    x = [points(4, 5)] + ([] if context is None else [context])
    shake(model)
    model.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    assert copy.layers[-1].get_config() == model.layers[-1].get_config()
    np.testing.assert_array_equal(copy(x), model(x))
    assert np.ptp(model(x)) > 0.5


def test_a_frozen_network_has_nothing_that_trains():
    made = networks.MADE(trainable=False)
    made.build((None, 3), (None, 2))
    assert made.weights
    assert made.trainable_weights == []


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_it_computes_in_the_policy_of_the_model(policy):
    made = networks.MADE(2, (4,), dtype=keras.DTypePolicy(policy))
    assert made(points(4, 5), CONTEXT).dtype == policy.removeprefix("mixed_")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make(3)(points(4, 2)),
            r"`x` must have 3 values along its last axis, .* Received: x of shape \(4, 2\)",
        ),
        (lambda: make(3)(points(4, 3), CONTEXT), "`context` must be None, as when the network was built"),
        (lambda: make(3, CONTEXT)(points(4, 3)), r"`context` must be a tensor \(batch, features\), .* Received: None"),
        (lambda: networks.MADE().build((4, None)), "`x` must have a last axis of a known size. Received: x of shape"),
        (lambda: networks.MADE(0), "`num_parameters` must be a positive integer. Received: num_parameters=0"),
        (
            lambda: networks.MADE(2, 8),
            "`hidden_units` must be a sequence of positive integers. Received: hidden_units=8",
        ),
        (lambda: networks.MADE(2, (8, 0)), "`hidden_units` must be a sequence of positive integers"),
        (
            lambda: networks.MADE(activation="softmax"),
            "`activation` must be one of 'elu', .* Received: activation='soft",
        ),
        (lambda: networks.MADE(reverse=1), "`reverse` must be True or False. Received: reverse=1"),
    ],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
