"""The check of arguments against annotations: what each kind takes, what an error says, what it leaves alone."""

import dataclasses
import inspect
import os
import pathlib
import time
import timeit
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_vae as kv
from keras_vae.networks.gated import Activation
from keras_vae.runs import config
from keras_vae.utils import arguments, checks
from keras_vae.utils.arguments import (
    ArrayLike,
    Fraction,
    NoiseSeed,
    NonNegativeFloat,
    NonNegativeInt,
    NumberOrArray,
    Path,
    PositiveFloat,
    PositiveInt,
    Seed,
    Shape,
    checked,
    kind_of,
)

INF, NAN = float("inf"), float("nan")
# annotation -> what an error calls it, values it takes, values it does not.
KINDS = [
    (int, "an integer", [0, -3, np.int8(3), 10**30], [1.0, True, np.True_, "1", None, NAN]),
    (float, "a finite number", [0, -1.5, np.float32(2), 10**30], [NAN, INF, 10**400, True, "1", 1j, None]),
    (bool, "True or False", [True, np.False_], [0, 1, None, "True"]),
    (str, "a string", ["", "x", np.str_("x")], [b"x", None, 1, pathlib.Path("x")]),
    (Literal["a", "b"], "one of 'a', 'b'", ["a"], ["c", None, ["a"], 1]),
    (int | None, "an integer or None", [1, None], [1.5, "x"]),
    (PositiveFloat | Literal["a"], "a positive number or one of 'a'", [0.5, 1, "a"], [0, "b", NAN]),
    (PositiveInt, "a positive integer", [1, np.uint8(1)], [0, -1, 1.0, True]),
    (NonNegativeInt, "an integer of at least 0", [0], [-1, 0.0, False]),
    (PositiveFloat, "a positive number", [1e-9, 3], [0, -1.0, NAN, INF]),
    (NonNegativeFloat, "a number of at least 0", [0, 0.5], [-1e-9, NAN]),
    (Fraction, "a number between 0 and 1", [0.5], [0, 1, NAN, "x"]),
    (Seed, "an integer in [0, 2**32)", [0, 2**32 - 1], [-1, 2**32, 1.0]),
    (NoiseSeed, "an integer in [-2**31, 2**32)", [-(2**31), 2**32 - 1], [-(2**31) - 1, 2**32, 1.0]),
    (Sequence[int], "a sequence of integers", [[], (1, -2), range(3), np.array([1])], [1, "12", b"12", {1: 2}, {1}]),
    (Sequence[int], "a sequence of integers", [tf.TensorShape([2, 3])], [np.array(1), [1.0], iter([1]), [True]]),
    (Sequence[str], "a sequence of strings", [["a"], ()], ["a", [1]]),
    (Collection[int], "a collection of integers", [{1, 2}, [1]], [{"a"}, 1, "1"]),
    (tuple[int, int], "a sequence of 2 integers", [(1, 2), [3, 4]], [(1,), (1, 2, 3), (1, "x")]),
    (tuple[int, ...], "a sequence of integers", [(), (1, 2, 3)], [("x",), 1]),
    (Shape, "a tuple of positive integers", [(28, 28, 1), [3], ()], [(0,), (None, 3), 5, "ab", (1.0,)]),
    (Mapping[str, list], "a Mapping", [{}, {"a": [1]}], [[], None]),
    (dict, "a dict", [{}], [[], 1]),
    (range | None, "a range or None", [range(3), None], [[1], 3]),
    (Callable, "a function", [len, lambda: 0], [None, "len"]),
    (str | os.PathLike, "a string or a PathLike", ["x", pathlib.Path("x")], [b"x", 1]),
    (Path, "a path", ["x", pathlib.Path("x")], ["", b"x", 1, None]),
    (keras.layers.Layer, "a Layer", [keras.layers.Dense(1)], [keras.layers.Dense, "dense", None]),
    (
        ArrayLike,
        "an array of at least one number",
        [np.ones(2), [1, 2], [[1.5]], (True,), np.uint8([1])],
        [1.0, np.array(1.0)],
    ),
    (
        ArrayLike,
        "an array of at least one number",
        [tf.ones(2), tf.Variable([1.0])],
        [tf.constant(1.0), tf.constant(["a"])],
    ),
    (
        ArrayLike,
        "an array of at least one number",
        [tf.cast([1], tf.bfloat16)],
        [["a"], [None], [[1], [1, 2]], [], {}, "ab"],
    ),
    (
        ArrayLike,
        "an array of at least one number",
        [np.array([NAN])],
        [np.array([1j]), np.float32, object(), np.zeros((0, 3))],
    ),
    (NumberOrArray, "a number or an array of at least one number", [1, np.array(1.0), [1]], ["a", None, NAN, [1j]]),
    (Activation, "the name of an activation of Keras, a function or None", ["glu", None, tf.tanh], ["x", 3, int]),
]


