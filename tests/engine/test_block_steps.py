"""What a step returns is what is reported, on every way in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_binary, make_vae, slow_from

import keras_vae as kv
from keras_vae.callbacks import NaNGuard
from keras_vae.engine.fit_arguments import acts_on_batches

X = make_binary(50)


class Counts(kv.VAE):
    """Its steps return numbers that no metric holds: of the training step, and of the examples of the batch."""

    def train_step(self, data):
        super().train_step(data)
        return {"loss": tf.cast(self.train_steps, tf.float32), "twice": 2 * self.train_steps}

    def test_step(self, data):
        super().test_step(data)
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return {"loss": 44.46, "pixels": tf.shape(x)[1] * tf.shape(x)[2]}


class Doubled(kv.VAE):
    """Its step returns what the metrics are called, and another number."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {**logs, "loss": 2.0 * logs["loss"]}


def make(kind, **compile_options):
    plain = make_vae()
    model = kind(plain.encoder, plain.decoder, seed=0)
    model.compile(keras.optimizers.Adam(1e-2), **compile_options)
    return model


class Losses(keras.callbacks.Callback):
    """Keeps the loss that each call of the training function reports."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(logs["loss"]))


WAYS = {
    "arrays": (X, {}),
    "xla": (X, {"jit_compile": True}),
    "data set": (tf.data.Dataset.from_tensor_slices(X).batch(10), {}),
}


@pytest.mark.parametrize("way", slow_from(1, WAYS))
def test_fit_and_evaluate_report_what_the_steps_return(way):
    x, options = WAYS[way]
    model = make(Counts, **options)
    batch_size = {} if way == "data set" else {"batch_size": 10}
    history = model.fit(x, epochs=2, verbose=0, shuffle=False, validation_data=x, **batch_size).history
    expected = {"loss": [5.0, 10.0], "twice": [10, 20], "val_loss": [44.46, 44.46], "val_pixels": [30, 30]}
    assert set(history) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(model.evaluate(x, verbose=0, **batch_size), [44.46, 30.0], rtol=1e-6)


def test_early_stopping_follows_a_loss_of_the_subclass():
    stop = keras.callbacks.EarlyStopping("loss", patience=1)  # the loss rises: the second epoch is one too many
    assert make(Counts).fit(X, epochs=5, verbose=0, callbacks=[stop]).history["loss"] == [2.0, 4.0]


def test_a_step_may_change_a_number_under_the_name_of_a_metric():
    seen = {}
    for kind in (kv.VAE, Doubled):
        losses = Losses()
        make(kind).fit(X, batch_size=10, epochs=1, verbose=0, callbacks=[losses])
        seen[kind] = losses.seen
    np.testing.assert_allclose(seen[Doubled], 2.0 * np.array(seen[kv.VAE]), rtol=1e-6)


class Counting(keras.callbacks.Callback):
    """Counts its batches; sets the KL weight before each."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.model.kl_weight = self.count / 100
        self.count += 1


def test_a_callback_that_acts_on_batches_is_asked_in_every_step():
    x = make_binary(60)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(10)
    histories = []
    for data in (x, dataset):
        callback = Counting()
        histories.append(make_vae().fit(data, batch_size=10, epochs=2, verbose=0, callbacks=[callback]))
        assert callback.count == 12
    for history in histories:
        np.testing.assert_allclose(history.history["kl_weight"], [0.025, 0.085], rtol=1e-5)


def test_a_lambda_on_batches_is_asked_in_every_step_and_so_is_a_model_compiled_for_single_steps():
    x, seen = make_binary(60), []
    vae = make_vae()
    per_batch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    vae.fit(x, batch_size=10, verbose=0, callbacks=[per_batch])
    assert seen == [0, 1, 2, 3, 4, 5]
    assert not acts_on_batches([keras.callbacks.TerminateOnNaN(), keras.callbacks.EarlyStopping("loss"), NaNGuard()])
    vae.compile("adam", steps_per_execution=4)
    seen.clear()
    vae.fit(x, batch_size=10, verbose=0, callbacks=[per_batch])
    assert len(seen) == 2
