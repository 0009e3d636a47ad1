"""Data that come in batches: each batch is checked before a training step sees it, at the cost of two reductions.

Batches made in Python (generators, `PyDataset`) are checked as arrays are. Those of a `tf.data.Dataset` are checked in
its own graph, and only a batch that fails there goes to the checks of arrays, for their error text. The training step
is no place for the check: XLA leaves assertions out, and the step would change the weights before an error is seen.
"""

import functools
import gc
import itertools
import re
import traceback
import types
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.data.containers import check_spec, is_real
from keras_vae.data.steps import without_autotuning
from keras_vae.engine.conditions import valid_condition
from keras_vae.engine.inputs import checked_examples, separated
from keras_vae.engine.keras_compat import (
    DataAdapter,
    PassedGenerator,
    PassedPyDataset,
    adapter_of,
    drop_evaluation_iterator,
    has_no_end,
)
from keras_vae.engine.python_batches import common_spec, python_dataset

_KINDS: tuple[Any, ...] = (tf.data.Dataset, keras.utils.PyDataset, types.GeneratorType, DataAdapter)
_KINDS += (tf.distribute.DistributedDataset, tf.distribute.DistributedIterator)
# TensorFlow turns an error inside a data set into text inside a longer text. The marks find the original text in it.
_MARKED = re.compile(r"<bad batch: (.*?) :bad batch>", re.DOTALL)


def is_stream(x: Any) -> bool:
    """Whether x comes in batches, and not as an array."""
    return isinstance(x, _KINDS) or type(x).__module__.startswith(("torch.utils.data", "grain"))


def one_error(method: Callable) -> Callable:
    """Decorates a method of a model: the error of a bad batch in a stream becomes a `ValueError` with its own text."""

    @functools.wraps(method)
    def call(model, *args, **kwargs):
        try:
            return method(model, *args, **kwargs)
        except (ValueError, tf.errors.OpError) as error:
            found = _MARKED.search(str(error))
            if found is None:
                raise
            traceback.clear_frames(error.__traceback__)
        # Generators must be closed here, with no iterator of Keras left. TensorFlow closes them in Python, and waits
        # forever if that happens in one of its own threads or after Python has begun to exit.
        drop_evaluation_iterator(model)
        gc.collect()
        raise ValueError(found[1])

    return call


def checked_stream(
    model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None, shuffle: bool = False, prefix: str = ""
) -> Any:
    """Returns a stream for Keras's loops whose batches are `(x, y, weight)`, each checked before it is handed over.

    Args:
      model: a model as in `checked_examples`.
      x: `tf.data.Dataset`, `keras.utils.PyDataset`, generator, or another loader that Keras takes.
      y: must be None, because it is part of the stream.
      sample_weight: must be None, for the same reason.
      shuffle: whether the batches of a `PyDataset` come in a new order in each epoch.
      prefix: start of the text of errors.

    Raises:
      ValueError: if the shapes and types that the stream announces do not fit. A bad batch raises only when it comes,
        see `one_error`.
    """
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"`{name}` must be part of the stream, whose elements are x, (x, y) or (x, y, sample_weight). "
                f"Received: {name} beside a {type(x).__name__}"
            )
    check = _BatchCheck(model, prefix)
    if isinstance(x, keras.utils.PyDataset):
        return PassedPyDataset(x, check.batch, shuffle=shuffle and x.num_batches is not None)
    if isinstance(x, types.GeneratorType):
        return PassedGenerator(check.batch(batch) for batch in x)
    if isinstance(x, tf.data.Dataset):
        return check.dataset(x)
    if isinstance(x, tf.distribute.DistributedDataset | tf.distribute.DistributedIterator):
        raise ValueError(
            f"`x` must be the data set itself, which `fit` distributes. Received: x of type {type(x).__name__}"
        )
    if isinstance(x, DataAdapter):  # this function has made it in an earlier call
        return x
    batches = adapter_of(x).get_numpy_iterator  # of a loader of another library, such as PyTorch's
    return check.dataset(python_dataset(batches, common_spec(list(itertools.islice(batches(), 2)))))


def is_endless(stream: Any) -> bool:
    """Whether a stream is known to have no end."""
    endless = isinstance(stream, tf.data.Dataset) and stream.cardinality() == tf.data.INFINITE_CARDINALITY
    return endless or has_no_end(stream)


