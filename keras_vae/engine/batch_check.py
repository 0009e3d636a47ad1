"""The check of one batch of a stream, and of what a stream announces."""

import re
import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.data.containers import check_spec, is_real
from keras_vae.engine.conditions import valid_condition
from keras_vae.engine.inputs import checked_examples, inputs_of, is_pair, separated
from keras_vae.utils.arguments import is_text

# TensorFlow turns an error inside a data set into text inside a longer text. The marks find the original text in it.
MARKED = re.compile(r"<bad batch: (.*?) :bad batch>", re.DOTALL)


class BatchCheck:
    """Checks batches for a model; each error begins with `prefix`, between marks by which `one_error` finds it."""

    def __init__(self, model: keras.Model, prefix: str = "") -> None:
        # TensorFlow never frees the function of a `numpy_function`, so this one must not keep the model alive.
        self._model_reference = weakref.ref(model)
        self._prefix = prefix

    @property
    def _model(self):
        return self._model_reference()

    def batch(self, batch: Any) -> tuple:
        """Returns a batch made in Python as `(x,)`, `(x, y)` or `(x, y, weight)`, with `()` for no y."""
        try:
            x, y, weight = _unpacked(batch)
            examples = checked_examples(self._model, x, y, weight, is_batch=True)
        except ValueError as error:
            raise self._marked(error) from None
        x, y, weight = examples.numpy(), examples.labels, examples.weights
        y = () if y is None else y if self._model.condition_dim is None else _as_condition(y)
        if weight is not None:
            return x, y, weight.astype(np.float32)
        return (x,) if isinstance(y, tuple) else (x, y)

    def _marked(self, error):
        return ValueError(f"<bad batch: {self._prefix}{error} :bad batch>")

    def inputs(self, batch: Any) -> tuple:
        """Returns a batch made in Python as `(x,)` or `(x, condition)`, the input of `predict`."""
        model = self._model
        try:
            x, y, _ = _unpacked(batch)
            inputs = inputs_of(model, x if model.condition_dim is None or y is None or is_pair(model, x) else [x, y])
        except ValueError as error:
            raise self._marked(error) from None
        x, *condition = inputs if isinstance(inputs, list) else [inputs]
        return x.astype(model.event_dtype), *map(_as_condition, condition)

    def dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns a data set whose elements are checked as they pass."""
        dataset = encoded_dataset(self._model, dataset)
        try:
            self.spec(dataset.element_spec)
        except ValueError as error:
            raise ValueError(f"{self._prefix}{error}") from None
        return dataset.map(tf.autograph.experimental.do_not_convert(self._passed))

    def _parts(self, element):
        """Returns x, y, weight and target of an element or of its spec; parts that are missing are None."""
        x, y, weight = (_present(part) for part in keras.utils.unpack_x_y_sample_weight(element))
        if isinstance(x, tuple) and len(x) == 2:
            return *separated(self._model, x), weight, y
        if self._model.condition_dim is None and not is_real(y):
            y = None
        return x, y, weight, None

    def spec_of_x(self, spec: Any) -> None:
        """Raises `ValueError` if the x in the spec of an element does not fit."""
        x, *_ = self._parts(spec if isinstance(spec, tuple) else (spec,))
        check_spec("x", x, (None, *self._model.event_shape))

    def spec(self, spec: Any) -> None:
        """Raises `ValueError` if the spec of an element does not fit."""
        self.spec_of_x(spec)
        _, y, weight, target = self._parts(spec if isinstance(spec, tuple) else (spec,))
        event, condition_dim = self._model.event_shape, self._model.condition_dim
        if target is not None:
            check_spec("y", target, (None, *event))
        if weight is not None:
            check_spec("sample_weight", weight, (None,))
        if condition_dim is not None and y is not None:
            is_classes = isinstance(y, tf.TensorSpec) and y.dtype.is_integer and y.shape.rank in (None, 1)
            check_spec("y", y, (None,) if is_classes else (None, condition_dim))

    def _passed(self, *element):
        x, y, weight, target = self._parts(element)
        event, condition_dim = self._model.event_shape, self._model.condition_dim
        condition = None if condition_dim is None else y
        count = tf.size(x) // int(np.prod(event))
        fine = _has_shape(x, (count, *event)) & self._model.decoder.likelihood.in_support(x)
        dtype = tf.as_dtype(self._model.event_dtype)
        if dtype.is_integer and x.dtype.is_floating:
            fine &= tf.reduce_all(x == tf.round(x))
        if target is not None:
            fine &= _has_shape(target, (count, *event)) & _equal(x, target)
        if weight is not None:
            fine &= _has_shape(weight, (count,))
            values = tf.cast(weight, tf.float32)
            fine &= (tf.reduce_min(values) >= 0) & (tf.reduce_max(values) <= tf.float32.max)
        if condition is not None:
            is_classes = condition.dtype.is_integer and condition.shape.rank in (None, 1)
            y = condition = tf.ensure_shape(condition, (None,) if is_classes else (None, condition_dim))
            fine &= _has_shape(condition, (count,) if is_classes else (count, condition_dim))
            fine &= valid_condition(condition, condition_dim)
        elif condition_dim is not None:
            fine = tf.constant(False)
        given = [part for part in (x, condition, weight, target) if part is not None]
        names = [n for n, part in zip("xcwt", (x, condition, weight, target), strict=True) if part is not None]

        def look(*arrays):
            part = dict(zip(names, arrays, strict=True))
            pair = ((part["x"], part["c"]), part["t"]) if "t" in part else (part["x"], part.get("c"))
            self.batch((*pair, part.get("w")))
            return True

        checked = tf.cond(fine, lambda: True, lambda: tf.numpy_function(look, given, tf.bool))
        with tf.control_dependencies([checked]):
            x = tf.cast(tf.ensure_shape(x, (None, *event)), dtype)
        if weight is not None:
            return x, () if y is None else y, tf.ensure_shape(weight, (None,))
        return (x,) if y is None else (x, y)


def _unpacked(batch):
    """Returns x, y and weights of a batch made in Python; a list of texts is x, though Keras takes lists for parts."""
    return (batch, None, None) if is_text(batch) else keras.utils.unpack_x_y_sample_weight(_present(batch))


def _as_condition(y):
    """Returns vectors as float32, so that all batches have one type, and class numbers as they are."""
    return np.asarray(y) if np.ndim(y) == 1 else np.asarray(y, np.float32)


def _present(part):
    """Returns a part of an element, or None if it is empty: `()` of `Examples.batches`, or the None of a generator."""
    absent = isinstance(part, tf.experimental.Optional | tf.OptionalSpec) or (isinstance(part, tuple) and not part)
    return None if absent else part


def _has_shape(tensor, shape):
    return (tf.rank(tensor) == len(shape)) & _equal(tf.shape(tensor), tf.stack(shape))


def _equal(a, b):
    # With this option two shapes that do not fit together give False instead of an error.
    return tf.reduce_all(tf.raw_ops.Equal(x=a, y=tf.cast(b, a.dtype), incompatible_shape_error=False))


def encoded_dataset(model: keras.Model, x: Any) -> Any:
    """Returns the tokens of a `tf.data.Dataset` of texts if the model has a tokenizer, and any other x as it is.

    Raises:
      ValueError: if the texts do not come in batches.
    """
    tokenizer = model.tokenizer
    if tokenizer is None or not isinstance(x, tf.data.Dataset):
        return x
    first = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
    if getattr(first, "dtype", None) != tf.string:
        return x
    if first.shape.rank == 0:
        raise ValueError("`x` must be batches of texts, as `dataset.batch(128)` makes them. Received: single texts")

    def encode(texts):
        return tokenizer.encode(list(texts))

    def tokens(texts, *others):
        rows = tf.numpy_function(encode, [texts], tf.int32, stateful=False)
        rows = tf.ensure_shape(rows, (None, tokenizer.max_length))
        return (rows, *others) if others else rows

    return x.map(tf.autograph.experimental.do_not_convert(tokens))
