"""Draws of examples with noise: a function of (seed, epoch, row, place in the example), computed where it is needed.

A compiled step draws its own examples, and a worker those of its own rows. Each row of an epoch has a key of 64 random
bits, from NumPy's Philox, a counter-based generator. The word of a place is one hash of the place and the key.
Batches in blocks are `Undrawn`, and `drawn` draws them.

The words went through dieharder, apart from its sums with lags of 18 and more: of 99 results 96 passed, 3 were weak
(chance makes about one), and none failed. The weak ones passed when they were run again
(`benchmarks/dieharder_draws.txt`).
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

_GOLDEN_RATIO = 0x9E3779B9


def keys_of_rows(seed: int, epoch: int, count: int) -> np.ndarray:
    """Returns the keys of all rows of an epoch, uint32 `(count, 2)`."""
    words = np.random.Philox(key=np.array([seed % 2**64, epoch], np.uint64)).random_raw(count)
    return words.astype("<u8").view("<u4").reshape(count, 2)


def words_of(keys: tf.Tensor, num_places: int) -> tf.Tensor:
    """Returns random words, uint32 `(..., num_places)`, for keys, uint32 `(..., 2)`.

    The hash is `triple32` (Wellons, "hash prospector", github.com/skeeto/hash-prospector). The first half of the key
    enters before it, the second one after the first of its three multiplications.
    """
    places = tf.cast(tf.range(num_places), tf.uint32) * _word(_GOLDEN_RATIO)
    word = places + keys[..., :1]
    word = (word ^ _shifted(word, 17)) * _word(0xED5AD4BB) ^ keys[..., 1:]
    word = (word ^ _shifted(word, 11)) * _word(0xAC4C1B51)
    word = (word ^ _shifted(word, 15)) * _word(0x31848BAB)
    return word ^ _shifted(word, 14)


def _word(value):
    return tf.constant(value, tf.uint32)


def _shifted(word, bits):
    return tf.bitwise.right_shift(word, _word(bits))


class Undrawn(tf.experimental.BatchableExtensionType):
    """Examples that are still to be drawn; they may be stacked, and indexed along their first axis.

    Attributes:
      values: `(..., *event_shape)`: uint8 levels to be divided by `divisor`, or float32 that need not be divided.
      keys: uint32 `(..., 2)`, the key of each example.
      noise: "bernoulli", for which divided values are probabilities of 1, or "uniform", noise as wide as a level.
      divisor: what uint8 values are divided by.
      levels: number of levels of "uniform" noise, one more than the divisor of uint8 values; 0 for other noise.
    """

    values: tf.Tensor
    keys: tf.Tensor
    noise: str
    divisor: int
    levels: int

    def __getitem__(self, index: Any) -> "Undrawn":
        return Undrawn(self.values[index], self.keys[index], self.noise, self.divisor, self.levels)

    def draw(self) -> tf.Tensor:
        """Returns the draw, `(..., *event_shape)`: bool for "bernoulli", else float32."""
        values, is_8_bit = self.values, self.values.dtype == tf.uint8
        event_shape = values.shape[self.keys.shape.rank - 1 :]
        words = tf.reshape(words_of(self.keys, math.prod(event_shape)), tf.shape(values))
        if self.noise == "bernoulli":
            uniform = _shifted(words, 8)
            if is_8_bit:  # u / 2^24 < level / divisor in integers: with and without XLA the draws are the same
                return uniform * _word(self.divisor) < tf.cast(values, tf.uint32) * _word(2**24)
            return tf.cast(uniform, tf.float32) * 2.0**-24 < values
        # One of 256 levels and 16 bits of noise fit in a float32: no sum is rounded to the next level.
        uniform = tf.cast(_shifted(words, 16), tf.float32) * 2.0**-16
        if is_8_bit:
            return (tf.cast(values, tf.float32) + uniform) * np.float32(1 / self.levels)
        return dither(values, uniform, self.levels)


def drawn(x: Any) -> Any:
    """Returns the draw of `Undrawn`, and all else as it is."""
    return x.draw() if isinstance(x, Undrawn) else x


def dither(x: Any, uniform: Any, levels: Any) -> Any:
    """Returns x in [0, 1] on equally spaced levels with noise, ((levels - 1) x + uniform) / levels, also in [0, 1]."""
    return ((levels - 1) * x + uniform) / levels
