"""One setting of a run: its default, what it is for, and the values that it may have."""

import dataclasses
from typing import Any

from keras_vae.utils.text import written


def option(
    default: Any,
    text: str,
    choices: tuple = (),
    low: Any = None,
    high: Any = None,
    open_ends: Any = False,
    acts_with: Any = None,
) -> Any:
    """Returns a field of `Config`.

    Args:
      default: value of the field if none is given.
      text: purpose of the field, for --help.
      choices: all values that the field may have; empty allows any.
      low: smallest number allowed.
      high: largest number allowed; it is far above any sensible one, and catches typing errors before they cost hours.
      open_ends: whether `low` and `high` themselves are excluded.
      acts_with: name of another field, and the values of that field with which this one has an effect; an empty tuple
        stands for all values but its default. In a list of such pairs, one of them suffices.
    """
    pairs = acts_with if isinstance(acts_with, list) else [acts_with] if acts_with else []
    limits = {"low": low, "high": high, "open_ends": open_ends}
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices, "acts_with": pairs, **limits})


# The largest numbers that a count, and a count of steps, may be.
MANY, MOST = 10**6, 10**9

# The number of layers is limited, because the loading of a run limits the parts of a model, in case it is hostile.
_MOST_WIDTHS = 100
_KINDS = {str: "text", bool: "True or False", int: "an integer", float: "a number", tuple: "a tuple of integers"}


def expected(field: dataclasses.Field) -> str:
    """Returns what the value of a field of `Config` must be, for example "an integer from 1 to 1,000,000"."""
    kind, low, high = type(field.default), field.metadata["low"], field.metadata["high"]
    if field.metadata["choices"]:
        return f"one of {', '.join(field.metadata['choices'])}"
    if low is None:
        return _KINDS[kind]
    if field.metadata["open_ends"]:
        return f"{_KINDS[kind]} between {low:,} and {high:,}, both excluded"
    return f"{_KINDS[kind]} from {low:,} to {high:,}"


def check(field: dataclasses.Field, value: Any) -> None:
    """Raises `ValueError` that names the field unless it may have the value."""
    kind = type(field.default)
    if not _is(kind, value) or (value == () and field.default != ()):
        _refuse(field, value)
    if kind is tuple and len(value) > _MOST_WIDTHS:
        raise ValueError(f"`{field.name}` must be up to {_MOST_WIDTHS} integers. Received: {len(value)}")
    for item in value if kind is tuple else (value,):
        if not _may_be(field, item):
            _refuse(field, item)


def _refuse(field, value):
    raise ValueError(f"`{field.name}` must be {expected(field)}. Received: {written(value)}")


def _may_be(field, item):
    """Returns whether a value, or an entry of a tuple, is allowed in a field; its type was checked before."""
    low, high = field.metadata["low"], field.metadata["high"]
    if field.metadata["choices"]:
        return item in field.metadata["choices"]
    if type(field.default) is tuple and not _is(int, item):
        return False
    # All these comparisons are False for NaN.
    return low is None or (low < item < high if field.metadata["open_ends"] else low <= item <= high)


def _is(kind: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)
