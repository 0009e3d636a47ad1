"""Models with layers that add losses when they are called, for example with an `activity_regularizer`.

Such a loss is computed over all rows of a batch and knows nothing of their weights, so it would include the rows that
only fill a batch up. These models are therefore fed batches without such rows, one step at a time.
"""

import inspect

import keras
import tensorflow as tf

from keras_vae.engine.keras_compat import is_of_keras, layers_of


def adds_losses(model: keras.Model) -> bool:
    """Whether a layer of `model` has an activity regularizer, or a method of its class mentions `add_loss`."""
    return any(
        layer.activity_regularizer is not None or any(map(_names_add_loss, type(layer).__mro__))
        for layer in layers_of(model)
    )


def _names_add_loss(cls):
    if is_of_keras(cls):  # Keras's own layers only add losses by an activity regularizer
        return False
    codes = (getattr(inspect.unwrap(method), "__code__", None) for method in vars(cls).values() if callable(method))
    return any(code is not None and "add_loss" in code.co_names for code in codes)


def without_padding(batches: tf.data.Dataset, count: int, batch_size: int) -> tf.data.Dataset:
    """Returns batches whose filled-up rows are cut off: the last batch of each epoch of `count` examples is shorter."""
    steps = -(-count // batch_size)

    def cut(step, batch):
        rows = tf.minimum(batch_size, count - tf.cast(step % steps, tf.int32) * batch_size)
        return tf.nest.map_structure(lambda rows_and_more: rows_and_more[:rows], batch)

    return batches.enumerate().map(cut)


def check_no_padding(count: int, batch_size: int, num_replicas: int) -> None:
    """Raises `ValueError` if a batch would have to be filled up so that all replicas have equally many rows."""
    if count % batch_size or batch_size % num_replicas:
        raise ValueError(
            "`batch_size` must divide the number of examples, and be divided by that of replicas, for a model whose "
            f"layers add losses. Received: batch_size={batch_size} for {count} examples on {num_replicas} replicas"
        )
