"""What a conditional model is told beside x or z: classes or vectors -> float `(batch, condition_dim)`."""

import numpy as np
import tensorflow as tf


def as_condition(condition, condition_dim: int | None):
    """Returns a condition as float32 `(batch, condition_dim)`: class numbers `(batch,)` become one-hot.

    Args:
      condition: integers `(batch,)`, numbers `(batch, condition_dim)`, or None for a model without condition.
      condition_dim: of the model, None if it has no condition.

    Raises:
      ValueError: if the condition is missing, not asked for, of another shape, or a class is not there.
    """
    if condition is None:
        if condition_dim is not None:
            raise ValueError(
                f"`condition` must be given, class numbers or vectors of {condition_dim}: the model is "
                "conditional. Received: none"
            )
        return None
    if condition_dim is None:
        raise ValueError("`condition` must be none: the model has no condition_dim. Received: a condition")
    condition = tf.convert_to_tensor(condition)
    if condition.shape.rank == 1 and condition.dtype.is_integer:
        _check_classes(condition, condition_dim)
        condition = tf.one_hot(tf.cast(condition, tf.int32), condition_dim)
    if condition.shape.rank != 2 or condition.shape[-1] != condition_dim:
        raise ValueError(
            f"`condition` must be integers (batch,) or numbers (batch, {condition_dim}). "
            f"Received: {condition.dtype.name} with shape {tuple(condition.shape)}"
        )
    return tf.cast(condition, tf.float32)


def for_samples(condition, num_samples: int):
    """Returns one condition repeated `num_samples` times, or `num_samples` conditions as they are.

    Raises:
      ValueError: if there are another number of them.
    """
    if condition is None:
        return None
    condition = tf.convert_to_tensor(condition)
    if condition.shape.rank == 0 or (condition.shape.rank == 1 and not condition.dtype.is_integer):
        condition = tf.repeat(condition[None], num_samples, axis=0)
    if condition.shape[0] != num_samples:
        raise ValueError(
            f"`condition` must be one, or one for each of {num_samples} samples. Received: {condition.shape[0]}"
        )
    return condition


def _check_classes(classes, condition_dim):
    if tf.is_symbolic_tensor(classes):
        return  # arrays and the first batch of a data set are checked before
    low, high = int(np.min(classes)), int(np.max(classes))
    if low < 0 or high >= condition_dim:
        raise ValueError(
            f"`condition` must be class numbers from 0 to {condition_dim - 1}. Received: from {low} to {high}"
        )
