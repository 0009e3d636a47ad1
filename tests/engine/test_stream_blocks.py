"""Streams train in blocks of steps to the numbers of single steps and of arrays."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_conditional, make_vae

import keras_vae as kv
from keras_vae.engine import compiled_steps
from keras_vae.engine.block_steps import MAX_BLOCK_BYTES, MAX_BLOCK_STEPS
from keras_vae.engine.keras_compat import adapter_of
from keras_vae.engine.stream_blocks import in_blocks, stream_block_size

X = make_binary(47)
Y = np.arange(47) % 3
WEIGHTS = np.linspace(0.0, 2.0, 47, dtype=np.float32)
BATCHES = [slice(start, start + 10) for start in range(0, 47, 10)]


def dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(10)


class Batches(keras.utils.PyDataset):
    """Counts how often each batch is read."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays, self.read, self.ends = arrays, [], 0

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        self.read.append(index)
        return tuple(array[BATCHES[index]] for array in self.arrays)

    def on_epoch_end(self):
        self.ends += 1


def generator(*arrays):
    return (tuple(array[rows] for array in arrays) for rows in BATCHES)


STREAMS = {
    "data set": dataset,
    "unknown length": lambda *arrays: dataset(*arrays).filter(lambda *parts: True),
    "PyDataset": Batches,
    "generator": generator,
}


class EachBatch(keras.callbacks.Callback):
    """A callback on batches, for which `fit` takes each step by itself."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.batches_seen.append(batch)


def trained(make, stream, callbacks=()):
    model = make()
    model.batches_seen = []
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(stream, shuffle=False, verbose=0, callbacks=list(callbacks)).history
    return model, history


@pytest.mark.parametrize(
    ("kind", "make", "arrays"),
    [*((kind, make_vae, (X,)) for kind in STREAMS), ("data set", make_conditional, (X, Y, WEIGHTS))],
)
def test_blocks_train_to_the_numbers_of_single_steps(kind, make, arrays):
    single, expected = trained(make, STREAMS[kind](*arrays), [EachBatch()])
    blocks, found = trained(make, STREAMS[kind](*arrays))
    assert (single.batches_seen, blocks.batches_seen) == ([0, 1, 2, 3, 4], [])
    assert int(blocks.train_steps) == int(blocks.optimizer.iterations) == 5
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    for one, other in zip(single.weights, blocks.weights, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["data set", "PyDataset"])
def test_streams_train_to_the_numbers_of_arrays(kind):
    model = make_vae()
    model.compile(keras.optimizers.Adam(1e-2))
    expected = model.fit(X, batch_size=10, shuffle=False, verbose=0).history
    found = trained(make_vae, STREAMS[kind](X))[1]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


def test_a_short_batch_is_filled_up_with_rows_of_its_own():
    # A layer that looks at whole batches, such as BatchNormalization, then sees real examples.
    (block,) = in_blocks(adapter_of(dataset(X)), 8).get_tf_dataset()
    (x, y, weight), count = block
    assert (int(count), x.shape, y, weight.shape) == (5, (8, 10, *SHAPE), (), (8, 10))
    np.testing.assert_array_equal(np.concatenate(x[:4]), X[:40])
    np.testing.assert_array_equal(x[4], np.concatenate([X[40:], X[40:43]]))
    np.testing.assert_array_equal(weight[3:5], [[1] * 10, [1] * 7 + [0] * 3])


def test_each_batch_of_a_py_dataset_is_read_once_in_an_epoch():
    batches = Batches(X)
    vae = make_vae()
    batches.read.clear()
    vae.fit(batches, epochs=3, verbose=0, shuffle=False)
    # Keras first looks at two batches to learn their types, and ends an epoch before the first.
    assert (batches.read, batches.ends) == ([0, 1, *[0, 1, 2, 3, 4] * 3], 1 + 3)


def test_a_number_of_steps_is_made_of_whole_blocks():
    endless = adapter_of(dataset(X).repeat())
    assert stream_block_size(endless, SHAPE, 48) == 48
    assert stream_block_size(endless, SHAPE, 101) == 1
    assert stream_block_size(endless, SHAPE, 130) == 26
    assert stream_block_size(adapter_of(dataset(X)), SHAPE, None) == 5
    # A stream with an end must also end where a block ends.
    assert stream_block_size(adapter_of(dataset(X).repeat(2)), SHAPE, 4) == 2
    unknown = adapter_of(STREAMS["unknown length"](X))
    assert stream_block_size(unknown, SHAPE, None) == MAX_BLOCK_STEPS
    assert stream_block_size(unknown, (MAX_BLOCK_BYTES,), None) == 1


class LastBatch(kv.VAE):
    """Its steps return the mean of x."""

    def train_step(self, data):
        super().train_step(data)
        return {"loss": tf.reduce_mean(data[0])}


def test_an_epoch_of_some_steps_goes_on_where_the_one_before_ended():
    plain = make_vae()
    vae = LastBatch(plain.encoder, plain.decoder, seed=0)
    vae.compile("adam")
    seen = vae.fit(dataset(X[:40]).repeat(), steps_per_epoch=2, epochs=3, verbose=0).history["loss"]
    np.testing.assert_allclose(seen, [X[10:20].mean(), X[30:40].mean(), X[10:20].mean()], rtol=1e-6)


@pytest.mark.parametrize("kind", ["data set", "unknown length"])
def test_validation_and_evaluation_take_blocks_too(kind):
    stream = STREAMS[kind](X)
    vae = make_vae()
    history = vae.fit(X, validation_data=stream, batch_size=10, verbose=0).history
    np.testing.assert_allclose(vae.evaluate(stream, verbose=0)[0], history["val_loss"][-1], rtol=1e-5)
    np.testing.assert_allclose(vae.evaluate(X, batch_size=10, verbose=0)[0], history["val_loss"][-1], rtol=1e-5)


def test_one_of_many_short_fits_is_compiled_like_a_long_one(monkeypatch):
    monkeypatch.setattr(compiled_steps, "MIN_STEPS_FOR_XLA", 12)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(self.model.jit_compile)

    vae = make_vae()
    for _ in range(4):
        vae.fit(X, batch_size=10, verbose=0, callbacks=[Watch()])
    vae.fit(dataset(X), verbose=0, callbacks=[Watch()])
    make_vae().fit(STREAMS["unknown length"](X), verbose=0, callbacks=[Watch()])
    assert seen == [False, False, True, True, True, True]


def test_options_of_the_user_stay():
    options = tf.data.Options()
    options.autotune.enabled = True
    asked = kv.data.examples.without_autotuning(dataset(X).with_options(options))
    assert asked.options().autotune.enabled is True
    assert kv.data.examples.without_autotuning(dataset(X)).options().autotune.enabled is False
