"""Data that comes in batches trains as arrays do, and a bad batch stops before a weight has moved."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_conditional, make_vae, slow_from

import keras_vae as kv

COUNT, CLASSES, SIZE = 40, 3, 10
X = make_binary(COUNT)
Y = np.arange(COUNT) % CLASSES
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[Y]
WEIGHTS = np.linspace(0, 2, COUNT).astype(np.float32)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return COUNT // SIZE

    def __getitem__(self, index):
        rows = slice(index * SIZE, index * SIZE + SIZE)
        return tuple(None if a is None else a[rows] for a in self.arrays)


def dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(SIZE)


def generator(*arrays):
    batches = Batches(*arrays)
    return (batches[i] for i in range(len(batches)))


STREAMS = pytest.mark.parametrize(
    "stream", slow_from(2, [dataset, Batches, generator]), ids=["tf.data", "PyDataset", "generator"]
)


def eager(vae):
    vae.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    return vae


def with_one(array, row, value):
    changed = np.array(array, np.result_type(array, type(value)))
    changed[row] = value
    return changed.astype(array.dtype)


@STREAMS
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((with_one(X, 35, np.nan),), "`x` must be finite"),
        ((with_one(X, 35, 255.0),), r"`x` must lie in \[0, 1\].*from 0 to 255"),
        ((X, Y, with_one(WEIGHTS, 35, -1.0)), "`weights`, the `sample_weight` of `fit`, must be finite and at least 0"),
        ((X, Y, with_one(WEIGHTS, 35, np.nan)), "`weights`, the `sample_weight` of `fit`, must be finite"),
        ((X, Y, WEIGHTS[:, None]), r"(`weights`, the )?`sample_weight`.* must have shape"),
        ((X[:, :3],), r"`x` must have shape \(batch, 6, 5, 1\)"),
        ((X + 1j,), "`x` must be an array of real numbers"),
    ],
    ids=["nan", "range", "negative weight", "nan weight", "weight column", "shape", "complex"],
)
def test_a_bad_batch_is_one_error(stream, arrays, message):
    with pytest.raises(ValueError, match=f"^{message}") as error:
        eager(make_vae()).evaluate(stream(*arrays), verbose=0)
    assert "\n" not in str(error.value)


@STREAMS
def test_training_stops_before_a_weight_moves(stream):
    vae = eager(make_vae())
    weights = []
    remember = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: weights.append(vae.get_weights())
    )
    with pytest.raises(ValueError, match=r"^`x` must be finite"):
        vae.fit(stream(with_one(X, 35, np.nan)), shuffle=False, verbose=0, callbacks=[remember])
    assert int(vae.train_steps) == 3
    # The weights are those before the step that was begun last.
    for actual, value in zip(vae.get_weights(), weights[-1], strict=True):
        np.testing.assert_array_equal(actual, value)


@STREAMS
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (with_one(Y, 35, 7), "`y` must be class numbers from 0 to 2. Received: from 0 to 7"),
        (with_one(ONE_HOT, 35, np.nan), "`y` must be finite"),
        (np.array(["a", "b", "c"])[Y], "`y` must be an array of real numbers.*np.unique"),
        (ONE_HOT[:, :2], r"`y` must "),
    ],
    ids=["class 7", "nan", "text", "shape"],
)
def test_a_bad_condition_is_one_error(stream, y, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make_conditional().evaluate(stream(X, y), verbose=0)


@pytest.mark.parametrize("stream", [dataset, Batches], ids=["tf.data", "PyDataset"])
def test_validation_data_are_looked_at_before_training(stream):
    vae = make_conditional()
    with pytest.raises(ValueError, match=r"^`validation_data` must fit the model: `y` must be class numbers"):
        vae.fit(X, Y, validation_data=stream(X, with_one(Y, 5, 7)), verbose=0)
    assert int(vae.train_steps) == 0


@STREAMS
def test_conditions_and_pairs_are_those_of_arrays(stream):
    vae = make_conditional()
    expected = vae.evaluate(X, Y, sample_weight=WEIGHTS, batch_size=SIZE, verbose=0)
    np.testing.assert_allclose(vae.evaluate(stream(X, Y, WEIGHTS), verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(vae.evaluate(stream(X, ONE_HOT, WEIGHTS), verbose=0), expected, rtol=1e-6)
    nothing_else = vae.evaluate(X, Y, batch_size=SIZE, verbose=0)
    pairs = dataset((X, ONE_HOT), X) if stream is dataset else (((x, c), x) for x, c in generator(X, ONE_HOT))
    np.testing.assert_allclose(vae.evaluate(pairs, verbose=0), nothing_else, rtol=1e-6)
    lists = dataset((X, Y)) if stream is dataset else (([x, c], None) for x, c in generator(X, Y))
    if stream is not dataset:
        np.testing.assert_allclose(vae.evaluate(lists, verbose=0), nothing_else, rtol=1e-6)


def test_a_target_other_than_x_is_refused():
    with pytest.raises(ValueError, match=r"^`y` must be x itself"):
        make_conditional().evaluate(dataset((X, ONE_HOT), with_one(X, 35, 0.5)), verbose=0)
    with pytest.raises(ValueError, match=r"^`x` must be one array: the model has no condition_dim"):
        eager(make_vae()).evaluate(dataset((X, ONE_HOT), X), verbose=0)


@STREAMS
def test_text_beside_x_is_not_used(stream):
    vae = eager(make_vae())
    text = np.array(["cat", "dog"])[Y % 2]
    expected = vae.evaluate(X, sample_weight=WEIGHTS, batch_size=SIZE, verbose=0)
    np.testing.assert_allclose(vae.evaluate(stream(X, text, WEIGHTS), verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("elements", "received"),
    [
        ({"image": X}, "dictionary with the keys 'image'"),
        (tf.RaggedTensor.from_tensor(X[..., 0]), "ragged"),
        (tf.sparse.from_dense(X.reshape(COUNT, -1)), "sparse"),
        (np.array(["a.png"] * COUNT), "text"),
    ],
    ids=["dictionary", "ragged", "sparse", "text"],
)
def test_elements_that_are_no_array_are_named(vae, elements, received):
    for method in (vae.fit, vae.evaluate):
        with pytest.raises(ValueError, match=f"^`x` must be an array of real numbers.*{received}"):
            method(tf.data.Dataset.from_tensor_slices(elements).batch(SIZE), verbose=0)


@pytest.mark.parametrize("name", ["y", "sample_weight"])
@STREAMS
def test_what_belongs_into_a_stream_is_not_taken_beside_it(vae, stream, name):
    for method in (vae.fit, vae.evaluate):
        with pytest.raises(ValueError, match=f"`{name}` must be part of the stream"):
            method(stream(X), **{name: WEIGHTS}, verbose=0)


@pytest.mark.slow
def test_unknown_sizes_give_the_numbers_of_known_ones():
    def unknown(*arrays):
        kinds = [tf.as_dtype(a.dtype) for a in arrays]
        return dataset(*arrays).map(lambda *parts: tf.numpy_function(lambda *p: p, parts, kinds))

    assert unknown(X).element_spec[0].shape.rank is None
    histories = [
        eager(make_vae()).fit(data, validation_data=data, verbose=0).history for data in (dataset(X), unknown(X))
    ]
    assert histories[0] == histories[1]
    vae = make_conditional()
    for y in (Y, ONE_HOT):
        assert vae.evaluate(unknown(X, y, WEIGHTS), verbose=0) == vae.evaluate(dataset(X, y, WEIGHTS), verbose=0)
    with pytest.raises(ValueError, match=r"^`x` must have shape \(batch, 6, 5, 1\).*\(10, 3, 5, 1\)"):
        vae.evaluate(unknown(X[:, :3], Y), verbose=0)


@pytest.mark.parametrize("steps_per_execution", slow_from(1, [1, 2]))
@pytest.mark.slow
def test_a_stream_of_unknown_length_has_as_many_steps_as_one_of_known_length(steps_per_execution):
    # Without a batch, Keras moves what waits for none: the clock, and the weight of the next batch in an average.
    known = tf.data.Dataset.from_tensor_slices(X).batch(10, drop_remainder=True)
    unknown = known.filter(lambda x: True)
    assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    histories = []
    for stream in (known, unknown):
        vae = make_vae()
        vae.compile(keras.optimizers.Adam(1e-2), steps_per_execution=steps_per_execution)
        histories.append(vae.fit(stream, validation_data=stream, epochs=2, verbose=0).history)
        assert int(vae.train_steps) == int(vae.optimizer.iterations) == 2 * len(X) // 10
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_batches_of_images_train_under_xla_and_a_bad_one_stops_there():
    vae = make_vae()
    vae.compile(keras.optimizers.Adam(1e-2), jit_compile=True)
    batches = kv.data.Examples(X).batches(SIZE, shuffle=False)
    history = vae.fit(batches, steps_per_epoch=COUNT // SIZE, verbose=0).history
    expected = make_vae().fit(X, batch_size=SIZE, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    before = vae.get_weights()
    with pytest.raises(ValueError, match=r"^`x` must be finite"):
        vae.fit(dataset(with_one(X, 5, np.nan)), verbose=0)
    for actual, value in zip(vae.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, value)


@pytest.mark.parametrize("value", [0.5, 0.0, 1.0])
def test_levels_are_looked_at_value_by_value(value):
    vae = eager(make_vae(likelihood=kv.likelihoods.Categorical(SHAPE, num_levels=2)))
    data = dataset(with_one(X, 35, value))
    if value == 0.5:
        with pytest.raises(ValueError, match=r"^`x` must lie on 2 equally spaced levels"):
            vae.evaluate(data, verbose=0)
    else:
        expected = vae.evaluate(with_one(X, 35, value), batch_size=SIZE, verbose=0)
        np.testing.assert_allclose(vae.evaluate(data, verbose=0), expected, rtol=1e-6)


def test_a_likelihood_with_a_check_of_its_own_is_asked():
    class Even(kv.likelihoods.Gaussian):
        validates_each_value = True

        def validate(self, x):
            if np.any(np.asarray(x) % 2):
                raise ValueError("`x` must be even")

    vae = eager(make_vae(likelihood=Even(SHAPE)))
    vae.evaluate(dataset(2 * X), verbose=0)
    with pytest.raises(ValueError, match=r"^`x` must be even$"):
        vae.evaluate(dataset(with_one(2 * X, 35, 1.0)), verbose=0)


@pytest.mark.parametrize("make", slow_from(1, [lambda: dataset(X), lambda: X]), ids=["tf.data", "array"])
def test_a_model_leaves_memory_after_training(make):
    # TensorFlow keeps the Python function behind each `numpy_function` for the life of the process.
    vae = make_vae()
    vae.fit(make(), validation_data=X, batch_size=SIZE, verbose=0)
    gone = weakref.ref(vae)
    del vae
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("steps_per_execution", slow_from(1, [2, 1, 5]))
def test_validation_on_arrays_beside_a_stream_is_an_evaluation(steps_per_execution):
    vae = make_vae()
    vae.compile(keras.optimizers.SGD(0.0), steps_per_execution=steps_per_execution)
    history = vae.fit(dataset(X), validation_data=X[:35], batch_size=SIZE, epochs=2, verbose=0).history
    expected = vae.evaluate(X[:35], batch_size=SIZE, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(history["val_loss"], [expected] * 2, rtol=1e-6)


def test_a_data_set_without_an_end_needs_a_number_of_steps(vae):
    endless = kv.data.Examples(X).batches(SIZE)
    for call, name in (
        (lambda: vae.fit(endless), "steps_per_epoch"),
        (lambda: vae.fit(dataset(X).repeat()), "steps_per_epoch"),
        (lambda: vae.evaluate(endless), "steps"),
        (lambda: vae.fit(X, validation_data=endless), "validation_steps"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be given for a data set without an end"):
            call()
    assert len(vae.fit(endless, steps_per_epoch=4, epochs=2, verbose=0).history["loss"]) == 2


def test_a_distributed_data_set_is_refused_since_its_batches_pass_unchecked(vae):
    distributed = tf.distribute.get_strategy().experimental_distribute_dataset(dataset(X))
    if isinstance(distributed, tf.data.Dataset):
        distributed = tf.distribute.MirroredStrategy(["CPU:0"]).experimental_distribute_dataset(dataset(X))
    with pytest.raises(ValueError, match="`x` must be the data set itself"):
        vae.fit(distributed)
