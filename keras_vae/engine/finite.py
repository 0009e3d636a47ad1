"""A check that training has not diverged to NaN or infinity."""

import keras
import tensorflow as tf


def weights_are_finite(model: keras.Model) -> bool:
    """Returns whether every floating-point weight of the model is finite; integer weights cannot be otherwise."""
    floating = (weight for weight in model.weights if tf.as_dtype(weight.dtype).is_floating)
    return all(bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(weight)))) for weight in floating)
