"""Averaged weights: their values, what `fit` does with them, and clipping that several replicas agree on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_vae, slow_from

import keras_vae as kv
from keras_vae import callbacks
from keras_vae.engine import strategies
from keras_vae.engine.averages import AveragingAdam, averaged
from keras_vae.engine.keras_compat import averages_of


def weights(vae):
    return [variable.numpy() for variable in vae.trainable_variables]


def averages(vae):
    return [average.numpy() for _, average in averages_of(vae.optimizer)]


def make(optimizer, **options):
    vae = make_vae(**options)
    vae.compile(optimizer)
    return vae


def fit(vae, *given, epochs=1, **options):
    return vae.fit(make_binary(), batch_size=10, epochs=epochs, verbose=0, callbacks=list(given), **options).history


@pytest.mark.parametrize(("momentum", "factors"), [(0.999, (2 / 11, 3 / 12)), (0.2, (2 / 11, 0.2)), (0.0, (0.0, 0.0))])
def test_the_averages_of_three_steps_are_those_computed_by_hand(momentum, factors):
    weight = keras.Variable(np.array([1.0, -2.0], np.float32))
    optimizer = AveragingAdam(0.1, ema_momentum=momentum)
    optimizer.build([weight])
    after = []
    for gradient in ([1.0, 2.0], [-3.0, 0.5], [0.1, 0.2]):
        optimizer.apply([tf.constant(gradient)], [weight])
        after.append(weight.numpy())
    expected = after[0]
    for factor, value in zip(factors, after[1:], strict=True):
        expected = factor * expected + (1 - factor) * value
    ((_, average),) = averages_of(optimizer)
    np.testing.assert_allclose(average, expected, rtol=1e-6)
    optimizer.finalize_variable_values([weight])
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_a_short_run_is_not_averaged_with_its_start():
    # After 60 steps at 0.999, 94% of Keras's own average would be the weight after the first step.
    weight = keras.Variable(0.0)
    optimizer = AveragingAdam(0.1, ema_momentum=0.999)
    optimizer.build([weight])
    values = []
    for _ in range(60):
        optimizer.apply([tf.constant(-1.0)], [weight])
        values.append(float(weight))
    ((_, average),) = averages_of(optimizer)
    assert np.mean(values[-15:]) < float(average) < values[-1]


def test_training_is_the_same_to_the_bit_and_ends_with_the_averages():
    plain, vae = make(keras.optimizers.Adam(1e-2)), make(AveragingAdam(1e-2))
    expected = fit(plain, epochs=3, validation_data=make_binary(20))
    history = fit(vae, callbacks.AveragedWeights(), epochs=3, validation_data=make_binary(20))
    for name in plain.metrics_names:
        assert history[name] == expected[name], name
    assert history["val_loss"] != expected["val_loss"]
    assert vae.evaluate(make_binary(20), batch_size=10, verbose=0) == [
        pytest.approx(history[f"val_{name}"][-1]) for name in vae.metrics_names
    ]
    for weight, average in zip(weights(vae), averages(vae), strict=True):
        np.testing.assert_array_equal(weight, average)


@pytest.mark.parametrize(
    "way", slow_from(1, [{}, {"steps_per_execution": 2}, {"run_eagerly": True}, {"jit_compile": True}]), ids=str
)
def test_every_way_of_running_gives_the_same_averages(way):
    expected, vae = make(AveragingAdam(1e-2)), make_vae()
    vae.compile(AveragingAdam(1e-2), **way)
    for each in (expected, vae):
        fit(each, epochs=2)
    for actual, value in zip(weights(vae), weights(expected), strict=True):
        np.testing.assert_allclose(actual, value, atol=2e-4)  # Adam divides small differences by small numbers


@pytest.mark.parametrize("policy", slow_from(1, ["mixed_float16", "mixed_bfloat16"]))
@pytest.mark.slow
def test_averages_are_kept_under_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        vae = make(AveragingAdam(1e-2))
        history = fit(vae, callbacks.AveragedWeights(), epochs=3, validation_data=make_binary(20))
    finally:
        keras.config.set_dtype_policy("float32")
    assert {average.dtype for average in averages(vae)} == {np.dtype("float32")}
    assert history["val_loss"][-1] < history["val_loss"][0]
    for weight, average in zip(weights(vae), averages(vae), strict=True):
        np.testing.assert_array_equal(weight, average)


@pytest.mark.slow
def test_keras_optimizers_with_averages_work_with_both_callbacks():
    histories = [
        fit(
            make(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5)),
            callback,
            epochs=3,
            validation_data=make_binary(20),
        )
        for callback in (callbacks.AveragedWeights(), keras.callbacks.SwapEMAWeights())
    ]
    np.testing.assert_allclose(histories[0]["val_loss"], histories[1]["val_loss"], rtol=1e-5)


def test_a_scale_that_follows_the_residuals_is_averaged_as_it_is_after_each_step():
    vae = make(AveragingAdam(1e-2, weight_decay=0.5), likelihood=kv.likelihoods.Gaussian(SHAPE, scale="shared"))
    (index,) = (i for i, variable in enumerate(vae.trainable_variables) if variable.name == "raw_scale")
    expected = None
    for step in range(3):
        vae.train_on_batch(make_binary(10))
        factor = (1 + step) / (10 + step) if step else 0.0
        expected = factor * (expected or 0.0) + (1 - factor) * float(vae.trainable_variables[index])
    np.testing.assert_allclose(averages(vae)[index], expected, rtol=1e-5)


def test_the_averages_take_the_place_of_the_weights_within_a_context_and_no_longer():
    vae = make(AveragingAdam(1e-2))
    start = weights(vae)
    with averaged(vae):  # there are no averages before the first step
        for weight, value in zip(weights(vae), start, strict=True):
            np.testing.assert_array_equal(weight, value)
    for _ in range(3):
        vae.train_on_batch(make_binary(10))
    trained, kept = weights(vae), averages(vae)
    with averaged(vae):
        for weight, average in zip(weights(vae), kept, strict=True):
            np.testing.assert_array_equal(weight, average)
    for weight, value in zip([*weights(vae), *averages(vae)], [*trained, *kept], strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.slow
def test_pictures_are_drawn_with_the_averages(monkeypatch, tmp_path):
    vae, seen = make(AveragingAdam(1e-2)), []
    figures = callbacks.ImageGrids._figures
    monkeypatch.setattr(callbacks.ImageGrids, "_figures", lambda self: seen.append(weights(vae)) or figures(self))
    fit(vae, callbacks.ImageGrids(make_binary(4), tmp_path))
    for weight, value in zip(seen[0], weights(vae), strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_file_keeps_averages_and_momentum(tmp_path):
    vae = make(AveragingAdam(1e-2, ema_momentum=0.75))
    for _ in range(3):
        vae.train_on_batch(make_binary(10))
    vae.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == vae.optimizer.get_config()
    assert loaded.optimizer.get_config()["ema_momentum"] == 0.75
    for each in (vae, loaded):
        each.train_on_batch(make_binary(10))
    for actual, value in zip(averages(loaded), averages(vae), strict=True):
        np.testing.assert_array_equal(actual, value)


def test_gradients_are_clipped_to_their_global_norm():
    norm = 0.01
    vae = make(keras.optimizers.SGD(1.0, global_clipnorm=norm))
    before = weights(vae)
    vae.train_on_batch(make_binary(10))
    moved = [new - old for new, old in zip(weights(vae), before, strict=True)]
    np.testing.assert_allclose(np.sqrt(sum(np.sum(m.astype(np.float64) ** 2) for m in moved)), norm, rtol=1e-4)


def test_one_replica_leaves_clipping_to_the_optimizer():
    gradients = [tf.constant([3.0]), None]
    assert strategies.clipped(gradients, 1.0) is gradients
