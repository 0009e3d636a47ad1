"""What `fit`, `evaluate`, `predict` and `log_prob` are given."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from helpers import make_binary, make_conditional, make_vae
from texts import make_text_vae

import keras_vae as kv
from keras_vae.engine.feeds import make_validation_feed

COUNT, CLASSES = 24, 3
X = make_binary(COUNT)
Y = np.arange(COUNT) % CLASSES
WEIGHTS = np.linspace(0, 2, COUNT).astype(np.float32)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[Y]


@pytest.fixture(scope="module")
def conditional():
    return make_conditional()


@pytest.fixture(scope="module")
def plain():
    vae = make_vae()
    vae.compile("adam", run_eagerly=True)
    return vae


def test_weights_and_condition_beside_images_are_those_of_arrays(conditional):
    expected = conditional.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0)
    assert expected != conditional.evaluate(X, Y, verbose=0)
    images = kv.data.Examples(X)
    assert conditional.evaluate(images, Y, sample_weight=WEIGHTS, verbose=0) == expected
    assert conditional.evaluate(kv.data.Examples(X, Y), sample_weight=WEIGHTS, verbose=0) == expected
    np.testing.assert_array_equal(conditional.log_prob(images, 4, condition=Y), conditional.log_prob(X, 4, condition=Y))
    np.testing.assert_array_equal(
        conditional.bounds(images, 4, condition=Y), conditional.bounds(X, 4, condition=ONE_HOT)
    )
    histories = [
        make_conditional().fit(*data, verbose=0, validation_data=validation).history
        for data, validation in (((X, Y, 16), (X, Y, WEIGHTS)), ((images, Y, 16), (images, Y, WEIGHTS)))
    ]
    assert histories[0] == histories[1]


def test_labels_and_weights_are_given_once(conditional):
    whole = kv.data.Examples(X, Y, WEIGHTS)
    for method in (conditional.fit, conditional.evaluate):
        with pytest.raises(ValueError, match=r"`y` must be none beside `Examples` with labels"):
            method(whole, Y, verbose=0)
        with pytest.raises(ValueError, match=r"`sample_weight` must be none beside `Examples` with weights"):
            method(whole, sample_weight=WEIGHTS, verbose=0)
    with pytest.raises(ValueError, match=r"`condition` must be none beside `Examples` with labels"):
        conditional.log_prob(whole, 4, condition=Y)
    with pytest.raises(ValueError, match=r"`validation_data` must fit the model: `sample_weight` must be none"):
        conditional.fit(X, Y, validation_data=(dataclasses.replace(whole, labels=None), Y, WEIGHTS), verbose=0)


def test_pairs_of_x_and_condition_are_x_and_y(conditional):
    expected = conditional.evaluate(X, Y, verbose=0)
    for data in (([X, ONE_HOT], X), ((X, ONE_HOT),), ([X, Y], X.copy())):
        assert conditional.evaluate(*data, verbose=0) == expected
    np.testing.assert_array_equal(
        conditional.predict([X, Y], verbose=0), conditional.reconstruct(X, ONE_HOT), strict=True
    )
    np.testing.assert_array_equal(
        conditional.predict(kv.data.Examples(X, Y), verbose=0), conditional.predict([X, ONE_HOT], verbose=0)
    )


def test_bad_pairs_are_named(conditional, plain):
    with pytest.raises(ValueError, match=r"`y` must be x itself"):
        conditional.evaluate([X, ONE_HOT], 1 - X, verbose=0)
    with pytest.raises(ValueError, match=r"`x` must be one array: the model has no condition_dim"):
        plain.evaluate([X, ONE_HOT], verbose=0)
    with pytest.raises(ValueError, match=r"`x` must be a pair .x, condition."):
        conditional.predict(X, verbose=0)
    # Two examples are no pair.
    assert plain.evaluate([X[0], X[1]], verbose=0) == plain.evaluate(X[:2], verbose=0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(ONE_HOT > 0, np.nan, 0), "must be finite"),
        (np.where(Y == 1, 7, Y), "must be class numbers from 0 to 2. Received: from 0 to 7"),
        (Y - 1, "from -1 to 1"),
        (np.array(["a", "b", "c"])[Y], r"np\.unique\(labels, return_inverse=True\)"),
        (Y[:, None], r"must be integers \(batch,\) or numbers \(batch, 3\)"),
        (np.float32(Y), r"must be integers \(batch,\)"),
        (None, "the model is conditional"),
    ],
    ids=["nan", "class 7", "class -1", "text", "column", "float", "none"],
)
def test_bad_conditions_are_named_in_every_method(conditional, y, message):
    before = conditional.get_weights()
    for method in (conditional.fit, conditional.evaluate, conditional.train_on_batch, conditional.test_on_batch):
        with pytest.raises(ValueError, match=f"^(?=`y` must).*{message}"):
            method(X, y)
    for method in (lambda: conditional.log_prob(X, 2, condition=y), lambda: conditional.encode(X, y)):
        with pytest.raises(ValueError, match=f"^(?=`condition` must).*({message}|an array of at least one number)"):
            method()
    for weight, value in zip(conditional.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (WEIGHTS[:, None], r"must have shape \(24,\).*\(24, 1\)"),
        (WEIGHTS - 1, "must be finite and at least 0"),
        (np.where(WEIGHTS > 1, np.nan, 1), "must be finite and at least 0"),
        (WEIGHTS[:5], "one entry for each of the 24"),
    ],
    ids=["column", "negative", "nan", "few"],
)
def test_bad_weights_are_named(plain, weights, message):
    for method in (plain.fit, plain.evaluate, plain.train_on_batch, plain.test_on_batch):
        with pytest.raises(ValueError, match=f"weight.*{message}"):
            method(X, sample_weight=weights)


def test_y_of_a_model_without_condition_enters_no_step(plain):
    text = np.array(["cat", "dog"])[Y % 2]
    assert plain.evaluate(X, text, verbose=0) == plain.evaluate(X, verbose=0)
    assert plain.test_on_batch(X, text) == plain.test_on_batch(X)


@pytest.mark.parametrize("x", [255 * X, np.where(X > 0, np.nan, 0), X[:, :3], X + 1j, np.ma.masked_equal(X, 1)])
def test_single_batches_are_checked_before_a_weight_moves(plain, x):
    before = plain.get_weights()
    for method in (plain.train_on_batch, plain.test_on_batch):
        with pytest.raises(ValueError, match=r"^`x` must "):
            method(x)
    for weight, value in zip(plain.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_single_batches_keep_their_numbers(plain):
    expected = plain.evaluate(X, sample_weight=WEIGHTS, batch_size=COUNT, verbose=0)
    np.testing.assert_allclose(plain.test_on_batch(X, sample_weight=WEIGHTS), expected, rtol=1e-6)
    np.testing.assert_allclose(plain.test_on_batch(kv.data.Examples(X, None, WEIGHTS)), expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["encode", "reconstruct", "predict", "log_prob", "adapt", "evaluate", "fit"])
def test_complex_and_masked_values_are_errors_everywhere(plain, method):
    for x in (X + 1j, np.ma.masked_equal(X, 1)):
        with pytest.raises(ValueError, match=r"^`(x|data)` must be .*an array of (real numbers|at least one number)"):
            getattr(plain, method)(x)
        with pytest.raises(ValueError, match=r"`values` must be an array of (real numbers|at least one number)"):
            kv.data.Examples(x)


@pytest.mark.slow
def test_text_labels_of_images_enter_no_step():
    images = kv.data.Examples(X, np.array(["a"] * len(X)))
    expected = make_vae().fit(X, batch_size=10, verbose=0).history
    assert make_vae().fit(images, batch_size=10, verbose=0).history == expected


@pytest.mark.parametrize("data", [(), (X, None, np.ones(len(X)), "more")])
def test_validation_data_have_one_to_three_parts(data):
    with pytest.raises(ValueError, match=r"`validation_data` must be x, \(x, y\) or \(x, y, sample_weight\)"):
        make_vae().fit(X, validation_data=data)


def test_an_error_names_the_argument_of_its_method():
    with pytest.raises(ValueError, match="`data` must be an array"):
        make_vae().adapt(np.ma.masked_array(X, X > 0.5))


# Texts.


@pytest.fixture(scope="module")
def speaking():
    vae = make_text_vae(network=None, tokenizer=kv.data.Tokenizer(["a", "b"], max_length=3))
    vae.compile("adam")
    return vae


class Pairs(keras.utils.PyDataset):
    """Gives the first half of some arrays and then the second one."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return tuple(np.array_split(array, 2)[index] for array in self.arrays)


