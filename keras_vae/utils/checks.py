"""Argument checks for layers: each error names the argument, what was expected and what was received."""

import math
import numbers
from collections.abc import Collection
from typing import Any, Literal

from keras_vae.utils.arguments import MAX_FLOAT32, MAX_INT32, MAX_INT64, LatentDim, Shape, kind_of, shown


def positive_int(name: str, value: Any, high: int = MAX_INT32) -> int:
    """Returns `value` as an int, or raises `ValueError` unless it is an integer from 1 to `high`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={shown(value)}")
    return int(_at_most(high, name, value))


def nonnegative_int(name: str, value: Any, high: int = MAX_INT64) -> int:
    """Returns `value` as an int, or raises `ValueError` unless it is an integer from 0 to `high`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise ValueError(f"`{name}` must be an integer of at least 0. Received: {name}={shown(value)}")
    return int(_at_most(high, name, value))


def positive_float(name: str, value: Any) -> float:
    """Returns `value` as a float, or raises `ValueError` unless it is a number above 0 that float32 can hold."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < math.inf:  # type: ignore[operator]
        raise ValueError(f"`{name}` must be a positive number. Received: {name}={shown(value)}")
    return float(_at_most(MAX_FLOAT32, name, value))


def nonnegative_float(name: str, value: Any) -> float:
    """Returns `value` as a float, or raises `ValueError` unless it is a number of at least 0 that float32 can hold."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError(f"`{name}` must be a number of at least 0. Received: {name}={shown(value)}")
    return float(_at_most(MAX_FLOAT32, name, value))


def _at_most(high, name, value):
    if value > high:
        raise ValueError(f"`{name}` must be at most {high}. Received: {name}={shown(value)}")
    return value


def one_of(name: str, value: Any, choices: Collection) -> Any:
    """Returns `value`, or raises `ValueError` unless it is one of `choices`."""
    if not kind_of(Literal[tuple(choices)]).accepts(value):
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}. Received: {name}={shown(value)}")
    return value


def instance(name: str, value: Any, kind: type) -> Any:
    """Returns `value`, or raises `ValueError` unless it is an instance of `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be a {kind.__name__}. Received: {name}={shown(value)}")
    return value


def shape(name: str, value: Any) -> tuple[int, ...]:
    """Returns `value` as a tuple, or raises `ValueError` unless it is a sequence of positive integers."""
    kind = kind_of(Shape)
    if not kind.accepts(value):
        raise ValueError(f"`{name}` must be {kind.expected}. Received: {name}={shown(value)}")
    return tuple(map(int, value))


def latent_shape(latent_dim: Any) -> tuple[int, ...]:
    """Returns the shape of z: `(latent_dim,)` for an integer, and a shape as it is."""
    kind = kind_of(LatentDim)
    if not kind.accepts(latent_dim):
        raise ValueError(f"`latent_dim` must be {kind.expected}. Received: latent_dim={shown(latent_dim)}")
    return shape("latent_dim", [latent_dim] if isinstance(latent_dim, numbers.Integral) else latent_dim)


def latent_dim_of(latent_shape: tuple[int, ...]) -> int | list[int]:
    """Returns the `latent_dim` that gives a shape of z, as a configuration keeps it."""
    return latent_shape[0] if len(latent_shape) == 1 else list(latent_shape)


def image_shape(name: str, value: Any) -> tuple[int, int, int]:
    """Returns `value` as a tuple, or raises `ValueError` unless it is (height, width, channels)."""
    dimensions = shape(name, value)
    if len(dimensions) != 3:
        raise ValueError(f"`{name}` must be (height, width, channels). Received: {name}={shown(value)}")
    return dimensions
