"""Argument checks shared by the layers: each error names the argument, what was expected and what came."""

import numbers
import sys
from collections.abc import Collection


def positive_int(name: str, value) -> int:
    """Returns `value` as an int, or raises `ValueError` unless it is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def nonnegative_int(name: str, value) -> int:
    """Returns `value` as an int, or raises `ValueError` unless it is an integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise ValueError(f"`{name}` must be an integer of at least 0. Received: {name}={value!r}")
    return int(value)


def positive_float(name: str, value) -> float:
    """Returns `value` as a float, or raises `ValueError` unless it is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value <= sys.float_info.max:
        raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}")
    return float(value)


def nonnegative_float(name: str, value) -> float:
    """Returns `value` as a float, or raises `ValueError` unless it is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"`{name}` must be a number of at least 0. Received: {name}={value!r}")
    return float(value)


def one_of(name: str, value, choices: Collection):
    """Returns `value`, or raises `ValueError` unless it is one of `choices`."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}. Received: {name}={value!r}")
    return value


def instance(name: str, value, kind: type):
    """Returns `value`, or raises `ValueError` unless it is an instance of `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be a {kind.__name__}. Received: {name}={value!r}")
    return value


def shape(name: str, value) -> tuple[int, ...]:
    """Returns `value` as a tuple, or raises `ValueError` unless it is a sequence of positive integers."""
    try:
        return tuple(positive_int(name, d) for d in value)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a tuple of positive integers. Received: {name}={value!r}") from None


def image_shape(name: str, value) -> tuple[int, int, int]:
    """Returns `value` as a tuple, or raises `ValueError` unless it is (height, width, channels)."""
    dimensions = shape(name, value)
    if len(dimensions) != 3:
        raise ValueError(f"`{name}` must be (height, width, channels). Received: {name}={value!r}")
    return dimensions
