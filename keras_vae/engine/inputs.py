"""The arguments of `fit`, `evaluate` and `log_prob` -> `Examples` whose every value has been checked."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_vae.data.containers import as_numbers, is_real
from keras_vae.data.examples import Examples
from keras_vae.data.rows import Rows
from keras_vae.data.text_counts import encode_and_log
from keras_vae.data.tokenizer import Tokenizer
from keras_vae.engine.conditions import check_condition
from keras_vae.utils.arguments import is_text, shown


def as_examples(x: Any, y: Any = None, sample_weight: Any = None, names: tuple[str, str] = ("x", "y")) -> Examples:
    """Returns what the user passed as `Examples`.

    Args:
      x: examples: anything that NumPy can read as numbers, or `Examples`, to which y and the weights are added.
      y: labels or None.
      sample_weight: weights `(count,)` or None.
      names: what x and y are called in errors.

    Raises:
      ValueError: if one of them is no array of numbers, or is given beside `Examples` that already have it.
    """
    fields = {"labels": (names[1], y), "weights": ("sample_weight", sample_weight)}
    given: dict[str, Any] = {
        field: as_numbers(name, value) for field, (name, value) in fields.items() if value is not None
    }
    if isinstance(x, Examples):
        for field in given:
            if getattr(x, field) is not None:
                raise ValueError(
                    f"`{fields[field][0]}` must be none beside `Examples` with {field} of their own. "
                    f"Received: both; dataclasses.replace(examples, {field}=...) gives them others"
                )
        return dataclasses.replace(x, **given) if given else x
    if isinstance(x, Rows):
        return Examples(x, **given)
    name = names[0]
    x = as_numbers(name, x)
    for other, value in fields.values():
        if value is not None and x.ndim and np.ndim(value) and len(value) != len(x):
            raise ValueError(
                f"`{other}` must have one entry for each of the {len(x)} examples. Received: {other} with {len(value)}"
            )
    if x.ndim == 0:
        raise ValueError(f"`{name}` must be an array of examples, (count, ...). Received: the number {x}")
    _check_not_empty(name, x)
    if x.dtype == np.float64 or x.dtype == bool:
        x = x.astype(np.float32)
    return Examples(x, **given)


def checked_examples(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    name: str = "y",
    is_batch: bool = False,
) -> Examples:
    """Returns what the user passed as `Examples` that fit a model.

    Args:
      model: a model with `event_shape`, `event_dtype`, `condition_dim` and `check_data(examples, name)`.
      x: examples, or a pair `[x, condition]` for a conditional model.
      y: condition or None; beside such a pair it may be x again, as the target of the reconstruction.
      sample_weight: weights `(count,)` or None.
      name: what y is called in errors.
      is_batch: whether x is one of many batches. How many texts are cut, and what of them is unknown, is logged
        otherwise.

    Raises:
      ValueError: if something does not fit, with the name of the argument.
    """
    x = encoded(model, x, encode=Tokenizer.encode if is_batch else encode_and_log)
    if is_pair(model, x):
        x, y = separated(model, x, y)
    elif model.condition_dim is None:
        # The model does not use labels. Text among them is dropped, because it cannot enter a training step.
        y = y if is_real(y) else None
        if isinstance(x, Examples) and not (x.labels is None or is_real(x.labels)):
            x = dataclasses.replace(x, labels=None)
    examples = presented(as_examples(x, y, sample_weight, ("x", name)), model.event_dtype)
    model.check_data(examples, name)
    return examples


def encoded(
    model: keras.Model, x: Any, name: str = "x", encode: Callable[[Tokenizer, Any], np.ndarray] = Tokenizer.encode
) -> Any:
    """Returns the tokens of x if it is a text or several and the model has a tokenizer, and x otherwise.

    Args:
      model: a model.
      x: what the user passed.
      name: what x is called in errors.
      encode: function of a tokenizer and texts that returns the tokens.

    Raises:
      ValueError: if x holds texts, and is no list of them.
    """
    if model.tokenizer is None:
        return x
    if is_text(x):
        return encode(model.tokenizer, x)
    if other := _other_texts(x):
        raise ValueError(f"`{name}` must be a list of strings, one for each text. Received: {name} {other}")
    return x


def data_examples(model: keras.Model, data: Any) -> Examples:
    """Returns an argument called `data` as `Examples`, texts as their tokens.

    Raises:
      ValueError: if it is neither numbers nor texts that the model takes.
    """
    return as_examples(encoded(model, data, "data"), names=("data", "y"))


def presented(examples: Examples, dtype: Literal["float32", "int32"]) -> Examples:
    """Returns examples that are presented in the type that a model takes.

    Raises:
      ValueError: if the model takes integers, and a value is none.
    """
    if examples.dtype == dtype:
        return examples
    if dtype == "int32":
        for part in examples.chunks():
            check_whole(part)
    return dataclasses.replace(examples, present_as=dtype)


def check_whole(x: np.ndarray) -> None:
    """Raises `ValueError` unless all numbers of x are integers that int32 can hold."""
    limits = np.iinfo(np.int32)
    if not (np.all(x == np.round(x)) and float(np.min(x)) >= limits.min and float(np.max(x)) <= limits.max):
        raise ValueError(
            "`x` must be integers that int32 can hold: the likelihood is one of integers. "
            f"Received: {x.dtype} from {np.min(x):g} to {np.max(x):g}, not all of them such integers"
        )


def _check_not_empty(name, x):
    if x.ndim and not len(x):
        raise ValueError(f"`{name}` must hold at least one example. Received: an empty array")


def inputs_of(model: keras.Model, x: Any) -> Any:
    """Returns the input of `predict` in the form that Keras takes: an array, or `[x, condition]` if conditional.

    Raises:
      ValueError: if it is no array of numbers or has a wrong shape, or the condition is missing.
    """
    x = encoded(model, x)
    if is_pair(model, x):
        x, condition = separated(model, x)
    else:
        condition = x.labels if isinstance(x, Examples) else None
    x = x.numpy() if isinstance(x, Examples) else as_numbers("x", x)
    _check_not_empty("x", x)
    check_event_shape(x.shape, model.event_shape)
    if model.event_dtype == "int32":
        check_whole(x)
    if model.condition_dim is None:
        return x
    if condition is None:
        raise ValueError("`x` must be a pair [x, condition]: the model is conditional. Received: x alone")
    check_condition("condition", condition, model.condition_dim)
    return [x, as_numbers("condition", condition)]


def check_event_shape(shape: tuple[int, ...], event_shape: tuple[int, ...]) -> None:
    """Raises `ValueError` if x of a shape is no batch of examples of the shape `event_shape`."""
    if shape[1:] != event_shape:
        expected = ", ".join(map(str, ("batch", *event_shape)))
        raise ValueError(f"`x` must have shape ({expected}). Received: x with shape {shape}")


def is_pair(model: keras.Model, x: Any) -> bool:
    """Whether x is `[x, condition]`, the form of Keras's models with two inputs, and not a list of two examples."""
    return isinstance(x, list | tuple) and len(x) == 2 and _rank(x[0]) == len(model.event_shape) + 1