def test_streams_are_predicted_as_their_arrays_are(speaking, conditional):
    texts = ["ab", "ba", "a", "b"]
    for model, arrays, x in (
        (speaking, (np.array(texts),), texts),
        (conditional, (X, Y), [X, Y]),
        (make_vae(), (X + 3.0,), X + 3.0),
    ):
        expected = model.predict(x, verbose=0)
        for stream in (Pairs(*arrays), (batch for batch in list(Pairs(*arrays)))):
            np.testing.assert_allclose(model.predict(stream, verbose=0), expected, rtol=1e-6)
    halves = Pairs(X, Y)
    pairs = (((x, y), x) for x, y in (halves[0], halves[1]))
    np.testing.assert_allclose(conditional.predict(pairs, verbose=0), conditional.predict([X, Y], verbose=0), rtol=1e-6)
    vae, parts = make_vae(), [np.uint8(X[:8]), X[8:16] / 2]
    expected = vae.predict(np.concatenate(parts), verbose=0)
    np.testing.assert_allclose(vae.predict((x for x in parts), verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_batch_may_be_a_list_of_texts(speaking, count):
    # Keras takes a list for x, y and weights.
    batches = [["ab", "ba", "a", "b"][:count], ["b", "aa", "ab", "bb"][:count]]
    texts = [text for batch in batches for text in batch]
    expected = speaking.predict(texts, verbose=0)
    np.testing.assert_array_equal(speaking.predict((batch for batch in batches), verbose=0), expected)
    losses = [speaking.evaluate(x, batch_size=count, verbose=0) for x in ((batch for batch in batches), texts)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_a_wrong_shape_is_one_error_of_predict():
    batches = tf.data.Dataset.from_tensor_slices(X[:, :3]).batch(4)
    for x in (X[:, :3], X[0], batches, Pairs(X[:, :3]), ((X[:, :3],) for _ in range(2))):
        with pytest.raises(ValueError, match=r"^`x` must have shape .*6, 5, 1\). Received: .*shape"):
            make_vae().predict(x, verbose=0)


def test_nothing_is_predicted_of_nothing(speaking):
    with pytest.raises(ValueError, match=r"^`x` must hold at least one example"):
        speaking.predict([], verbose=0)


@pytest.mark.parametrize("texts", [["ab"], ["ab", "b"], ("ab", "b"), ["a", "b", "ab"], ["a"] * 5], ids=str)
def test_a_list_of_texts_is_x_of_the_validation(speaking, texts):
    _, steps = make_validation_feed(speaking, texts, batch_size=1, size=1, steps=None)
    assert steps == len(texts)


def test_texts_that_are_cut_or_unknown_are_one_line_each(speaking, monkeypatch):
    said = []
    for level in ("info", "warning"):
        monkeypatch.setattr(logging, level, lambda text, *values: said.append(text % values))
    texts = ["ab", "abba", "bbb", "acdb"]
    expected = [
        "2 of 4 texts have more than 3 characters and are cut",
        "2 of 11 characters (18.2%) are not in the vocabulary of 2 and become unknown",
    ]
    for call in (
        lambda: speaking.fit(["a"], epochs=2, validation_data=(texts,), verbose=0),
        lambda: speaking.evaluate(texts, verbose=0),
    ):
        call()
        assert said == expected
        said.clear()
    for x in ("abba", tf.constant(["abba"]), np.array(["abba"])):
        speaking.evaluate(x, verbose=0)
        assert said == ["1 of 1 texts have more than 3 characters and are cut"]
        said.clear()
    speaking.encode(texts)
    speaking.evaluate(["a", "bab"], verbose=0)
    assert said == []


@pytest.mark.slow
def test_texts_of_a_training_are_counted_once_and_those_of_a_batch_not(speaking, monkeypatch):
    said = []
    for level in ("info", "warning"):
        monkeypatch.setattr(logging, level, lambda text, *values: said.append(text % values))
    texts = ["ab", "abba", "bbb", "acdb"]
    for call in (lambda: speaking.fit(texts, epochs=2, verbose=0), lambda: speaking.log_prob(texts, 2)):
        call()
        assert len(said) == 2
        said.clear()
    speaking.train_on_batch(texts)
    speaking.test_on_batch(texts)
    assert said == []


@pytest.mark.parametrize(
    ("x", "received"),
    [
        ([["a", "b"], ["a"]], r"x whose entry 0 is \['a', 'b'\]"),
        (["a", None], "x whose entry 1 is None"),
        (np.array(["a", "b", np.nan], object), "x whose entry 2 is nan"),
        (np.array([["a", "b"]]), r"x whose entry 0 is \['a', 'b'\]"),
        (tf.constant([["a", "b"]]), r"x whose entry 0 is \[b'a', b'b'\]"),
        ([3, "a"], "x whose entry 0 is 3"),
    ],
)
def test_what_is_no_list_of_texts_is_one_error(speaking, x, received):
    for method in (speaking.fit, speaking.evaluate, speaking.train_on_batch, speaking.predict):
        with pytest.raises(
            ValueError, match=f"^`x` must be a list of strings, one for each text. Received: {received}"
        ):
            method(x)


def test_bytes_that_are_no_utf_8_are_one_error(speaking):
    for method in (speaking.fit, speaking.evaluate, speaking.log_prob):
        with pytest.raises(ValueError, match=r"^`texts` must be strings, or bytes that are UTF-8. .* of text 1"):
            method([b"a", b"\xff"])
