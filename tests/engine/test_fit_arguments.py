"""Arguments of `fit`, `evaluate` and `predict`: Keras's rules, and one error where Keras has none."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_binary, make_vae

from keras_vae.engine.fit_arguments import num_training_examples

X = make_binary(20)
DATA_SET = tf.data.Dataset.from_tensor_slices(X).batch(10)


@pytest.fixture(scope="module")
def model():
    """One model for all: an argument that is refused leaves it as it was."""
    return make_vae()


WRONG = [0, -1, 2.5, "16", True]
COUNTS = ["batch_size", "validation_batch_size", "steps_per_epoch", "validation_steps"]


@pytest.mark.parametrize("x", [X, DATA_SET], ids=["arrays", "data set"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in COUNTS for value in WRONG),
        *((name, value) for name in ("epochs", "initial_epoch") for value in (-1, 2.5, "5", None)),
        *(("validation_freq", value) for value in (0, "1", (2,), [0], None, np.int64(2))),
        *(("validation_split", value) for value in (1.0, 1.5, -0.2, float("nan"), "0.2", True, None)),
    ],
)
def test_a_wrong_number_is_one_error_with_its_name(model, x, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        model.fit(x, verbose=0, **{name: value})
    assert int(model.train_steps) == 0


@pytest.mark.parametrize("method", ["evaluate", "predict"])
@pytest.mark.parametrize("x", [X, DATA_SET], ids=["arrays", "data set"])
@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", ["batch_size", "steps"])
def test_evaluate_and_predict_have_the_same_rules(model, method, x, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer. Received: {name}="):
        getattr(model, method)(x, verbose=0, **{name: value})


def test_no_steps_an_execution_are_refused(model):
    with pytest.raises(ValueError, match="`steps_per_execution` must be a positive integer"):
        model.compile("adam", steps_per_execution=0)


def test_a_split_cuts_off_the_end_as_keras_does():
    split, parts = make_vae(), make_vae()
    history = split.fit(X, batch_size=5, validation_split=0.06, verbose=0).history
    assert history == parts.fit(X[:18], batch_size=5, validation_data=X[18:], verbose=0).history


@pytest.mark.parametrize(("count", "split", "expected"), [(20, 0.25, 15), (20, 0.001, 19), (20, 0.95, 1), (2, 0.5, 1)])
def test_the_part_to_train_on_is_rounded_down(count, split, expected):
    assert num_training_examples(count, split) == expected


def test_both_parts_of_a_split_have_an_example(model):
    with pytest.raises(ValueError, match=r"`validation_split` must leave .*0.999 of 20 examples"):
        model.fit(X, validation_split=0.999)


def test_what_is_not_in_memory_cannot_be_split(model):
    with pytest.raises(ValueError, match=r"`validation_split` must be 0 for data that are not in memory.*BatchDataset"):
        model.fit(DATA_SET, validation_split=0.2, verbose=0)


def test_no_epochs_train_nothing_as_with_keras(model):
    assert model.fit(X, epochs=0, verbose=0).history == {}
    assert model.fit(X, epochs=2, initial_epoch=5, verbose=0).history == {}
    assert int(model.train_steps) == 0


@pytest.mark.filterwarnings("ignore:Limiting steps_per_epoch")
def test_the_limit_of_keras_for_steps_is_kept():
    vae = make_vae()
    keras.config.set_max_steps_per_epoch(2)
    try:
        vae.fit(X, batch_size=5, verbose=0)
        vae.evaluate(X, batch_size=5, verbose=0)
    finally:
        keras.config.set_max_steps_per_epoch(None)
    assert (int(vae.train_steps), int(vae._test_steps)) == (2, 2)


@pytest.mark.parametrize(("name", "value"), [("callbacks", object()), ("callbacks", ["x"]), ("verbose", object())])
def test_what_keras_would_not_name_is_named(vae, binary, name, value):
    with pytest.raises(ValueError, match=f"^`{name}` must be "):
        vae.fit(binary, **{name: value})