def separated(model: keras.Model, pair: Sequence, target: Any = None) -> tuple:
    """Returns x and condition of a pair `[x, condition]`; raises `ValueError` for a target other than x."""
    if model.condition_dim is None:
        raise ValueError("`x` must be one array: the model has no condition_dim. Received: a pair [x, condition]")
    x, condition = pair
    if target is not None and target is not x and not np.array_equal(as_numbers("x", x), as_numbers("y", target)):
        raise ValueError(
            "`y` must be x itself, or none, beside a pair [x, condition]: the model reconstructs x. Received: another y"
        )
    return x, condition


def _other_texts(x):
    """Returns what is wrong with something that holds texts and is no list of them, or None if it holds none."""
    dtype = getattr(x, "dtype", None)
    if getattr(dtype, "kind", "") in ("O", "S", "U", "T") or (isinstance(x, tf.Tensor) and dtype == tf.string):
        entries = np.asarray(x, object).tolist()
    else:
        entries = x
    if not isinstance(entries, list | tuple):
        return None
    within = itertools.chain.from_iterable(each if isinstance(each, list | tuple) else (each,) for each in entries)
    if not any(isinstance(text, str | bytes) for text in within):
        return None
    number, wrong = next((i, each) for i, each in enumerate(entries) if not isinstance(each, str))
    return f"whose entry {number} is {shown(wrong)}"


def _rank(value):
    try:
        return len(value.shape) if hasattr(value, "shape") else np.ndim(value)
    except ValueError:  # the value is a list of lists of different lengths
        return None
