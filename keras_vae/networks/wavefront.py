"""Drawing an image in turns: the pixels of a turn lie on a slanted line, and none of them sees another one.

A pixel sees `aside` columns to the right in the rows above, so row i can follow row i - 1 at a distance of
`aside + 1` pixels. At turn t the pixel of row i is that of column `t - (aside + 1) i`. An image of H x W pixels takes
W + (aside + 1) (H - 1) turns, and not H W.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.networks.masked_conv import MaskedConv2D


class Wavefront:
    """Which pixels each turn draws.

    A lane draws one row of the image after another: row i is drawn in lane `i % lanes`. Between two rows a lane rests
    for at least `aside` turns, and the zeros that it leaves in the buffers then are the padding of the image.

    Args:
      height: height of the image.
      width: width of the image.
      reach: how many rows up, and columns aside, the convolutions see.

    Attributes:
      pixels: numbers of the pixels, row by row, `(turns, lanes)`; -1 where a lane rests.
      lanes: number of lanes.
      stride: number of turns from a row's first pixel to that of the next row.
    """

    def __init__(self, height: int, width: int, reach: int) -> None:
        # The image has no pixel that is farther up or aside than this.
        self.up, self.aside = min(reach, height - 1), min(reach, width - 1)
        self.stride = self.aside + 1 if self.up else width
        # With lanes for all rows and for those above the image, no lane draws two rows.
        self.lanes = min(math.ceil((width + self.aside) / self.stride), height + self.up)
        rows, columns = np.mgrid[:height, :width]
        self.pixels = np.full((width + self.stride * (height - 1), self.lanes), -1)
        self.pixels[columns + self.stride * rows, rows % self.lanes] = rows * width + columns


class TurnBuffer:
    """A masked convolution at the pixels of one turn after the other, with its inputs of the last turns in a buffer.

    The buffer is `(batch, turns * lanes, channels)`, the newest turn last. It reaches as far back as the kernel, so
    that a pixel costs its receptive field, and not the image.

    Args:
      layer: the convolution, built.
      wavefront: the turns.
    """

    def __init__(self, layer: MaskedConv2D, wavefront: Wavefront) -> None:
        up, aside = min(layer.reach, wavefront.up), min(layer.reach, wavefront.aside)
        self._channels, self._filters, self._groups = layer.channels, layer.filters, layer.groups
        self._lanes = wavefront.lanes
        # The pixels that the kernel sees, row by row, as rows up and columns to the right. Those of its own row end
        # before its own pixel.
        up_to = [(up - i, j) for i in range(up + 1) for j in range(-aside, aside + 1 if i < up else 0)]
        rows, columns = np.array(up_to, int).reshape(-1, 2).T
        ago = rows * wavefront.stride - columns
        self._turns = int(ago.max(initial=0))
        lanes = (np.arange(self._lanes)[:, None] - rows) % self._lanes
        self._taps = ((self._turns - ago) * self._lanes + lanes).astype(np.int32)

        kernel = tf.cast(layer.masked(), tf.float32)[layer.reach - up :, layer.reach - aside : layer.reach + aside + 1]
        self._before = tf.reshape(kernel, (-1, self._filters))[: len(rows) * self._channels]
        self._own = kernel[-1, aside]
        self._bias = tf.cast(tf.convert_to_tensor(layer.bias), tf.float32)

    def start(self, batch: Any) -> tf.Tensor:
        """Returns the buffer before the first turn."""
        return tf.zeros((batch, self._turns * self._lanes, self._channels))

    def before(self, buffer: tf.Tensor) -> tf.Tensor:
        """Returns what the pixels before, and the bias, add to all outputs, `(batch * lanes, filters)`."""
        if not self._turns:
            return self._bias[None]
        taps = tf.gather(buffer, self._taps.reshape(-1), axis=1)
        return tf.reshape(taps, (-1, self._before.shape[0])) @ self._before + self._bias

    def at(self, given: list[tf.Tensor], before: tf.Tensor | None, group: int) -> tf.Tensor:
        """Returns the outputs of one group, from `before` and the inputs of the pixel's groups that are given."""
        size = self._filters // self._groups
        outputs = slice(group * size, (group + 1) * size)
        result = self._bias[outputs] if before is None else before[:, outputs]
        if given:
            inputs = tf.concat(given, axis=-1)
            result += inputs @ self._own[: inputs.shape[-1], outputs]
        return result

    def after(self, buffer: tf.Tensor, inputs: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
        """Returns the buffer after a turn.

        Args:
          buffer: the buffer before it.
          inputs: inputs at the pixels of the turn, `(batch * lanes, channels)`.
          drawn: 1 for the lanes that draw a pixel and 0 for those that rest, `(lanes, 1)`.
        """
        newest = tf.reshape(inputs, (keras.ops.shape(buffer)[0], self._lanes, self._channels)) * drawn
        return tf.concat([buffer, newest], axis=1)[:, self._lanes :]
