"""Batches that are made in Python as a `tf.data.Dataset`, each by itself or many stacked in a block.

`tf.data.Dataset.from_generator` is no way to do it. Under Python 3.11 the first of its iterators makes TensorFlow 2.21
call `mallopt(M_MMAP_THRESHOLD, 131072)`, so that malloc maps every larger buffer anew, in the whole process and
forever: batches, and also what matrix products pack their operands into.
"""

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.data.steps import Block, Reading, without_autotuning


def python_dataset(make_batches: Callable[[], Iterable], spec: Any) -> tf.data.Dataset:
    """Returns a data set of what an iterable yields; each iterator of the data set begins a new iterable.

    An earlier iterator of the data set then has no more batches than it has fetched.

    Args:
      make_batches: function without arguments that returns an iterable of structures of arrays.
      spec: structure of `tf.TensorSpec` of such a batch.
    """
    source = _Source(make_batches)
    # TensorFlow never frees the function of a `numpy_function`.
    weak, reading = weakref.ref(source), Reading.of_process()
    specs, expected = tf.nest.flatten(spec), _structure(spec)
    absent = [np.zeros([size or 0 for size in each.shape], each.dtype.as_numpy_dtype) for each in specs]

    def following(number):
        with reading:
            batch = None if reading.is_over else weak().following(number)
        if batch is None:
            return [False, *absent]
        if (given := _structure(batch)) != expected:
            raise TypeError(f"batches must all have the parts of the first, {expected}. Received: {given}")
        pairs = zip(map(np.asarray, tf.nest.flatten(batch)), specs, strict=True)
        # A number that the type of the first batches cannot hold, such as 0.5 after integers, is an error.
        return [True, *(a.astype(b.dtype.as_numpy_dtype, casting="same_kind", copy=False) for a, b in pairs)]

    def batch_of(number):
        more, *arrays = tf.numpy_function(following, [number], [tf.bool, *(each.dtype for each in specs)])
        arrays = [tf.ensure_shape(array, each.shape) for array, each in zip(arrays, specs, strict=True)]
        return tf.ensure_shape(more, ()), tf.nest.pack_sequence_as(spec, arrays)

    def batches(_):
        # The number is drawn when an iterator begins.
        number = tf.numpy_function(lambda: weak().begin(), [], tf.int64)
        endless = tf.data.Dataset.from_tensors(number).repeat()
        return endless.map(batch_of).take_while(lambda more, _: more).map(lambda _, batch: batch)

    convert = tf.autograph.experimental.do_not_convert
    dataset = without_autotuning(tf.data.Dataset.from_tensors(0).flat_map(convert(batches)).prefetch(1))
    dataset.source = source
    return dataset


def common_spec(batches: list) -> Any:
    """Returns the structure of `tf.TensorSpec` of some batches: the first axis, and others that differ, are None.

    Raises:
      ValueError: if there are none, or the batches differ in more.
    """
    if not batches:
        raise ValueError("`x` must hold at least one batch. Received: none")

    def common(*arrays):
        shapes = [np.shape(array) for array in arrays]
        if len({len(shape) for shape in shapes}) > 1:
            raise ValueError(f"`x` must hold batches with the same axes. Received: shapes {shapes[0]} and {shapes[1]}")
        axes = zip(*shapes, strict=True)
        shape = [None if i == 0 or len(set(sizes)) > 1 else sizes[0] for i, sizes in enumerate(axes)]
        return tf.TensorSpec(shape, np.asarray(arrays[0]).dtype)

    return tf.nest.map_structure(common, *batches)


def _structure(batch):
    return tf.nest.map_structure(lambda part: "an array", batch)


class _Source:
    """Begins iterables, and knows which iterator of a data set is the last one."""

    def __init__(self, make_batches):
        self._make_batches, self._number, self._batches = make_batches, 0, iter(())

    def begin(self):
        self._number += 1
        self._batches = iter(self._make_batches())
        return np.int64(self._number)

    def following(self, number):
        return next(self._batches, None) if number == self._number else None


def stacked(batches: Iterator, size: int, has_conditions: bool) -> Iterator[Block]:
    """Yields `Block`s of `size` batches `(x,)`, `(x, y)` or `(x, y, weight)`; the last may hold fewer real ones.

    Shorter batches of a block are filled up with their own rows, from the first on, and weight 0: layers that look at
    whole batches see real data. `has_conditions` tells whether y is kept.
    """
    while group := list(itertools.islice(batches, size)):
        parts = [keras.utils.unpack_x_y_sample_weight(batch) for batch in group]
        rows = [len(x) for x, _, _ in parts]
        weights = [np.float32(np.ones(len(x)) if weight is None else weight) for x, _, weight in parts]
        y = _filled([y for _, y, _ in parts], size, max(rows)) if has_conditions else ()
        weight = _filled(weights, size, max(rows))
        for i, count in enumerate(rows):
            weight[i, count:] = 0.0
        yield Block((_filled([x for x, _, _ in parts], size, max(rows)), y, weight), np.int32(len(group)))


def _filled(arrays, size, most):
    """Returns arrays as one `(size, most, ...)`; there are zeros in the place of those that are missing."""
    block = np.empty((size, most, *arrays[0].shape[1:]), arrays[0].dtype)
    block[len(arrays) :] = 0
    for rows, array in zip(block, arrays, strict=False):
        rows[: len(array)] = array
        if len(array) < most:
            rows[len(array) :] = array[np.arange(len(array), most) % len(array)]
    return block


def block_spec(spec: Any, size: int, has_conditions: bool) -> Block:
    """Returns the spec of a `Block` of batches of a spec `(x,)`, `(x, y)` or `(x, y, weight)`."""
    x, *others = (tf.TensorSpec((size, None, *part.shape[1:]), part.dtype) for part in tf.nest.flatten(spec))
    y = others[0] if has_conditions else ()
    return Block((x, y, tf.TensorSpec((size, None), tf.float32)), tf.TensorSpec((), tf.int32))
