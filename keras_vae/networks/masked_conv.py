"""Masked convolutions: each pixel sees those before it."""

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
        if self.reach:
            # The padding could be an argument of the convolution. But TensorFlow's fast kernels for CPUs have no
            # gradients of such a convolution, and the others take four times as long.
            inputs = tf.pad(inputs, [[0, 0], [self.reach, 0], [self.reach, self.reach], [0, 0]])
        outputs = tf.nn.conv2d(inputs, self.masked(), strides=1, padding="VALID")
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.filters)
