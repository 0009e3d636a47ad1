"""Streams train in blocks of steps to the numbers of single steps and of arrays."""

import gc
import itertools
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_conditional, make_vae, slow_from

import keras_vae as kv
from keras_vae.engine import compiled_steps
from keras_vae.engine.block_steps import MAX_BLOCK_BYTES, MAX_BLOCK_STEPS
from keras_vae.engine.keras_compat import adapter_of
from keras_vae.engine.stream_blocks import in_blocks, stream_block_size
from keras_vae.engine.streams import batch_rows, checked_stream

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
    slow_from(1, [("data set", make_conditional, (X, Y, WEIGHTS)), *((kind, make_vae, (X,)) for kind in STREAMS)]),
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


@pytest.mark.parametrize("kind", [dataset, generator])
def test_a_short_batch_is_filled_up_with_rows_of_its_own(kind):
    # A layer that looks at whole batches, such as BatchNormalization, then sees real examples.
    (block,) = in_blocks(adapter_of(checked_stream(make_vae(), kind(X))), 8, False).get_tf_dataset()
    (x, y, weight), count = block
    assert (int(count), x.shape, y, weight.shape) == (5, (8, 10, *SHAPE), (), (8, 10))
    np.testing.assert_array_equal(np.concatenate(x[:4]), X[:40])
    np.testing.assert_array_equal(x[4], np.concatenate([X[40:], X[40:43]]))
    np.testing.assert_array_equal(weight[3:5], [[1] * 10, [1] * 7 + [0] * 3])


@pytest.mark.parametrize("size", [1, 3])
def test_batches_of_python_do_not_change_how_memory_is_allocated(size):
    # The kernel `GeneratorDataset` of `tf.data.Dataset.from_generator` does, under Python 3.11.
    def operations(batches):
        variant = tf.data.experimental.to_variant(batches)
        return tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1).numpy()

    assert b"GeneratorDataset" in operations(adapter_of(generator(X)).get_tf_dataset())
    for stream in (generator(X), Batches(X)):
        blocks = in_blocks(adapter_of(checked_stream(make_vae(), stream)), size, False)
        assert b"GeneratorDataset" not in operations(blocks.get_tf_dataset())


@pytest.mark.parametrize("callbacks", [(), (EachBatch(),)])
def test_a_stream_is_let_go_of_after_a_fit(callbacks):
    batches, endless = Batches(X), (X[BATCHES[i % 4]] for i in itertools.count())
    seen = [weakref.ref(batches), weakref.ref(endless)]
    for stream, steps in ((batches, 5), (endless, 4)):
        vae = make_vae()
        vae.batches_seen = []
        vae.fit(stream, steps_per_epoch=steps, epochs=2, verbose=0, callbacks=list(callbacks))
        assert int(vae.train_steps) == 2 * steps
    del batches, endless, stream
    gc.collect()
    assert [reference() for reference in seen] == [None, None]


@pytest.mark.parametrize("other", [(X[:10],), (X[:10], None, WEIGHTS[:10]), (X[:10], Y[:10] + 0.5)])
def test_batches_of_other_parts_or_types_than_the_first_are_an_error(other):
    # Two of the others have as many arrays as the first.
    stream = ((X[:10], Y[:10]) if i < 3 else other for i in range(5))
    vae = make_vae()
    vae.batches_seen = []
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must all have the parts of the first|Cannot cast"):
        vae.fit(stream, verbose=0, callbacks=[EachBatch()])


def test_batches_in_blocks_may_have_weights_or_none_and_numbers_of_any_type():
    weights = [np.array([1, 2] * 5), np.linspace(0.1, 1.0, 10), None]
    all_weights = np.concatenate([np.ones(10) if weight is None else weight for weight in weights])
    model = make_conditional()
    model.compile(keras.optimizers.Adam(1e-2))
    arrays = (np.tile(X[:10], (3, 1, 1, 1)), np.tile(Y[:10], 3))
    expected = model.fit(*arrays, sample_weight=all_weights, batch_size=10, shuffle=False, verbose=0).history["loss"]
    one_hot = np.eye(3, dtype=int)[Y[:10]]
    for conditions in ([Y[:10]] * 3, [one_hot, one_hot + 0.0, one_hot]):
        batches = ((X[:10], *pair) for pair in zip(conditions, weights, strict=True))
        np.testing.assert_allclose(trained(make_conditional, batches)[1]["loss"], expected, rtol=1e-5)


def test_a_stream_without_batches_or_with_unlike_ones_is_one_error():
    class Empty(Batches):
        def __len__(self):
            return 0

    with pytest.raises(ValueError, match=r"^`x` must hold at least one batch. Received: none$"):
        trained(make_vae, Empty(X), [EachBatch()])
    unlike = ((X[:10], Y[:10] if i else np.eye(3)[Y[:10]]) for i in range(3))
    with pytest.raises(ValueError, match=r"^`x` must hold batches with the same axes. Received: shapes \(10, 3\)"):
        make_vae().fit(unlike, verbose=0)


