"""Masked convolutions: each pixel sees those before it, all at once in training and one after the other in a draw."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.utils.part import Part


class MaskedConv2D(Part):
    """A convolution that sees the pixels before its own, and of its own the channels before, or up to, its own.

    Inputs and outputs have `groups` groups of channels, one for each channel of the image. In its own pixel a group of
    outputs sees the groups of inputs before it, and the one at its own place unless the convolution is `strict`.

    Args:
      filters: number of channels in all groups of outputs together.
      kernel_size: width of the kernel, odd. The kernel has the pixel's own row and those above it.
      groups: number of groups.
      strict: whether the group at the own place is hidden.
      scale: factor on the standard deviation of a new kernel, which is 1/sqrt(number of inputs that an output sees).
    """

    def __init__(
        self, filters: int, kernel_size: int, groups: int = 1, strict: bool = False, scale: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.groups = filters, kernel_size, groups
        self.strict, self.scale = strict, scale
        self.reach = kernel_size // 2

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.channels = int(input_shape[-1])
        self._mask = np.ones((self.reach + 1, self.kernel_size, self.channels, self.filters), np.float32)
        self._mask[-1, self.reach + 1 :] = 0.0
        of_input, of_output = (np.arange(n) * self.groups // n for n in (self.channels, self.filters))
        self._mask[-1, self.reach] = of_input[:, None] < of_output + (0 if self.strict else 1)
        seen = max(1.0, float(self._mask.sum()) / self.filters)
        normal = keras.initializers.RandomNormal(stddev=self.scale / math.sqrt(seen))
        self.kernel = self.add_weight(name="kernel", shape=self._mask.shape, initializer=normal)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def masked(self) -> tf.Tensor:
        """Returns the kernel with zeros at what must not be seen, `(rows, columns, channels, filters)`."""
        kernel = tf.convert_to_tensor(self.kernel)
        return kernel * tf.cast(self._mask, kernel.dtype)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        reach = self.reach
        padding = [[0, 0], [reach, 0], [reach, reach], [0, 0]] if reach else "VALID"
        outputs = tf.nn.conv2d(inputs, self.masked(), strides=1, padding=padding)
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.filters)


class LineBuffer:
    """A masked convolution at one pixel after the other, with the inputs at the last pixels kept in a buffer.

    The buffer is `(batch, length, channels)`, the newest pixel last. It reaches as far back as the kernel: some rows of
    the image, so that a pixel costs its receptive field, and not the image.

    Args:
      layer: the convolution, built.
      height: height of the image.
      width: width of the image.
    """

    def __init__(self, layer: MaskedConv2D, height: int, width: int) -> None:
        # The image has no pixel that is farther up or aside than this.
        up, aside = min(layer.reach, height - 1), min(layer.reach, width - 1)
        self._channels, self._filters, self._groups = layer.channels, layer.filters, layer.groups
        self._length = up * width + aside
        # The pixels of a row of the kernel lie side by side in the buffer.
        ends = [aside + 1] * up + [0]
        firsts = [self._length + (i - up) * width for i in range(up + 1)]
        self._runs = [(f - aside, f + end) for f, end in zip(firsts, ends, strict=True)]
        offsets = np.concatenate([np.arange(-aside, end) for end in ends])
        columns = np.arange(width)[:, None] + offsets
        inside = np.repeat((columns >= 0) & (columns < width), layer.channels, axis=1)
        self._inside = tf.constant(inside.astype(np.float32))

        kernel = tf.cast(layer.masked(), tf.float32)[layer.reach - up :, layer.reach - aside : layer.reach + aside + 1]
        rows = [tf.reshape(kernel[i, : aside + end], (-1, self._filters)) for i, end in enumerate(ends)]
        self._before = tf.concat(rows, axis=0)
        self._own = kernel[-1, aside]
        self._bias = tf.cast(tf.convert_to_tensor(layer.bias), tf.float32)

    def start(self, batch: Any) -> tf.Tensor:
        """Returns the buffer before the first pixel."""
        return tf.zeros((batch, self._length, self._channels))

    def before(self, buffer: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        """Returns what the pixels before, and the bias, add to all outputs at a pixel of this column."""
        if not self._length:
            return self._bias[None]
        taps = tf.concat([buffer[:, first:end] for first, end in self._runs], axis=1)
        flat = tf.reshape(taps, (keras.ops.shape(buffer)[0], self._before.shape[0])) * self._inside[column]
        return flat @ self._before + self._bias

    def at(self, given: list[tf.Tensor], before: tf.Tensor | None, group: int) -> tf.Tensor:
        """Returns the outputs of one group, from `before` and the inputs of the pixel's groups that are given."""
        size = self._filters // self._groups
        outputs = slice(group * size, (group + 1) * size)
        result = self._bias[outputs] if before is None else before[:, outputs]
        if given:
            inputs = tf.concat(given, axis=-1)
            result += inputs @ self._own[: inputs.shape[-1], outputs]
        return result

    def after(self, buffer: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the buffer after a pixel with these inputs, `(batch, channels)`."""
        return tf.concat([buffer, inputs[:, None]], axis=1)[:, 1:]