@pytest.mark.parametrize(("annotation", "expected", "good", "bad"), KINDS, ids=[str(kind[1]) for kind in KINDS])
def test_a_kind_takes_what_it_says(annotation, expected, good, bad):
    kind = kind_of(annotation)
    assert kind.expected == expected
    assert [value for value in good if not kind.accepts(value)] == []
    assert [value for value in bad if kind.accepts(value)] == []


def test_an_annotation_without_a_kind_is_an_error_of_the_programmer():
    with pytest.raises(TypeError, match="is not an annotation that can be checked"):
        kind_of("int")


@checked
def function(a: PositiveInt, b: "Later | None" = None, *rest: int, c: Literal["x", "y"] = "x", d=0, **others: str):
    return a, b, rest, c, d, others


class Later:
    """Defined after the function that names it."""


def test_good_arguments_arrive_as_they_are():
    b, d = Later(), object()
    assert function(1, b, "free", c="y", d=d, e=5) == (1, b, ("free",), "y", d, {"e": 5})
    assert function(a=np.int64(2)) == (2, None, (), "x", 0, {})


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((0,), {}, "`a` must be a positive integer. Received: a=0"),
        ((), {"a": "1"}, "`a` must be a positive integer. Received: a='1'"),
        ((1, 5), {}, "`b` must be a Later or None. Received: b=5"),
        ((1,), {"c": "z"}, "`c` must be one of 'x', 'y'. Received: c='z'"),
        ((np.zeros((2, 3)),), {}, "`a` must be a positive integer. Received: a=<ndarray of float64 with shape (2, 3)>"),
        ((["x" * 500],), {}, f"`a` must be a positive integer. Received: a=['{'x' * 198}..."),
    ],
)
def test_the_error_names_argument_kind_and_value(args, kwargs, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        function(*args, **kwargs)
    assert str(caught.value) == message


def test_a_wrong_call_is_python_s_own_error():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        function()
    with pytest.raises(TypeError, match="multiple values for argument 'a'"):
        function(1, a=2)


def test_what_reads_signatures_sees_the_function_itself():
    assert inspect.getfullargspec(function).args == ["a", "b"]
    assert list(inspect.signature(function).parameters) == ["a", "b", "rest", "c", "d", "others"]
    assert function.__name__ == "function"
    # Keras makes the configuration of a layer without `get_config` from the arguments that it sees.
    assert inspect.getfullargspec(kv.Encoder.__init__).args == ["self", "trunk", "posterior", "condition_dim"]


def test_a_dataclass_is_checked_where_it_is_made():
    @checked
    @dataclasses.dataclass(frozen=True)
    class Settings:
        size: PositiveInt = 1

    assert dataclasses.replace(Settings(2), size=3).size == 3
    with pytest.raises(ValueError, match="`size` must be a positive integer"):
        dataclasses.replace(Settings(2), size=0)


def test_a_subclass_may_add_arguments_of_its_own():
    class Own(kv.posteriors.DiagonalGaussian):
        def __init__(self, latent_dim, extra="anything", **kwargs):
            super().__init__(latent_dim, **kwargs)
            self.extra = extra

    assert Own(2, extra=object(), name="own").name == "own"
    with pytest.raises(ValueError, match="`latent_dim` must be a positive integer"):
        Own("2")


def test_the_check_costs_microseconds():
    @checked
    def call(count: PositiveInt, scale: PositiveFloat = 1.0, *, seed: NoiseSeed = 0, output: Literal["a", "b"] = "a"):
        pass

    def seconds(f):
        # Of this thread alone, whatever else the machine does.
        timer = timeit.Timer(lambda: f(3, 0.5, seed=7, output="b"), timer=time.thread_time)
        return min(timer.repeat(number=1000, repeat=20)) / 1000

    assert seconds(call) - seconds(call.__wrapped__) < 10e-6


def test_an_integer_of_more_digits_than_python_writes_is_shown_in_words_everywhere():
    huge = 10**5000
    assert arguments.shown(huge) == "an integer of thousands of digits"
    with pytest.raises(
        ValueError, match=r"^`a` must be at most 2147483647\. Received: a=an integer of thousands of dig"
    ):
        checks.positive_int("a", huge)
    with pytest.raises(ValueError, match=r"^`epochs` must be .*Received: an integer of thousands of digits$"):
        config.Config(epochs=huge)
