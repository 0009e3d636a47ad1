"""Counting what Keras makes: the calls of one thread, and nothing is left of it."""

import threading

import keras
import numpy as np
import pytest

from keras_vae.runs.counting import before_each, numbers_in_weight

LAYER = keras.layers.Layer


def counting(counts):
    return before_each((LAYER, "add_weight", lambda *args, **kwargs: counts.append(numbers_in_weight(*args, **kwargs))))


def build(units):
    keras.layers.Dense(units).build((None, 4))


def test_only_the_calls_of_the_thread_are_counted_and_nothing_is_left():
    before, outer, inner = vars(LAYER)["add_weight"], [], []
    with counting(outer):
        build(3)
        other = threading.Thread(target=build, args=(7,))
        other.start()
        other.join()
        with counting(inner):
            build(2)
    build(5)
    assert (outer, inner) == ([12, 3, 8, 2], [8, 2])
    assert vars(LAYER)["add_weight"] is before


def test_another_thread_waits_for_its_turn():
    entered = threading.Event()

    def count():
        with counting([]):
            entered.set()

    other = threading.Thread(target=count)
    with counting([]):
        other.start()
        assert not entered.wait(0.2)
    other.join()
    assert entered.is_set()


def test_a_refusal_comes_before_the_call_and_leaves_nothing():
    before, made = vars(LAYER)["add_weight"], keras.layers.Dense(3)

    def refuse(*_, **__):
        raise ValueError("too much")

    with pytest.raises(ValueError, match="too much"), before_each((LAYER, "add_weight", refuse)):
        made.build((None, 4))
    assert made.weights == []
    assert vars(LAYER)["add_weight"] is before


@pytest.mark.parametrize(
    ("shape", "count"), [((), 1), (None, 1), (5, 5), ([2, 3], 6), ((np.int64(4), 2), 8), ((-3, 2), 6), (("x", 2), 2)]
)
def test_the_numbers_in_a_weight(shape, count):
    assert numbers_in_weight(None, shape) == numbers_in_weight(None, shape=shape, name="w") == count
