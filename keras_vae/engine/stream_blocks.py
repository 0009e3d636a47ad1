"""Streams of checked batches as blocks of steps, so that they train as fast as arrays do."""

import numpy as np
import tensorflow as tf

from keras_vae.data.examples import Block, without_autotuning
from keras_vae.engine.block_steps import block_size, block_size_without_padding
from keras_vae.engine.keras_compat import DataAdapter, ReplacedDataset

# Rows that a batch of unknown size is taken to have, when the size of a block is chosen.
_ROWS = 256


def in_blocks(stream: DataAdapter, size: int) -> DataAdapter:
    """Returns a checked stream in blocks of `size` batches; the last of an epoch may hold fewer.

    Batches need not be of one size. Within a block the shorter ones are filled up, with their own rows and weight 0.

    Args:
      stream: what Keras's `fit` reads it with, see `keras_vae.engine.keras_compat.adapter_of`.
      size: number of batches in a block; with 1 the stream is returned as it is.
    """
    return stream if size == 1 else ReplacedDataset(stream, lambda batches: _stacked(batches, size))


def stream_block_size(stream: DataAdapter, event_shape: tuple[int, ...], steps: int | None) -> int:
    """Returns how many batches of a stream make a block.

    Args:
      stream: as in `in_blocks`.
      event_shape: shape of one x.
      steps: steps of an epoch as the user gave them, None for the whole stream.
    """
    batch_bytes = 4 * (stream.batch_size or _ROWS) * int(np.prod(event_shape))
    length = stream.num_batches
    if steps is None:
        return block_size(batch_bytes, np.iinfo(np.int32).max if length is None else max(1, length))
    # An epoch must end where a block ends, and so must the stream, if it has an end.
    return block_size_without_padding(batch_bytes, steps, *([] if length is None else [length]))


def _stacked(batches: tf.data.Dataset, size: int) -> tf.data.Dataset:
    def weighted(x, y=(), weight=None):
        ones = tf.ones(tf.shape(x)[:1])
        return x, y, (ones if weight is None else tf.cast(weight, tf.float32)), tf.shape(x)[0]

    def block(*batches):
        *parts, rows = batches
        most = tf.reduce_max(rows)

        def filled():
            # Rows past the end of a batch are its first ones again: layers that look at whole batches see real data.
            places = tf.range(most)[None] % tf.maximum(rows[:, None], 1)
            x, y, weight = tf.nest.map_structure(lambda part: tf.gather(part, places, batch_dims=1), tuple(parts))
            return x, y, weight * tf.cast(tf.range(most)[None] < rows[:, None], tf.float32)

        parts = tf.cond(tf.reduce_all(rows == most), lambda: tuple(parts), filled)
        count = tf.shape(rows)[0]

        def long(part, before):
            part = tf.pad(part, [[0, size - count], *[[0, 0]] * (part.shape.rank - 1)])
            return tf.ensure_shape(part, (size, *before.shape[1:]))

        return Block(tf.nest.map_structure(long, parts, tuple(batches[:-1])), count)

    stacked = batches.map(tf.autograph.experimental.do_not_convert(weighted)).padded_batch(size)
    return without_autotuning(stacked.map(tf.autograph.experimental.do_not_convert(block)).prefetch(1))
