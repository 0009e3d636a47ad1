"""Drawing an image in turns: the pixels of a turn lie on a slanted line, and none of them sees another one.

A pixel sees `aside` columns to the right in the rows above, so row i can follow row i - 1 at a distance of
`aside + 1` pixels. At turn t the pixel of row i is that of column `t - (aside + 1) i`. An image of H x W pixels takes
W + (aside + 1) (H - 1) turns, and not H W.
"""

import math
from typing import Any

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
      batch: number of images, an integer or a scalar tensor.

    Attributes:
      start: the buffer before the first turn.
    """

    def __init__(self, layer: MaskedConv2D, wavefront: Wavefront, batch: Any) -> None:
        up, aside = min(layer.reach, wavefront.up), min(layer.reach, wavefront.aside)
        self._lanes, self._size = wavefront.lanes, layer.channels // layer.groups
        # The pixels that the kernel sees, row by row, as rows up and columns to the right; the last one is its own.
        seen = [(up - i, j) for i in range(up + 1) for j in range(-aside, aside + 1 if i < up else 1)]
        rows, columns = np.array(seen).T
        ago = rows * wavefront.stride - columns
        self._turns = int(ago.max())
        lanes = (np.arange(self._lanes)[:, None] - rows) % self._lanes
        self._taps = ((self._turns - ago) * self._lanes + lanes).reshape(-1)

        kernel = tf.cast(layer.masked(), tf.float32)[layer.reach - up :, layer.reach - aside : layer.reach + aside + 1]
        kernel = tf.reshape(kernel, (-1, layer.filters))[: len(seen) * layer.channels]
        self._kernels = tf.split(kernel, layer.groups, axis=1)
        self._biases = tf.split(tf.cast(tf.convert_to_tensor(layer.bias), tf.float32), layer.groups)
        self.start = tf.zeros((batch, self._turns * self._lanes, layer.channels))
        self._unknown = tf.zeros((batch, self._lanes, self._size))

    def with_turn(self, buffer: tf.Tensor, inputs: list[tf.Tensor], drawn: tf.Tensor) -> tf.Tensor:
        """Returns the buffer and, at its end, the inputs of one turn.

        Args:
          buffer: the buffer before the turn; that of a 1x1 convolution is empty.
          inputs: inputs of the groups that are known so far, each `(batch * lanes, channels of a group)`.
          drawn: 1 for the lanes that draw a pixel and 0 for those that rest, `(lanes, 1)`.
        """
        groups = [tf.reshape(group, (-1, self._lanes, self._size)) for group in inputs]
        # No kernel has a weight for a group that is not known yet.
        groups += [self._unknown] * (len(self._kernels) - len(groups))
        newest = tf.concat(groups, axis=-1) if len(groups) > 1 else groups[0]
        return tf.concat([buffer, newest * drawn], axis=1) if self._turns else newest

    def outputs(self, with_turn: tf.Tensor, group: int) -> tf.Tensor:
        """Returns the outputs of one group at the pixels of the last turn, `(batch * lanes, filters of a group)`."""
        taps = tf.gather(with_turn, self._taps, axis=1) if self._turns else with_turn
        kernel = self._kernels[group]
        return tf.reshape(taps, (-1, kernel.shape[0])) @ kernel + self._biases[group]

    def after(self, with_turn: tf.Tensor) -> tf.Tensor:
        """Returns the buffer after a turn whose inputs are all known."""
        # TensorFlow Lite copies a part of `split` whole, and a slice number by number.
        return tf.split(with_turn, [self._lanes, self._turns * self._lanes], axis=1)[1]
