"""Data that come in batches: each batch is checked before a training step sees it, at the cost of two reductions.

Batches made in Python (generators, `PyDataset`) are checked as arrays are. Those of a `tf.data.Dataset` are checked in
its own graph, and only a batch that fails there goes to the checks of arrays, for their error text. The training step
is no place for the check: XLA leaves assertions out, and the step would change the weights before an error is seen.
"""

import functools
import gc
import itertools
import traceback
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.engine.batch_check import MARKED, BatchCheck, encoded_dataset
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
            found = MARKED.search(str(error))
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
    check = BatchCheck(model, prefix)
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
    check = BatchCheck(model, prefix)
    if isinstance(x, tf.data.Dataset):
        for _ in check.dataset(x).take(1):
            pass
    elif isinstance(x, keras.utils.PyDataset):
        check.batch(x[0])


def stream_of_inputs(model: keras.Model, x: Any) -> Any:
    """Returns a stream for `predict`, with tokens in the place of texts; batches made in Python are checked.

    Raises:
      ValueError: as `checked_stream`, apart from values outside of the likelihood's support, which may be encoded.
    """
    check = BatchCheck(model)
    if isinstance(x, keras.utils.PyDataset):
        return PassedPyDataset(x, check.inputs, shuffle=False)
    if isinstance(x, types.GeneratorType):
        return PassedGenerator(check.inputs(batch) for batch in x)
    if not isinstance(x, _KINDS):  # a loader of another library, such as PyTorch's
        return PassedGenerator(check.inputs(batch) for batch in adapter_of(x).get_numpy_iterator())
    x = encoded_dataset(model, x)
    if isinstance(x, tf.data.Dataset):
        check.spec_of_x(x.element_spec)
    return x
