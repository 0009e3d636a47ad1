"""One split of a data set, in memory or on the disk, and how its examples are presented to a model."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from keras_vae.data.containers import as_numbers
from keras_vae.data.drawing import dither, drawn
from keras_vae.data.moments import moments
from keras_vae.data.rows import Rows, map_rows, uniform_rows
from keras_vae.data.steps import Block, presented_steps
from keras_vae.utils.arguments import ArrayLike, NonNegativeInt, PositiveFloat, PositiveInt, checked

BINARIZATIONS = ("dynamic", "static", "threshold", "none")
# How examples are called in logs and errors, by the rank of one of them.
KINDS = {1: "vectors", 2: "series", 3: "images"}
_INT32 = np.iinfo(np.int32)
_PER_EXAMPLE = ("values", "labels", "weights", "factors")


@checked
@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Examples of any shape, for example vectors `(d,)`, series `(time, channels)` or images.

    Values are divided by `divisor`, which is 255 for 8-bit images. They are presented as float32. Integers of more than
    8 bits with divisor 1 and no noise, such as counts and tokens, are presented as int32. With `noise` each
    presentation is a fresh draw: "bernoulli" takes the divided values as probabilities of 1 (`binarize` makes such
    images), "uniform" adds noise as wide as the step between two `levels` (`dequantize` makes such images).

    Attributes:
      values: array `(count, ...)`, floating, integer or bool; or `keras_vae.data.Rows` of one on the disk, of which a
        batch at a time is read.
      labels: array `(count, ...)` or None.
      weights: float array `(count,)`, the weight of each example in the mean over a batch, or None.
      factors: integer array `(count, num_factors)` of known generating factors, or None.
      divisor: what `values` are divided by.
      noise: "bernoulli", "uniform" or None.
      levels: number of equally spaced levels that the values had before uniform noise was added to them, or None.
      present_as: "float32" or "int32", the type in which the examples are presented whatever their values are, or None.
    """

    values: ArrayLike | Rows
    labels: np.ndarray | None = None
    weights: ArrayLike | None = None
    factors: ArrayLike | None = None
    divisor: PositiveFloat = 1.0
    noise: Literal["bernoulli", "uniform"] | None = None
    levels: PositiveInt | None = None
    present_as: Literal["float32", "int32"] | None = None

    def __post_init__(self) -> None:
        for name in ("values", "weights"):
            if not isinstance(getattr(self, name), Rows | None):
                object.__setattr__(self, name, as_numbers(name, getattr(self, name)))
        for name in _PER_EXAMPLE:
            array = getattr(self, name)
            if array is not None and len(array) != len(self.values):
                raise ValueError(
                    f"`{name}` must have one entry for each of the {len(self.values)} examples. "
                    f"Received: {name} with {len(array)}"
                )
        if self.noise == "uniform" and self.levels is None:
            raise ValueError("`levels` must be given with noise='uniform', which is as wide as a level. Received: None")
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
        is_wide = self.is_as_stored and self.values.dtype.itemsize > 1
        # Integers that int32 cannot hold are presented as float32, which rounds them; a cast would make other numbers.
        fits = is_wide and _INT32.min <= self.values.min() and self.values.max() <= _INT32.max
        return np.dtype("int32" if fits else "float32")

    @property
    def is_as_stored(self) -> bool:
        """Whether the presented values are the integers that are stored."""
        return self.values.dtype.kind in "iu" and self.divisor == 1 and self.noise is None

    def limits(self) -> np.ndarray:
        """Returns the smallest and largest value as presented; both are NaN if a value is."""
        ends = np.array([self.values.min(), self.values.max()])
        if self.is_as_stored:
            return ends.astype(self.dtype)
        limits = ends.astype(np.float32) / self.divisor
        return dither(limits, np.array([0.0, 1.0], np.float32), self.levels) if self.noise == "uniform" else limits

    @functools.cached_property
    def _moments(self):
        return self.values.moments if isinstance(self.values, Rows) else moments([self.values])

    def mean(self) -> np.ndarray:
        """Returns the mean example, shape `event_shape`."""
        mean = self._moments.total / len(self) / self.divisor
        return (dither(mean, 0.5, self.levels) if self.noise == "uniform" else mean).astype(np.float32)

    def deviation(self) -> np.ndarray:
        """Returns the standard deviation of each presented value around the mean example, shape `event_shape`.

        With noise it is that of all draws.
        """
        count, total, squares = len(self), self._moments.total, self._moments.squares
        if squares is None:
            mean, rows = np.float64(self.mean()), max(1, 2**20 // math.prod(self.event_shape))
            parts = (np.square(self[i : i + rows].numpy() - mean).sum(axis=0) for i in range(0, count, rows))
            return np.sqrt(sum(parts) / count).astype(np.float32)
        # The difference of large numbers needs more digits than 64 bits have.
        total, squares = np.longdouble(total), np.longdouble(squares)
        variance = np.float64((count * squares - np.square(total)) / count**2) / self.divisor**2
        if self.noise == "bernoulli":
            mean = np.float64(total) / count / self.divisor
            variance = mean * (1.0 - mean)
        elif self.noise == "uniform":
            levels = np.float64(self.levels)
            variance = variance * np.square((levels - 1) / levels) + 1.0 / (12.0 * np.square(levels))
        return np.sqrt(np.maximum(variance, 0.0)).astype(np.float32)

    @checked
    def numpy(self, seed: int = 0) -> np.ndarray:
        """Returns all examples as one array of type `dtype`; with `noise`, it is one draw, determined by `seed`."""
        fixed = self.fixed(seed)
        return fixed._divided(np.asarray(fixed.values))

    @checked
    def reader(self, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
        """Returns a function of indices `(n,)` that returns these examples of `numpy(seed)`.

        Of `Rows` it reads no others.
        """
        fixed = self.fixed(seed)
        read = fixed.values.read if isinstance(fixed.values, Rows) else fixed.values.__getitem__
        return lambda index: fixed._divided(read(index))

    @checked
    def chunks(self, seed: int = 0) -> Iterator[np.ndarray]:
        """Yields the examples of `numpy(seed)` in order, of `Rows` about 4 MiB at a time, else all at once."""
        fixed = self.fixed(seed)
        parts = fixed.values.chunks() if isinstance(fixed.values, Rows) else (fixed.values,)
        return (fixed._divided(part) for part in parts)

    def _divided(self, values):
        if self.is_as_stored:
            return values.astype(self.dtype)
        x = values.astype(np.float32)
        return (x if self.divisor == 1 else x / np.float32(self.divisor)).astype(self.dtype, copy=False)

    @checked
    def fixed(self, seed: int = 0) -> "Examples":
        """Returns examples without noise: with `noise` the values are one draw, which is determined by `seed`.

        `Rows` are drawn when they are read.
        """
        kind, divisor, levels, seed = self.noise, np.float32(self.divisor), self.levels, seed % 2**32
        if kind is None:
            return self

        def draw(values, index):
            uniform = uniform_rows(seed, index, values.shape[1:])
            if kind == "bernoulli":
                return (uniform < values / divisor).astype(np.uint8)
            return dither(values.astype(np.float32) / divisor, uniform, levels)

        return dataclasses.replace(self, values=map_rows(self.values, draw), divisor=1.0, noise=None)

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

        The order is a function of (seed, epoch), and the draw of an example one of (seed, epoch, its row), so training
        can continue from any epoch. The last batch of an epoch is filled up with examples of weight 0, so that all
        batches have one shape.

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
        steps = presented_steps(self, batch_size, 1, shuffle, seed, initial_epoch, lengths, rows)
        batches = steps.map(lambda batch, _: (tf.cast(drawn(batch[0]), self.dtype), *batch[1:]))
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
        """Returns the batches of `batches` stacked to a `Block` of `block_size`.

        Examples with noise are not drawn yet: `keras_vae.data.drawing.drawn(block.batches[0])` draws them.
        """
        steps = presented_steps(self, batch_size, block_size, shuffle, seed, initial_epoch, lengths)
        stacked = steps.batch(block_size, drop_remainder=True)
        return stacked.map(lambda batches, real: Block(batches, tf.reduce_sum(real))).prefetch(2)