def test_each_batch_of_a_py_dataset_is_read_once_in_an_epoch():
    batches = Batches(X)
    vae = make_vae()
    batches.read.clear()
    vae.fit(batches, epochs=3, verbose=0, shuffle=False)
    # One batch is made to learn its rows. Then Keras looks at two to learn their types, and ends an epoch before the
    # first.
    assert (batches.read, batches.ends) == ([0, 0, 1, *[0, 1, 2, 3, 4] * 3], 1 + 3)


def test_a_number_of_steps_is_made_of_whole_blocks():
    endless = adapter_of(dataset(X).repeat())
    sizes = {steps: stream_block_size(endless, None, SHAPE, steps, True) for steps in (48, 101, 130)}
    assert sizes == {48: 48, 101: 1, 130: 26}
    assert stream_block_size(adapter_of(dataset(X)), None, SHAPE, None, False) == 5
    # A stream with an end must also end where a block ends.
    assert stream_block_size(adapter_of(dataset(X).repeat(2)), None, SHAPE, 4, False) == 2
    unknown = adapter_of(STREAMS["unknown length"](X))
    assert stream_block_size(unknown, None, SHAPE, 4, False) == 1
    assert stream_block_size(unknown, None, SHAPE, None, False) == MAX_BLOCK_STEPS
    assert stream_block_size(unknown, None, (MAX_BLOCK_BYTES,), None, False) == 1


def test_large_batches_make_small_blocks():
    # 64 steps of 47 rows would take four times the bytes that a block may have.
    event = (MAX_BLOCK_BYTES // (4 * 47 * 16),)
    many = [X] * 96
    kinds = {
        "data set": tf.data.Dataset.from_tensor_slices(np.concatenate(many)).batch(47).prefetch(1),
        "unknown length": tf.data.Dataset.from_tensor_slices(np.concatenate(many)).batch(47).filter(lambda x: True),
    }
    for stream in kinds.values():
        assert batch_rows(stream) == 47
        assert stream_block_size(adapter_of(stream), batch_rows(stream), event, None, False) == 16
    assert batch_rows(Batches(X)) == 10
    # Nothing is known of these before they come.
    assert batch_rows(kinds["data set"].map(lambda x: x[:5])) is None
    assert batch_rows(generator(X)) is None


@pytest.mark.parametrize("steps", slow_from(1, [3, 2, 7]))
@pytest.mark.parametrize("kind", slow_from(1, ["unknown length", "data set", "endless"]))
def test_epochs_of_some_steps_are_those_of_single_steps(kind, steps):
    # The stream has 5 batches: where it has an end, Keras says so, and the next epoch begins it anew.
    def histories(callbacks):
        stream = dataset(X).repeat() if kind == "endless" else STREAMS[kind](X)
        vae = make_vae()
        vae.batches_seen = []
        vae.compile(keras.optimizers.Adam(1e-2))
        options = dict(steps_per_epoch=steps, epochs=4, verbose=0, callbacks=callbacks)
        return vae.fit(stream, **options).history["loss"], int(vae.train_steps)

    (expected, steps_taken), (found, steps_found) = histories([EachBatch()]), histories([])
    assert steps_found == steps_taken
    assert 0.0 not in found
    np.testing.assert_allclose(found, expected, rtol=1e-5)


class Unpacks(kv.VAE):
    """Its step takes the batches apart as they come."""

    def train_step(self, data):
        x, y = data
        return {**super().train_step((x,)), "y": tf.reduce_mean(y), "rows": tf.shape(x)[0]}


def test_a_step_of_a_subclass_gets_the_batches_as_they_come():
    plain = make_vae()
    vae = Unpacks(plain.encoder, plain.decoder, seed=0)
    vae.compile("adam")
    y = np.arange(47, dtype=np.float32)
    history = vae.fit(dataset(X, y), verbose=0, epochs=1).history
    assert (history["rows"], history["y"]) == ([7], [pytest.approx(43.0)])


@pytest.mark.parametrize(
    "with_y",
    slow_from(
        1,
        [
            lambda x: (x, tf.py_function(lambda a: a[:, 0, 0, 0], [x], tf.float32)),
            lambda x: (x, tf.constant(1.0)),
            lambda x: (x, tf.ones(3)),
            lambda x: (x, tf.constant("a name")),
        ],
    ),
    ids=["unknown rank", "a number", "other rows", "text"],
)
def test_y_that_no_condition_takes_may_be_anything(with_y):
    vae = make_vae()
    vae.fit(dataset(X).map(lambda x: with_y(x)), verbose=0)
    assert int(vae.train_steps) == 5


@pytest.mark.parametrize("kind", slow_from(1, ["data set", "unknown length"]))
def test_validation_and_evaluation_take_blocks_too(kind):
    stream = STREAMS[kind](X)
    vae = make_vae()
    history = vae.fit(X, validation_data=stream, batch_size=10, verbose=0).history
    np.testing.assert_allclose(vae.evaluate(stream, verbose=0)[0], history["val_loss"][-1], rtol=1e-5)
    np.testing.assert_allclose(vae.evaluate(X, batch_size=10, verbose=0)[0], history["val_loss"][-1], rtol=1e-5)


@pytest.mark.slow
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
    asked = kv.data.steps.without_autotuning(dataset(X).with_options(options))
    assert asked.options().autotune.enabled is True
    assert kv.data.steps.without_autotuning(dataset(X)).options().autotune.enabled is False
