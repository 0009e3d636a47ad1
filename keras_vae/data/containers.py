"""Conversion of what users pass as data: all that NumPy can read as real numbers is accepted, all else is one error.

Each error says what to pass instead, for example how to make a sparse matrix dense.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Kinds of NumPy's dtypes: bool, integer, unsigned, floating.
_REAL = "biuf"
_TEXT = (
    "text",
    "load files and encode text columns first; class names become class numbers by "
    "`names, numbers = np.unique(labels, return_inverse=True)`",
)
_COMPLEX = ("complex numbers", "give real numbers, for example np.stack([{0}.real, {0}.imag], axis=-1) or np.abs({0})")
_RAGGED = ("a ragged tensor", "pad it, for example {0}.to_tensor()")
_SPARSE = ("a sparse tensor", "make it dense: tf.sparse.to_dense({0})")
_BY_KIND = {
    "c": _COMPLEX,
    "S": _TEXT,
    "U": _TEXT,
    "T": _TEXT,
    "O": ("objects", "fill missing entries, leave text out or encode it, then {0}.astype('float32')"),
}


def as_numbers(name: str, value: Any) -> np.ndarray:
    """Returns a value as an array of real numbers.

    Args:
      name: name of the argument, for errors.
      value: what the user passed: an array, nested lists, a data frame, an HDF5 data set, a tensor, ...

    Raises:
      ValueError: if it is no dense array of real numbers; the message says what to pass instead.
    """
    if type(value) is np.ndarray and value.dtype.kind in _REAL and value.dtype != np.longdouble:
        return value
    _raise_if(name, _of_container(value))
    try:
        array = np.asarray(value)
    except Exception as error:  # NumPy raises ValueError here, PyTorch RuntimeError, TensorFlow NotImplementedError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"`{name}` must be one array of real numbers. Received: {_named(value)}, which is none ({reason})"
        ) from None
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype == np.longdouble:  # which TensorFlow has not
        array = array.astype(np.float64)
    if array.dtype.kind == "O" and array.ndim == 0:
        _raise_if(name, (_named(value), "pass an array, `Examples`, a tf.data.Dataset, a PyDataset or a generator"))
    if array.dtype.kind not in _REAL:
        _raise_if(name, _BY_KIND.get(array.dtype.kind, (f"{array.dtype} values", "convert them to float32")))
    return array


def as_tensor(name: str, value: Any) -> tf.Tensor:
    """Returns a value as a tensor of real numbers; gradients flow through a tensor and through a variable.

    Raises:
      ValueError: as `as_numbers`.
    """
    if isinstance(value, tf.Tensor | tf.Variable | keras.Variable):
        tensor = tf.convert_to_tensor(value)
        _raise_if(name, _of_dtype(tensor.dtype))
        return tensor
    return tf.convert_to_tensor(as_numbers(name, value))


def check_spec(name: str, spec: Any, shape: tuple) -> None:
    """Raises `ValueError` unless a part of a data set's `element_spec` is a dense real tensor with a given shape.

    Args:
      name: name of the argument, for errors.
      spec: the part of the `element_spec`.
      shape: shape that a batch must have; None stands for any size.
    """
    _raise_if(name, _of_spec(spec))
    if not spec.shape.is_compatible_with(shape):
        sizes = ", ".join("batch" if size is None else str(size) for size in shape)
        raise ValueError(
            f"`{name}` must have shape ({sizes}{',' if len(shape) == 1 else ''}). "
            f"Received: a data set whose elements hold {name} with shape {tuple(spec.shape)}"
        )


def is_real(value: Any) -> bool:
    """Whether every tensor, array or spec in a structure holds real numbers, as a training step needs them."""
    if isinstance(value, tuple | Mapping):
        return all(map(is_real, value.values() if isinstance(value, Mapping) else value))
    if isinstance(value, tf.TypeSpec):
        return _of_spec(value) is None
    try:
        return _of_dtype(value.dtype) is None if isinstance(value, tf.Tensor) else as_numbers("y", value) is not None
    except ValueError:
        return False


def _raise_if(name, problem):
    if problem is not None:
        received, advice = problem
        raise ValueError(
            f"`{name}` must be an array of real numbers: {advice.format(name)}. Received: {name} of {received}"
        )


def _named(value):
    return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")


def _of_container(value):
    """Returns what is wrong with a container that NumPy would misread and what to pass instead, or None."""
    if isinstance(value, Mapping):
        keys = ", ".join(map(repr, list(value)[:5]))
        return f"a dictionary with the keys {keys}", "pass the one entry that holds it, {0}[key]"
    if isinstance(value, tf.RaggedTensor):
        return _RAGGED
    if isinstance(value, tf.SparseTensor):
        return _SPARSE
    if isinstance(value, tf.Tensor | tf.Variable):
        return _of_dtype(value.dtype)
    if hasattr(value, "toarray"):
        return "a sparse matrix", "make it dense: {0}.toarray()"
    if any(np.ma.is_masked(part) for part in (value if isinstance(value, list | tuple) else (value,))):
        return "masked values", "fill them, for example {0}.filled(0), or leave these examples out"
    if hasattr(value, "train") and hasattr(value, "validation"):
        return "a data set of several splits", "pass one split, for example data.train"
    return None


def _of_spec(spec):
    if isinstance(spec, Mapping):
        return _of_container(spec)
    if isinstance(spec, tf.RaggedTensorSpec):
        return _RAGGED
    if isinstance(spec, tf.SparseTensorSpec):
        return _SPARSE
    if not isinstance(spec, tf.TensorSpec):
        return f"{_named(spec)}", "pass one tensor"
    return _of_dtype(spec.dtype)


def _of_dtype(dtype):
    if dtype == tf.string:
        return _TEXT
    if dtype.is_complex:
        return _COMPLEX
    return None if dtype.is_floating or dtype.is_integer or dtype.is_bool else (f"{dtype.name} values", "give numbers")
