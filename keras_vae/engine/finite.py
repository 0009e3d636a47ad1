"""Whether a model is still made of numbers."""

import keras
import tensorflow as tf


def weights_are_finite(model: keras.Model) -> bool:
    """Returns whether every floating weight of the model is finite; integers always are."""
    floating = (weight for weight in model.weights if tf.as_dtype(weight.dtype).is_floating)
    return all(bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(weight)))) for weight in floating)
