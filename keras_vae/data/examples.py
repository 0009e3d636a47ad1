"""One split of a data set in memory, and how its examples are presented to a model."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from keras_vae.data.containers import as_numbers
from keras_vae.data.order import epoch_order
from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, NonNegativeInt, PositiveFloat, PositiveInt, checked

BINARIZATIONS = ("dynamic", "static", "threshold", "none")
# How examples are called in logs and errors, by the rank of one of them.
KINDS = {1: "vectors", 2: "series", 3: "images"}
_INT32 = np.iinfo(np.int32)
_PER_EXAMPLE = ("values", "labels", "weights", "factors")


class Block(NamedTuple):
    """Several batches for one call into a compiled graph, stacked on a leading axis.

    The first `count` of `batches` are real. Those after them fill the block up, so that all blocks have one shape.
    """

    batches: tuple
    count: tf.Tensor


@checked
@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Examples of any shape in memory, for example vectors `(d,)`, series `(time, channels)` or images.

    Values are divided by `divisor`, which is 255 for 8-bit images. They are presented as float32. Integers of more than
    8 bits with divisor 1 and no noise, such as counts and tokens, are presented as int32. With `noise` each
    presentation is a fresh draw: "bernoulli" takes the divided values as probabilities of 1 (`binarize` makes such
    images), "uniform" adds noise as wide as the step between two `levels` (`dequantize` makes such images).

    Attributes:
      values: array `(count, ...)`, floating, integer or bool.
      labels: array `(count, ...)` or None.
      weights: float array `(count,)`, the weight of each example in the mean over a batch, or None.
      factors: integer array `(count, num_factors)` of known generating factors, or None.
      divisor: what `values` are divided by.
      noise: "bernoulli", "uniform" or None.
      levels: number of equally spaced levels that the values had before uniform noise was added to them, or None.
      present_as: "float32" or "int32", the type in which the examples are presented whatever their values are, or None.
    """

    values: ArrayLike
    labels: np.ndarray | None = None
    weights: ArrayLike | None = None
    factors: ArrayLike | None = None
    divisor: PositiveFloat = 1.0
    noise: Literal["bernoulli", "uniform"] | None = None
    levels: PositiveInt | None = None
    present_as: Literal["float32", "int32"] | None = None

    def __post_init__(self) -> None:
        for name in ("values", "weights"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_numbers(name, getattr(self, name)))
        for name in _PER_EXAMPLE:
            array = getattr(self, name)
            if array is not None and len(array) != len(self.values):
                raise ValueError(
                    f"`{name}` must have one entry for each of the {len(self.values)} examples. "
                    f"Received: {name} with {len(array)}"
                )
        if not len(self.values):
            raise ValueError("`values` must hold at least one example. Received: an empty array")
        if self.weights is not None and self.weights.shape != (len(self),):
            raise ValueError(
                f"`weights`, the `sample_weight` of `fit`, must have shape ({len(self)},), one for each example. "
                f"Received: weights with shape {self.weights.shape}"
            )
        if self.weights is not None and not (np.isfinite(self.weights).all() and np.min(self.weights) >= 0):
            raise ValueError(
                "`weights`, the `sample_weight` of `fit`, must be finite and at least 0. "
                f"Received: weights from {np.min(self.weights):g} to {np.max(self.weights):g}"
            )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Examples(count={len(self)}, event_shape={self.event_shape}, noise={self.noise!r})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy().astype(dtype or self.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all examples, (count, ...)."""
        return self.values.shape

    def __getitem__(self, index: Any) -> "Examples":
        """Returns the examples of a slice or an array of indices as `Examples`; a single index gives one example."""
        index = slice(index, index + 1 or None) if isinstance(index, int | np.integer) else index
        picked: dict[str, Any] = {name: getattr(self, name) for name in _PER_EXAMPLE}
        values: dict[str, Any] = {name: a if a is None else a[index] for name, a in picked.items()}
        return dataclasses.replace(self, **values)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.values.shape[1:]

    @property
    def kind(self) -> str:
        """What the examples are by their rank: "vectors", "series", "images", or "examples" of any other rank."""
        return KINDS.get(len(self.event_shape), "examples")

    @functools.cached_property
    def dtype(self) -> np.dtype:
        """Type in which the examples are presented, float32 or int32."""
        if self.present_as is not None:
            return np.dtype(self.present_as)
        is_wide = self._as_stored and self.values.dtype.itemsize > 1
        # Integers that int32 cannot hold are presented as float32, which rounds them; a cast would make other numbers.
        fits = is_wide and _INT32.min <= self.values.min() and self.values.max() <= _INT32.max
        return np.dtype("int32" if fits else "float32")

    @property
    def _as_stored(self) -> bool:
        """Whether the presented values are the integers that are stored."""
        return self.values.dtype.kind in "iu" and self.divisor == 1 and self.noise is None

    def limits(self) -> np.ndarray:
        """Returns the smallest and largest value as presented; both are NaN if a value is."""
        if self._as_stored:
            return np.array([self.values.min(), self.values.max()]).astype(self.dtype)
        limits = np.array([self.values.min(), self.values.max()], np.float32) / self.divisor
        return dither(limits, np.array([0.0, 1.0], np.float32), self.levels) if self.noise == "uniform" else limits

    def mean(self) -> np.ndarray:
        """Returns the mean example, shape `event_shape`."""
        mean = self.values.mean(axis=0, dtype=np.float64) / self.divisor
        return (dither(mean, 0.5, self.levels) if self.noise == "uniform" else mean).astype(np.float32)

    def deviation(self) -> np.ndarray:
        """Returns the standard deviation of each presented value around the mean example, shape `event_shape`."""
        mean, rows = np.float64(self.mean()), max(1, 2**20 // self.values[0].size)
        squares = (np.square(self[i : i + rows].numpy() - mean).sum(axis=0) for i in range(0, len(self), rows))
        return np.sqrt(sum(squares) / len(self)).astype(np.float32)

    @checked
    def numpy(self, seed: int = 0) -> np.ndarray:
        """Returns all examples as one array of type `dtype`; with `noise`, it is one draw, determined by `seed`."""
        if self.noise == "bernoulli":
            return bernoulli_draw(self.values, self.divisor, seed).astype(self.dtype)
        if self._as_stored:
            return self.values.astype(self.dtype)
        x = self.values.astype(np.float32) / np.float32(self.divisor)
        x = dither(x, _uniform(x.shape, seed), self.levels) if self.noise == "uniform" else x
        return x.astype(self.dtype, copy=False)

    @checked
    def batches(
        self,
        batch_size: PositiveInt,
        shuffle: bool = True,
        seed: NonNegativeInt = 0,
        initial_epoch: NonNegativeInt | Callable = 0,
        rows: range | None = None,
        lengths: np.ndarray | None = None,
    ) -> tf.data.Dataset:
        """Returns an endless data set of batches; an epoch has `ceil(len / batch_size)`.

        Order and draws are functions of (seed, epoch, step) alone, so training can continue from any epoch. The last
        batch of an epoch is filled up with examples of weight 0, so that all batches have one shape.

        Args:
          batch_size: examples in a batch, a positive integer.
          shuffle: whether each epoch has an order of its own.
          seed: integer of at least 0.
          initial_epoch: the epoch to start with, or a function that returns it, which is called for the first batch.
          rows: which rows of each batch to return, for one worker of several; None returns all. They are equal to the
            bit to these rows of the whole batch; rows past its end are examples of weight 0.
          lengths: length of each example `(count,)`; a shuffled epoch then makes batches of about one length.

        Returns:
          Elements `(x, y, weight)`: examples `(batch_size, ...)` of type `dtype`; labels `(batch_size, ...)`, or `()`
          when there are none; float32 `(batch_size,)`.
        """
        steps = self._steps(batch_size, 1, shuffle, seed, initial_epoch, lengths, rows)
        batches = steps.map(lambda batch, _: (tf.cast(batch[0], self.dtype), *batch[1:]))
        return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    @checked
    def blocks(
        self,
        batch_size: PositiveInt,
        block_size: PositiveInt,
        shuffle: bool = True,
        seed: NonNegativeInt = 0,
        initial_epoch: NonNegativeInt | Callable = 0,
        lengths: np.ndarray | None = None,
    ) -> tf.data.Dataset:
        """Returns the batches of `batches` stacked to a `Block` of `block_size`, in which Bernoulli draws are bool."""
        steps = self._steps(batch_size, block_size, shuffle, seed, initial_epoch, lengths)
        stacked = steps.batch(block_size, drop_remainder=True)
        return stacked.map(lambda batches, real: Block(batches, tf.reduce_sum(real))).prefetch(2)

    def _steps(self, batch_size, multiple, shuffle, seed, initial_epoch, lengths, rows=None):
        """Returns elements `(batch, real)`; an epoch is filled up to a multiple of `multiple` steps with `real = 0`."""
        steps = -(-len(self) // checks.positive_int("batch_size", batch_size))
        padded_steps = -(-steps // checks.positive_int("block_size", multiple)) * multiple
        checks.nonnegative_int("seed", seed)
        first = initial_epoch if callable(initial_epoch) else lambda: initial_epoch
        if not callable(initial_epoch):
            checks.nonnegative_int("initial_epoch", initial_epoch)
        values = tf.constant(self.values)
        labels = None if self.labels is None else tf.constant(self.labels)
        weights = tf.ones(len(self)) if self.weights is None else tf.constant(self.weights, tf.float32)
        columns = np.array(range(batch_size) if rows is None else rows)
        num_examples, dtype, as_stored = len(self), self.dtype, self._as_stored

        # TensorFlow never frees the function of a `numpy_function`, so this one must not refer to the data.
        def plan(epoch):
            epoch = epoch + first()
            order = epoch_order(num_examples, shuffle, seed, int(epoch), batch_size, lengths)
            count = padded_steps * batch_size
            index = np.resize(order, count)  # the end is filled up with examples from the start
            real = (np.arange(count) < num_examples).reshape(padded_steps, batch_size)
            step = np.arange(padded_steps)
            return (
                index.reshape(padded_steps, batch_size)[:, columns % batch_size],
                (real[:, columns % batch_size] & (columns < batch_size)).astype(np.float32),
                np.stack([np.full(padded_steps, seed % 2**31), epoch * steps + step], axis=1),
                (step < steps).astype(np.int32),
            )

        def present(index, is_example, draw_seed, real):
            weight = tf.gather(weights, index) * is_example
            x = tf.gather(values, index)
            x = x if as_stored else tf.cast(x, tf.float32) / self.divisor
            if self.noise is not None:
                # The draws of all rows before are made too, because a row must get the same draw as in the whole batch.
                shape = (columns[-1] + 1, *x.shape[1:])
                uniform = tf.random.stateless_uniform(shape, draw_seed, alg="philox")[columns[0] :]
                bernoulli = self.noise == "bernoulli"
                x = uniform < x if bernoulli else dither(x, uniform, self.levels)
            # A draw of a Bernoulli stays bool here, because a block of them then takes a quarter of the memory.
            x = x if self.noise == "bernoulli" else tf.cast(x, dtype)
            y = () if labels is None else tf.gather(labels, index)
            return (x, y, weight), real

        specs = (
            tf.TensorSpec((padded_steps, len(columns)), tf.int64),
            tf.TensorSpec((padded_steps, len(columns)), tf.float32),
            tf.TensorSpec((padded_steps, 2), tf.int64),
            tf.TensorSpec((padded_steps,), tf.int32),
        )

        def epoch_steps(epoch):
            planned = tf.numpy_function(plan, [epoch], [spec.dtype for spec in specs])
            for array, spec in zip(planned, specs, strict=True):
                array.set_shape(spec.shape)
            return tf.data.Dataset.from_tensor_slices(tuple(planned))

        # `from_generator` would be simpler. But under Python 3.11 with TensorFlow 2.21 it makes malloc map every buffer
        # above 128 KiB anew, in the whole process and forever. Matrix products pack their operands into such buffers,
        # and would spend half of their time in page faults.
        dataset = tf.data.Dataset.counter().flat_map(epoch_steps).map(present)
        return without_autotuning(dataset)


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


def bernoulli_draw(values: np.ndarray, divisor: float, seed: int) -> np.ndarray:
    """Returns uint8 zeros and ones, one Bernoulli draw with probabilities `values / divisor`."""
    return (_uniform(values.shape, seed) < values / np.float32(divisor)).astype(np.uint8)


def _uniform(shape, seed):
    return np.random.default_rng(seed % 2**32).random(shape, np.float32)


def dither(x: Any, uniform: Any, levels: Any) -> Any:
    """Returns x in [0, 1] on equally spaced levels with noise, ((levels - 1) x + uniform) / levels, also in [0, 1]."""
    return ((levels - 1) * x + uniform) / levels
