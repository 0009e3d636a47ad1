"""The steps of all epochs as an endless data set: a function of the seed and the number of the epoch alone."""

import atexit
import functools
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_vae.data.drawing import Undrawn, keys_of_rows
from keras_vae.data.order import epoch_order
from keras_vae.data.rows import Rows
from keras_vae.utils import checks


class Block(NamedTuple):
    """Several batches for one call into a compiled graph, stacked on a leading axis.

    Examples with noise are `keras_vae.data.drawing.Undrawn`, and `drawn` of that module draws them. The first `count`
    of `batches` are real. Those after them fill the block up, so that all blocks have one shape.
    """

    batches: tuple
    count: tf.Tensor


def presented_steps(
    examples: Any,
    batch_size: int,
    multiple: int,
    shuffle: bool,
    seed: int,
    initial_epoch: int | Callable,
    lengths: np.ndarray | None,
    rows: range | None = None,
) -> tf.data.Dataset:
    """Returns an endless data set of `(batch, real)`, in which each epoch has a multiple of `multiple` steps.

    Examples with noise are `Undrawn`. `real` is 1, and 0 for the steps that fill an epoch up. The arguments are those
    of `Examples.batches`.
    """
    steps = -(-len(examples) // checks.positive_int("batch_size", batch_size))
    padded_steps = -(-steps // checks.positive_int("block_size", multiple)) * multiple
    seed = int(checks.nonnegative_int("seed", seed))
    first = initial_epoch if callable(initial_epoch) else lambda: initial_epoch
    if not callable(initial_epoch):
        checks.nonnegative_int("initial_epoch", initial_epoch)
    # The data set computes on the CPU. On a GPU, which is TensorFlow's default, a constant would be copied there and
    # back, and one larger than its memory could not be made.
    with tf.device("CPU:0"):
        gather = _gather(examples.values)
        labels = None if examples.labels is None else tf.constant(examples.labels)
        weights = tf.ones(len(examples)) if examples.weights is None else tf.constant(examples.weights, tf.float32)
    columns = np.array(range(batch_size) if rows is None else rows)
    num_examples, dtype, as_stored = len(examples), examples.dtype, examples.is_as_stored
    noise, levels = examples.noise, examples.levels or 0
    is_8_bit = examples.values.dtype == np.uint8 and examples.divisor in range(1, 256)
    # Levels are drawn as they are, if there is noise for just these levels.
    draws_levels = is_8_bit and (noise == "bernoulli" or (noise == "uniform" and levels == examples.divisor + 1))

    # TensorFlow never frees the function of a `numpy_function`, so this one must not refer to the data.
    def plan(epoch):
        epoch = epoch + first()
        order = epoch_order(num_examples, shuffle, seed, int(epoch), batch_size, lengths)
        count = padded_steps * batch_size
        index = np.resize(order, count)  # the end is filled up with examples from the start
        index = index.reshape(padded_steps, batch_size)[:, columns % batch_size]
        real = (np.arange(count) < num_examples).reshape(padded_steps, batch_size)
        step = np.arange(padded_steps)
        return (
            index,
            (real[:, columns % batch_size] & (columns < batch_size)).astype(np.float32),
            keys_of_rows(seed, int(epoch), num_examples)[index] if noise else np.zeros((*index.shape, 0), np.uint32),
            (step < steps).astype(np.int32),
        )

    def present(index, is_example, keys, real):
        weight = tf.gather(weights, index) * is_example
        x = gather(index)
        x = x if as_stored or draws_levels else tf.cast(x, tf.float32) / examples.divisor
        x = tf.cast(x, dtype) if noise is None else Undrawn(x, keys, noise, int(examples.divisor), levels)
        y = () if labels is None else tf.gather(labels, index)
        return (x, y, weight), real

    specs = (
        tf.TensorSpec((padded_steps, len(columns)), tf.int64),
        tf.TensorSpec((padded_steps, len(columns)), tf.float32),
        tf.TensorSpec((padded_steps, len(columns), 2 if noise else 0), tf.uint32),
        tf.TensorSpec((padded_steps,), tf.int32),
    )

    def epoch_steps(epoch):
        planned = tf.numpy_function(plan, [epoch], [spec.dtype for spec in specs])
        for array, spec in zip(planned, specs, strict=True):
            array.set_shape(spec.shape)
        return tf.data.Dataset.from_tensor_slices(tuple(planned))

    # `from_generator` would be simpler, but slows down all that follows: see `keras_vae.engine.python_batches`.
    dataset = without_autotuning(tf.data.Dataset.counter().flat_map(epoch_steps).map(present))
    dataset.rows = examples.values  # which `_gather` refers to weakly
    return dataset


def _gather(values):
    """Returns a function of a tensor of indices that returns the examples there."""
    if not isinstance(values, Rows):
        constant = tf.constant(values)
        return lambda index: tf.gather(constant, index)
    # TensorFlow never frees the function of a `numpy_function`.
    rows, shape, dtype = weakref.ref(values), values.shape[1:], values.dtype
    reading = Reading.of_process()

    def read(index):
        with reading:
            return np.zeros((len(index), *shape), dtype) if reading.is_over else rows().read(index)

    def gather(index):
        return tf.ensure_shape(tf.numpy_function(read, [index], dtype), (*index.shape, *shape))

    return gather


class Reading:
    """Lets the threads of TensorFlow come to rest before Python ends.

    A thread that calls Python while it ends is stopped for good, and an iterator that is still there at the end waits
    for its thread forever. So from the exit on nothing is read, the threads fill their buffers with zeros, which nobody
    will see, and the exit waits until none has called for a while.
    """

    @staticmethod
    @functools.cache
    def of_process() -> "Reading":
        """Returns the one of this process."""
        reading = Reading()
        atexit.register(reading.end)
        return reading

    def __init__(self) -> None:
        self.is_over, self._last_call, self._running = False, 0.0, 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            self._last_call = time.monotonic()

    def end(self) -> None:
        """Waits until no thread reads and none has begun to for a tenth of a second, at most ten seconds."""
        self.is_over, started = True, time.monotonic()
        self._last_call = started
        while time.monotonic() < started + 10.0 and (self._running or time.monotonic() < self._last_call + 0.1):
            time.sleep(0.01)


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a data set that TensorFlow does not tune while it runs, unless its options ask for that.

    The thread that tunes sleeps for 10 ms x 2^k at a time, and each iterator waits at its end until it wakes: an epoch
    of 1.4 s took 2.56 s. Without it `tf.data.AUTOTUNE` stands for the number of cores.
    """
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
