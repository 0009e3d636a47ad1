"""Streams of checked batches as blocks of steps, so that they train as fast as arrays do."""

import numpy as np
import tensorflow as tf

from keras_vae.data.steps import Block, without_autotuning
from keras_vae.engine.block_steps import block_size, block_size_without_padding
from keras_vae.engine.keras_compat import DataAdapter, MappedAdapter, PassedGenerator, PassedPyDataset
from keras_vae.engine.python_batches import block_spec, python_dataset, stacked

# Rows that a batch is taken to have where their number is not known: most batches have fewer.
_ROWS = 1024


def in_blocks(stream: DataAdapter, size: int, has_conditions: bool) -> DataAdapter:
    """Returns a checked stream in blocks of `size` batches; the last of an epoch may hold fewer.

    Batches need not be of one size. Within a block the shorter ones are filled up, with their own rows and weight 0.

    Args:
      stream: what Keras's `fit` reads it with, see `keras_vae.engine.keras_compat.adapter_of`.
      size: number of batches in a block; with 1 there are batches and no blocks.
      has_conditions: whether y is a condition; otherwise it is left out, whatever it is.
    """
    if isinstance(stream, PassedGenerator | PassedPyDataset):
        if size == 1:
            return stream
        # NumPy stacks them in half of the time that TensorFlow takes.
        spec = block_spec(stream.spec, size, has_conditions)
        return MappedAdapter(
            stream, lambda: python_dataset(lambda: stacked(stream.get_numpy_iterator(), size, has_conditions), spec)
        )
    if size == 1:
        # Prefetching lets the check of the next batch run on another core while a step runs.
        return MappedAdapter(stream, lambda: without_autotuning(stream.get_tf_dataset().prefetch(1)))
    return MappedAdapter(stream, lambda: _stacked(stream.get_tf_dataset(), size, has_conditions))


def stream_block_size(
    stream: DataAdapter, rows: int | None, event_shape: tuple[int, ...], steps: int | None, endless: bool
) -> int:
    """Returns how many batches of a stream make a block.

    Args:
      stream: as in `in_blocks`.
      rows: how many rows a batch has, as `keras_vae.engine.streams.batch_rows` says; None if that is not known.
      event_shape: shape of one x.
      steps: steps of an epoch as the user gave them, None for the whole stream.
      endless: whether the stream is known to have no end.
    """
    batch_bytes = 4 * (stream.batch_size or rows or _ROWS) * int(np.prod(event_shape))
    length = stream.num_batches
    if steps is None:
        return block_size(batch_bytes, np.iinfo(np.int32).max if length is None else max(1, length))
    # An epoch must end where a block ends, and so must the stream, if it has an end: Keras counts each block as whole.
    if length is None:
        return block_size_without_padding(batch_bytes, steps) if endless else 1
    return block_size_without_padding(batch_bytes, steps, length)


def _stacked(batches: tf.data.Dataset, size: int, has_conditions: bool) -> tf.data.Dataset:
    def with_weights(x, y=(), weight=None):
        ones = tf.ones(tf.shape(x)[:1])
        weight = ones if weight is None else tf.cast(weight, tf.float32)
        return (x, y if has_conditions else (), weight), tf.shape(x)[0]

    def block(parts, rows):
        most, count = tf.reduce_max(rows), tf.shape(rows)[0]

        def with_filled_batches():
            # Rows past the end of a batch are its first ones again: layers that look at whole batches see real data.
            index = tf.range(most)[None] % tf.maximum(rows[:, None], 1)
            x, y, weight = tf.nest.map_structure(lambda part: tf.gather(part, index, batch_dims=1), parts)
            return x, y, weight * tf.cast(tf.range(most)[None] < rows[:, None], tf.float32)

        def with_all_steps(part):
            padding = [[0, size - count], *[[0, 0]] * (part.shape.rank - 1)]
            part = tf.cond(count == size, lambda: part, lambda: tf.pad(part, padding))
            return tf.ensure_shape(part, (size, *part.shape[1:]))

        filled = tf.cond(tf.reduce_all(rows == most), lambda: parts, with_filled_batches)
        return Block(tf.nest.map_structure(with_all_steps, filled), count)

    stacked = batches.map(tf.autograph.experimental.do_not_convert(with_weights)).padded_batch(size)
    return without_autotuning(stacked.map(tf.autograph.experimental.do_not_convert(block)).prefetch(1))
