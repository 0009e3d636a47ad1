"""Portable noise: the same random numbers from (seed, index) in TensorFlow, in a SavedModel and in a TFLite file.

The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011), the counter-based generator that JAX also uses. It is a function, not a state: two 32-bit key words
and two 32-bit counter words go in, two random words come out. Every operation in it (add, multiply by a power of two,
xor on `int32`, shift right on `uint32`) is a built-in of every TensorFlow Lite runtime, which is why an exported
decoder can draw from a seed where `tf.random` cannot.

The four input words are the key (seed, stream), where stream 0 belongs to `VAE.sample`, and the counter (row,
position): the row is the index along the first axis, that of the pictures, and the position counts up within a row. A
picture's noise therefore does not depend on how many other pictures are drawn with it.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_vae.utils.devices import has_gpu

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
# Training step t takes stream t + 1 of the model's seed. The streams from this one on belong to evaluation.
EVALUATION_STREAM = 2**31
MIN_SEED, MAX_SEED = -(2**31), 2**32 - 1


def as_word(value: Any, name: str = "seed") -> tf.Tensor:
    """Returns a seed or stream as a `uint32` scalar; a negative Python integer or int32 tensor wraps modulo 2^32.

    Raises:
      ValueError: if a Python value is not an integer in [-2^31, 2^32).
    """
    if isinstance(value, tf.Tensor | tf.Variable):
        return tf.cast(value, tf.uint32)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not MIN_SEED <= value <= MAX_SEED:
        raise ValueError(f"`{name}` must be an integer in [-2**31, 2**32). Received: {name}={value!r}")
    return tf.constant(int(value) % 2**32, tf.uint32)


def threefry2x32(key: tuple, counter: tuple) -> tuple[tf.Tensor, tf.Tensor]:
    """Threefry-2x32-20: two random words for each counter.

    Args:
      key: pair of `uint32` tensors.
      counter: pair of `uint32` tensors; all four broadcast together.

    Returns:
      A pair of `uint32` tensors of the broadcast shape.
    """
    # TensorFlow adds and multiplies int32 in the memory of the host, on a GPU too: outside XLA each of some 90 sums and
    # products would fetch its operands and send its result back. Files have no XLA.
    return (_compiled if has_gpu() and not _in_files else _plain)(key, counter)


_in_files = False


@contextlib.contextmanager
def noise_of_files() -> Iterator[None]:
    """Within this context noise is traced in operations that exported files may have."""
    global _in_files
    before, _in_files = _in_files, True
    try:
        yield
    finally:
        _in_files = before


def _words(key, counter):
    # Sums and products wrap to the same bits in int32. TFLite would need two casts for each of them in uint32.
    keys = [tf.cast(word, tf.int32) for word in (key[0], key[1], key[0] ^ key[1] ^ tf.constant(_PARITY, tf.uint32))]
    a, b = (tf.cast(word, tf.int32) + k for word, k in zip(counter, keys[:2], strict=True))
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            a = a + b
            b = tf.bitwise.bitwise_xor(_rotate_left(b, rotation), a)
        a = a + keys[(group + 1) % 3]
        b = b + (keys[(group + 2) % 3] + (group + 1))
    return tf.cast(a, tf.uint32), tf.cast(b, tf.uint32)


# With this signature there is one graph for all shapes. Without a graph, every eager call would be some 150 operations,
# and every other graph would trace them again.
_WORDS = (tf.TensorSpec(None, tf.uint32),) * 2
_plain, _compiled = (
    tf.function(_words, input_signature=(_WORDS, _WORDS), autograph=False, jit_compile=compiled)
    for compiled in (None, True)
)


def _rotate_left(word, bits):
    # TFLite has no built-in left shift, but a product by 2^bits that wraps is the same. The two halves of a rotation
    # share no bit, so their sum is their union. The other half is shifted right as uint32, which fills with zeros.
    low = tf.bitwise.right_shift(tf.cast(word, tf.uint32), tf.constant(32 - bits, tf.uint32))
    return word * (1 << bits) + tf.cast(low, tf.int32)


def _to_unit(word):
    # The number is (23 bits + 1/2) / 2^23, which is exact in float32, symmetric about 1/2, and never 0 or 1.
    mantissa = tf.cast(tf.bitwise.right_shift(word, tf.constant(9, tf.uint32)), tf.float32)
    return (mantissa + 0.5) * 2.0**-23


class NoiseSource(Protocol):
    """What a rule of `keras_vae.sampling` draws from; a source of one's own derives from this class.

    Two calls of one source are independent of each other. `axis` is that of the examples in `shape`, 0 or 1; None is
    the source's own, which is 0 for all but `MultiSampleNoise`.

    Attributes:
      top_p: share of the probability that a token is drawn from, see `Nucleus`; None is all of it.
    """

    top_p: Any = None

    def uniform(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns float32 uniforms on (0, 1)."""
        ...

    def normal(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns float32 normals with mean 0 and standard deviation 1."""
        ...

    def untempered(self) -> tuple["NoiseSource", Any]:
        """Returns the source without its temperature, and the temperature: None if it has none.

        It is for a rule that draws a choice, which has no temperature, or one that applies the temperature itself.
        """
        return self, None


class Noise(NoiseSource):
    """A source of base noise: independent uniforms and normals, a pure function of (seed, stream).

    Each call takes the next positions of the stream, so two calls on one object are independent and two objects
    made alike repeat each other.

    Args:
      seed: integer in [-2^31, 2^32), or a scalar integer tensor (then a run-time input of an exported graph).
      stream: number of an independent sequence of this seed, an integer or scalar integer tensor.
      part: (index, count) of a replica that draws the noise of its rows of a batch, one of `count` equal parts.

    >>> Noise(seed=7).normal((2, 3)).shape
    TensorShape([2, 3])
    """

    def __init__(self, seed: Any, stream: Any = 0, part: tuple[Any, Any] = (0, 1)) -> None:
        self._key = (as_word(seed), as_word(stream, "stream"))
        self._part = part
        self._position = 0

    def words(self, shape: Sequence, axis: int | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns two `uint32` tensors of `shape`, a sequence of integers and scalar integer tensors.

        `axis`, 0 or 1, is that of the examples, of which this may be a part; None is 0.
        """
        axis = axis or 0
        row = tf.cast(tf.range(shape[0]), tf.uint32)[:, None]
        if any(tf.is_tensor(size) for size in shape[1:]):
            columns = tf.reduce_prod(tf.stack(list(shape[1:])))
            position = tf.cast(tf.range(self._position, self._position + columns), tf.uint32)[None, :]
        else:
            columns = math.prod(int(size) for size in shape[1:])
            position = tf.constant(np.arange(self._position, self._position + columns, dtype=np.uint32))[None, :]
        index, count = self._part
        if count > 1:
            before = tf.cast(index * (shape[0] if axis == 0 else columns), tf.uint32)
            row, position = (row + before, position) if axis == 0 else (row, position + before)
        self._position += columns * (count if axis == 1 else 1)
        a, b = threefry2x32(self._key, (row, position))
        return tf.reshape(a, shape), tf.reshape(b, shape)

    def uniform(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns float32 uniforms on the open interval (0, 1), multiples of 2^-24."""
        return _to_unit(self.words(shape, axis)[0])

    def normal(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns float32 normals with mean 0 and standard deviation 1 (Box and Muller, 1958).

        `sqrt(-2 log u) cos(2 pi v)` with u, v from the two words of one counter; the largest magnitude is 5.77.
        """
        a, b = self.words(shape, axis)
        radius = tf.sqrt(-2.0 * tf.math.log(_to_unit(a)))
        return radius * tf.cos(2.0 * math.pi * _to_unit(b))


class Tempered(NoiseSource):
    """Noise nearer to its middle at a temperature T below 1, farther from it above, and the middle itself at 0.

        normals:   eps -> T eps
        uniforms:  u -> 1/2 (2 u)^T for u < 1/2,  1 - 1/2 (2 (1 - u))^T for others

    A Laplace, which is loc +- scale log(2 min(u, 1 - u)) of such uniforms, gets T times its scale.

    Args:
      noise: the source.
      temperature: T, a number or scalar tensor, at least 0.
    """

    def __init__(self, noise: NoiseSource, temperature: tf.Tensor | float) -> None:
        self._noise = noise
        self._temperature = temperature

    def normal(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns float32 normals with mean 0 and standard deviation `temperature`."""
        return self._temperature * self._noise.normal(shape, axis)

    def uniform(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns float32 uniforms moved towards 1/2, inside (0, 1)."""
        u, temperature = self._noise.uniform(shape, axis), tf.cast(self._temperature, tf.float32)
        # At high temperatures a tail would be rounded to 0 or 1, of which a quantile function is infinite.
        tail = tf.maximum(0.5 * tf.pow(2.0 * tf.minimum(u, 1.0 - u), temperature), 2.0**-24)
        return tf.where(tf.equal(temperature, 1.0), u, tf.where(u < 0.5, tail, 1.0 - tail))

    def untempered(self) -> tuple:
        """Returns the source, and T, the product of all temperatures where one is inside another."""
        noise, inner = self._noise.untempered()
        return noise, self._temperature if inner is None else self._temperature * inner


class Nucleus(NoiseSource):
    """Noise with which a token is one of the most probable, which together have at least the probability p.

    Holtzman et al., "The curious case of neural text degeneration" (2020). Only the rule of tokens looks at p; all else
    is drawn as from the source itself. A temperature belongs around it: `Tempered(Nucleus(noise, p), temperature)`.

    Args:
      noise: the source, without a temperature.
      top_p: p, a number or scalar tensor in [0, 1]; 0 leaves the most probable token.

    Raises:
      ValueError: if the source has a temperature.
    """

    def __init__(self, noise: NoiseSource, top_p: tf.Tensor | float) -> None:
        if noise.untempered()[1] is not None:
            raise ValueError(
                f"`noise` must have no temperature, which belongs around a Nucleus. Received: {type(noise).__name__}"
            )
        self._noise, self.top_p = noise, top_p

    def normal(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns normals of the source."""
        return self._noise.normal(shape, axis)

    def uniform(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns uniforms of the source."""
        return self._noise.uniform(shape, axis)


class MultiSampleNoise(NoiseSource):
    """Noise of several samples of each example, `(num_samples, batch, ...)`: the examples lie along axis 1.

    Args:
      noise: the source.
    """

    def __init__(self, noise: NoiseSource) -> None:
        self._noise, self.top_p = noise, noise.top_p

    def normal(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns normals of the source."""
        return self._noise.normal(shape, 1 if axis is None else axis)

    def uniform(self, shape: Sequence, axis: int | None = None) -> tf.Tensor:
        """Returns uniforms of the source."""
        return self._noise.uniform(shape, 1 if axis is None else axis)

    def untempered(self) -> tuple:
        """Returns the same of the source without its temperature, and the temperature."""
        noise, temperature = self._noise.untempered()
        return MultiSampleNoise(noise), temperature
