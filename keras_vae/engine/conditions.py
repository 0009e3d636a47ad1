"""Conditions, the classes or vectors that a conditional model takes beside x or z: checks and one-hot encoding."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.data.containers import as_numbers, as_tensor


def as_condition(condition: Any, condition_dim: int | None) -> tf.Tensor | None:
    """Returns a condition as float32 `(batch, condition_dim)`: class numbers `(batch,)` become one-hot.

    Args:
      condition: integers `(batch,)`, numbers `(batch, condition_dim)`, or None for a model without condition.
      condition_dim: that of the model; None if it has no condition.

    Raises:
      ValueError: if the condition is missing, given to a model without one, of another shape or not finite, or if a
        class number is out of range.
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
    condition = as_tensor("condition", condition)
    if tf.is_symbolic_tensor(condition):
        # A tensor in a graph has no values yet. They were checked when the data came in.
        _check_shape("condition", condition, condition_dim)
    else:
        check_condition("condition", condition.numpy(), condition_dim)
    if condition.shape.rank == 1:
        condition = tf.one_hot(tf.cast(condition, tf.int32), condition_dim)
    return tf.cast(condition, tf.float32)


def check_condition(name: str, condition: Any, condition_dim: int) -> None:
    """Raises `ValueError` unless a condition is class numbers `(batch,)` or finite numbers `(batch, condition_dim)`."""
    condition = as_numbers(name, condition)
    _check_shape(name, condition, condition_dim)
    if condition.ndim == 1:
        low, high = int(np.min(condition)), int(np.max(condition))
        if low < 0 or high >= condition_dim:
            raise ValueError(
                f"`{name}` must be class numbers from 0 to {condition_dim - 1}. Received: from {low} to {high}"
            )
    elif not np.isfinite(condition).all():
        raise ValueError(f"`{name}` must be finite. Received: {name} with NaN or infinite values")


def valid_condition(condition: tf.Tensor, condition_dim: int) -> tf.Tensor:
    """Returns whether the values of a condition pass `check_condition`, a scalar bool computed in the graph."""
    low, high = tf.cast(tf.reduce_min(condition), tf.float32), tf.cast(tf.reduce_max(condition), tf.float32)
    if condition.shape.rank == 1:
        return (low >= 0) & (high <= condition_dim - 1)
    return (low >= tf.float32.min) & (high <= tf.float32.max)  # both comparisons are False for NaN


def for_samples(condition: Any, num_samples: int) -> Any:
    """Returns one condition for each sample: a single condition is repeated, `num_samples` conditions are kept.

    Raises:
      ValueError: if there is any other number of conditions.
    """
    if condition is None:
        return None
    condition = as_tensor("condition", condition)
    if condition.shape.rank == 0 or (condition.shape.rank == 1 and not condition.dtype.is_integer):
        condition = tf.repeat(condition[None], num_samples, axis=0)
    if condition.shape[0] != num_samples:
        raise ValueError(
            f"`condition` must be one, or one for each of {num_samples} samples. Received: {condition.shape[0]}"
        )
    return condition


def _check_shape(name, condition, condition_dim):
    shape, dtype = tuple(condition.shape), tf.as_dtype(condition.dtype)
    if not (len(shape) == 1 and dtype.is_integer) and not (len(shape) == 2 and shape[1] == condition_dim):
        raise ValueError(
            f"`{name}` must be integers (batch,) or numbers (batch, {condition_dim}). "
            f"Received: {dtype.name} with shape {shape}"
        )
