"""Data that comes in batches: each is checked before a step sees it, at the cost of two reductions.

Batches made in Python (generators, `PyDataset`) are checked as arrays are. Those of a `tf.data.Dataset` are checked in
its own graph, and only a batch that fails there goes to the checks of arrays, for their error. Not in the training
step: XLA leaves assertions out, and there the weights are at hand.
"""

import functools
import gc
import re
import traceback
import types
import weakref

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters import data_adapter, get_data_adapter
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from keras_vae.data.containers import check_spec, is_real
from keras_vae.engine.conditions import valid_condition
from keras_vae.engine.inputs import checked_images, separated

_KINDS = (tf.data.Dataset, keras.utils.PyDataset, types.GeneratorType, data_adapter.DataAdapter)
_KINDS += (tf.distribute.DistributedDataset, tf.distribute.DistributedIterator)
# TensorFlow gives back an error of a pipeline as text inside a longer text.
_MARKED = re.compile(r"<bad batch: (.*?) :bad batch>", re.DOTALL)


def is_stream(x) -> bool:
    """Whether x comes in batches, and not as an array."""
    return isinstance(x, _KINDS) or type(x).__module__.startswith(("torch.utils.data", "grain"))


def one_error(method):
    """Decorates a method of a model: the error of a checked batch becomes a `ValueError` of its one sentence."""

    @functools.wraps(method)
    def call(model, *args, **kwargs):
        try:
            return method(model, *args, **kwargs)
        except (ValueError, tf.errors.OpError) as error:
            found = _MARKED.search(str(error))
            if found is None:
                raise
            traceback.clear_frames(error.__traceback__)
        # Out here, and with no iterator of Keras's left: TensorFlow closes a generator in Python, and waits for ever
        # where that happens in one of its own threads, or when Python has begun to end.
        model._eval_epoch_iterator = None
        gc.collect()
        raise ValueError(found[1])

    return call


def checked_stream(model, x, y=None, sample_weight=None, shuffle=False, prefix=""):
    """Returns a stream for Keras's loops whose batches are `(x, y, weight)`, each checked before it is handed over.

    Args:
      model: as in `checked_images`.
      x: `tf.data.Dataset`, `keras.utils.PyDataset`, generator, or another loader that Keras takes.
      y: must be None: it is part of the stream.
      sample_weight: must be None too.
      shuffle: whether a `PyDataset` changes the order of its batches.
      prefix: start of the text of errors.

    Raises:
      ValueError: if the stream says of itself that it does not fit; of a batch when it comes, see `one_error`.
    """
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"`{name}` must be part of the stream, whose elements are x, (x, y) or (x, y, sample_weight). "
                f"Received: {name} beside a {type(x).__name__}"
            )
    check = _BatchCheck(model, prefix)
    if isinstance(x, keras.utils.PyDataset):
        return _CheckedPyDataset(x, check, shuffle=shuffle and x.num_batches is not None)
    if isinstance(x, types.GeneratorType):
        return (check.batch(batch) for batch in x)
    if isinstance(x, tf.data.Dataset):
        return check.dataset(x)
    if isinstance(x, tf.distribute.DistributedDataset | tf.distribute.DistributedIterator):
        raise ValueError(
            f"`x` must be the data set itself, which `fit` distributes. Received: x of type {type(x).__name__}"
        )
    if isinstance(x, data_adapter.DataAdapter):  # made by this function
        return x
    return check.dataset(get_data_adapter(x).get_tf_dataset())


def check_end(name: str, stream, steps: int | None) -> None:
    """Raises `ValueError` for a stream that says it has no end if the argument `name`, a number of steps, is None."""
    endless = isinstance(stream, tf.data.Dataset) and stream.cardinality() == tf.data.INFINITE_CARDINALITY
    if steps is None and (endless or (isinstance(stream, PyDatasetAdapter) and stream.num_batches is None)):
        raise ValueError(f"`{name}` must be given for a data set without an end. Received: {name}=None")


def check_first_batch(model, x, prefix) -> None:
    """Raises `ValueError` if the first batch of a data set that can be read again does not fit a model."""
    check = _BatchCheck(model, prefix)
    if isinstance(x, tf.data.Dataset):
        for _ in check.dataset(x).take(1):
            pass
    elif isinstance(x, keras.utils.PyDataset):
        check.batch(x[0])


class _CheckedPyDataset(PyDatasetAdapter):
    def __init__(self, batches, check, shuffle):
        super().__init__(batches, shuffle=shuffle)
        self._check = check

    def _standardize_batch(self, batch):
        # In the process that trains, whichever process has made the batch.
        return self._check.batch(batch)


class _BatchCheck:
    def __init__(self, model, prefix=""):
        # TensorFlow keeps the function of a `numpy_function` for good: this one must not hold the model.
        self._model_reference = weakref.ref(model)
        self._prefix = prefix

    @property
    def _model(self):
        return self._model_reference()

    def batch(self, batch) -> tuple:
        """Returns a batch made in Python as `(x,)`, `(x, y)` or `(x, y, weight)`, with `()` for no y."""
        try:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(_present(batch))
            images = checked_images(self._model, x, y, weight)
        except ValueError as error:
            raise ValueError(f"<bad batch: {self._prefix}{error} :bad batch>") from None
        x, y, weight = images.numpy(), images.labels, images.weights
        if weight is not None:
            return x, () if y is None else y, weight
        return (x,) if y is None else (x, y)

    def dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns a data set whose elements are checked as they pass."""
        spec = dataset.element_spec
        try:
            self._check_spec(spec if isinstance(spec, tuple) else (spec,))
        except ValueError as error:
            raise ValueError(f"{self._prefix}{error}") from None
        # A step ahead, on another core than the step.
        return dataset.map(tf.autograph.experimental.do_not_convert(self._passed)).prefetch(1)

    def _parts(self, element):
        """Returns x, y, weight and target of an element or of its spec; None for what is not there."""
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
            x = tf.ensure_shape(x, (None, *event))
        if weight is not None:
            return x, () if y is None else y, tf.ensure_shape(weight, (None,))
        return (x,) if y is None else (x, y)


def _present(part):
    """Returns a part of an element, None for what stands for nothing: a generator's None, `()` of `Images.batches`."""
    absent = isinstance(part, tf.experimental.Optional | tf.OptionalSpec) or (isinstance(part, tuple) and not part)
    return None if absent else part


def _has_shape(tensor, shape):
    return (tf.rank(tensor) == len(shape)) & _equal(tf.shape(tensor), tf.stack(shape))


def _equal(a, b):
    # Two shapes that do not fit together give False and no error.
    return tf.reduce_all(tf.raw_ops.Equal(x=a, y=tf.cast(b, a.dtype), incompatible_shape_error=False))