def batch_rows(stream: Any) -> int | None:
    """Returns how many rows the batches of a stream have, or most of them; None if that is not known before they come.

    A `tf.data.Dataset` tells it unless `map` and the like follow on its `batch`; of a `PyDataset` a batch is made.
    """
    if isinstance(stream, tf.data.Dataset):
        variant = tf.data.experimental.to_variant(stream)
        rows = int(tf.raw_ops.ComputeBatchSize(input_dataset=variant))
        return rows if rows > 0 else None
    if isinstance(stream, keras.utils.PyDataset):
        parts = keras.tree.flatten(stream[0])
        return len(parts[0]) if parts and np.ndim(parts[0]) else None
    return None


def check_end(name: str, stream: Any, steps: int | None) -> None:
    """Raises `ValueError` if a stream is known to be endless and `steps`, the argument `name`, is None."""
    if steps is None and is_endless(stream):
        raise ValueError(f"`{name}` must be given for a data set without an end. Received: {name}=None")


def check_first_batch(model: keras.Model, x: Any, prefix: str) -> None:
    """Raises `ValueError` if the first batch does not fit a model; a stream that can be read only once is skipped."""
    check = _BatchCheck(model, prefix)
    if isinstance(x, tf.data.Dataset):
        for _ in check.dataset(x).take(1):
            pass
    elif isinstance(x, keras.utils.PyDataset):
        check.batch(x[0])


def encoded_stream(model: keras.Model, x: Any) -> Any:
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


class _BatchCheck:
    def __init__(self, model, prefix=""):
        # TensorFlow never frees the function of a `numpy_function`, so this one must not keep the model alive.
        self._model_reference = weakref.ref(model)
        self._prefix = prefix

    @property
    def _model(self):
        return self._model_reference()

    def batch(self, batch: Any) -> tuple:
        """Returns a batch made in Python as `(x,)`, `(x, y)` or `(x, y, weight)`, with `()` for no y."""
        try:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(_present(batch))
            examples = checked_examples(self._model, x, y, weight, is_batch=True)
        except ValueError as error:
            raise ValueError(f"<bad batch: {self._prefix}{error} :bad batch>") from None
        x, y, weight = examples.numpy(), examples.labels, examples.weights
        if weight is not None:
            return x, () if y is None else y, weight
        return (x,) if y is None else (x, y)

    def dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns a data set whose elements are checked as they pass."""
        dataset = encoded_stream(self._model, dataset)
        spec = dataset.element_spec
        try:
            self._check_spec(spec if isinstance(spec, tuple) else (spec,))
        except ValueError as error:
            raise ValueError(f"{self._prefix}{error}") from None
        # Prefetching lets the check of the next batch run on another core while a step runs.
        return without_autotuning(dataset.map(tf.autograph.experimental.do_not_convert(self._passed)).prefetch(1))

    def _parts(self, element):
        """Returns x, y, weight and target of an element or of its spec; parts that are missing are None."""
        x, y, weight = (_present(part) for part in keras.utils.unpack_x_y_sample_weight(element))
        if isinstance(x, tuple) and len(x) == 2:
            return *separated(self._model, x), weight, y
        if self._model.condition_dim is None and not is_real(y):
            y = None
        return x, y, weight, None

    def _check_spec(self, spec):
        x, y, weight, target = self._parts(spec)
        event, condition_dim = self._model.event_shape, self._model.condition_dim
        check_spec("x", x, (None, *event))
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


def _present(part):
    """Returns a part of an element, or None if it is empty: `()` of `Examples.batches`, or the None of a generator."""
    absent = isinstance(part, tf.experimental.Optional | tf.OptionalSpec) or (isinstance(part, tuple) and not part)
    return None if absent else part


def _has_shape(tensor, shape):
    return (tf.rank(tensor) == len(shape)) & _equal(tf.shape(tensor), tf.stack(shape))


def _equal(a, b):
    # With this option two shapes that do not fit together give False instead of an error.
    return tf.reduce_all(tf.raw_ops.Equal(x=a, y=tf.cast(b, a.dtype), incompatible_shape_error=False))
