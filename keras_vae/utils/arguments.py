"""Arguments checked against the annotations of the function: one decorator, one wording for each kind of annotation.

    @checked
    def interpolate(start: ArrayLike, end: ArrayLike, steps: PositiveInt = 10): ...

    interpolate(a, b, steps=2.5)
    ValueError: `steps` must be a positive integer. Received: steps=2.5

NumPy's scalars count as numbers, True and False do not, and a float must be finite. The aliases below (`PositiveInt`,
`Seed`, ...) say more than a type does, and a type checker sees only their type. A condition on several arguments
together is checked in the function itself.
"""

import functools
import inspect
import math
import numbers
import os
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from keras_vae.utils.environment import whose
from keras_vae.utils.text import written


class Kind(NamedTuple):
    """The values that an annotation accepts.

    Attributes:
      expected: what an error says after "must be", for example "a positive integer".
      plural: what an error says of a sequence of such values, for example "positive integers".
      accepts: whether a value is accepted.
      high: largest number that is accepted, None if there is no limit; the error for a larger one names it.
    """

    expected: str
    plural: str
    accepts: Callable[[Any], bool]
    high: float | None = None


def is_int(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy, but not True or False."""
    return type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool))


def is_float(value: Any) -> bool:
    """Whether a value is a finite real number of Python or NumPy, but not True or False."""
    if type(value) is not float and (not isinstance(value, numbers.Real) or isinstance(value, bool)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # the value is an integer that no float can hold
        return False


def is_numeric(value: Any) -> bool:
    """Whether a value is an array, tensor or list of real numbers or truth values, with at least one entry."""
    try:
        dtype = np.dtype(getattr(value.dtype, "as_numpy_dtype", value.dtype))
    except (AttributeError, TypeError):
        if not (hasattr(value, "__array__") or isinstance(value, list | tuple)):
            return False
        try:
            value = np.asarray(value)
        except (TypeError, ValueError):  # the value is a list whose rows differ in length
            return False
        dtype = value.dtype
    empty = isinstance(value, np.ndarray) and value.size == 0
    return not empty and (dtype.kind in "biuf" or dtype.name == "bfloat16")


def is_array(value: Any) -> bool:
    """Whether a value is numeric and has at least one axis."""
    return is_numeric(value) and getattr(value, "shape", None) != ()


def are_numbers(value: Any) -> bool:
    """Whether a value is as `is_array` asks, or an array of numbers without an entry."""
    empty = isinstance(value, np.ndarray) and not value.size and value.dtype.kind in "biuf"
    return empty or is_array(value)


def is_text(value: Any) -> bool:
    """Whether a value is a text or several: a string, or a list, an array, a column or a tensor of strings."""
    if isinstance(value, str | bytes):
        return True
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(text, str | bytes) for text in value)
    dtype, rank = getattr(value, "dtype", None), getattr(value, "ndim", 0)
    if getattr(dtype, "kind", "") == "O":
        return rank == 1 and bool(len(value)) and all(isinstance(text, str) for text in value)
    return rank <= 1 and str(getattr(dtype, "name", "")).startswith(("str", "bytes"))


def is_path(value: Any) -> bool:
    """Whether a value is text that is not empty, or a path of `pathlib`."""
    return isinstance(value, os.PathLike) or (isinstance(value, str) and value != "")


def kind_of(annotation: Any) -> Kind:
    """Returns the `Kind` of an annotation; raises `TypeError` for one that this module does not know."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return inner[1]
    if origin in (typing.Union, types.UnionType):
        return _any_of([kind_of(each) for each in inner])
    if origin is Literal:
        names = ", ".join(map(repr, inner))
        return Kind(f"one of {names}", f"each one of {names}", lambda value: _is_choice(value, inner))
    if origin in (Sequence, Collection, tuple, list):
        return _several(origin, kind_of(inner[0]), len(inner) if origin is tuple and inner[-1] is not ... else None)
    if origin is not None:
        return kind_of(origin)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(annotation, type):
        name = annotation.__name__
        return Kind(_with_article(name), f"of {name}", lambda value: isinstance(value, annotation))
    raise TypeError(f"{annotation!r} is not an annotation that can be checked")


def _with_article(words):
    return f"{'an' if words[0] in 'aeiouAEIOU' else 'a'} {words}"


def _any_of(kinds):
    texts = [" or ".join(dict.fromkeys(words)) for words in zip(*(kind[:2] for kind in kinds), strict=True)]
    tests = [kind.accepts for kind in kinds]
    return Kind(*texts, lambda value: any(accepts(value) for accepts in tests))


def _is_choice(value, choices):
    return any(type(value) is type(choice) and value == choice for choice in choices)


def _several(origin, kind, length):
    """Returns the kind of a sequence or collection of `kind`; neither text nor a dict counts as one."""
    kinds, others = (Collection,) if origin is Collection else (Sequence, np.ndarray), (str, bytes, Mapping)

    def is_several(value):
        return isinstance(value, kinds) and not isinstance(value, others) and getattr(value, "ndim", 1) > 0

    def accepts(value):
        value = value.as_list() if hasattr(value, "as_list") else value  # TensorFlow's shapes have this method
        several = type(value) in (tuple, list) or is_several(value)
        return several and length in (None, len(value)) and all(map(kind.accepts, value))

    words = f"{'' if length is None else f'{length} '}{kind.plural}"
    name = "collection" if origin is Collection else "sequence"
    return Kind(f"a {name} of {words}", f"{name}s of {words}", accepts)


_PLAIN = {
    int: Kind("an integer", "integers", is_int),
    float: Kind("a finite number", "finite numbers", is_float),
    bool: Kind("True or False", "truth values", lambda value: isinstance(value, bool | np.bool_)),
    str: Kind("a string", "strings", lambda value: isinstance(value, str)),
    type(None): Kind("None", "Nones", lambda value: value is None),
    Callable: Kind("a function", "functions", callable),
    Any: Kind("anything", "things", lambda value: True),
}

# TensorFlow counts in int32 and int64 and computes in float32: larger numbers would overflow there without an error.
MAX_INT32, MAX_INT64, MAX_FLOAT32 = 2**31 - 1, 2**63 - 1, 3.4028234663852886e38


def _between(expected, plural, is_kind, low, high):
    return Kind(expected, plural, lambda value: is_kind(value) and low <= value <= high, high)


# A kind that several functions ask for has an alias here.
PositiveInt = Annotated[int, _between("a positive integer", "positive integers", is_int, 1, MAX_INT32)]
PositiveInt64 = Annotated[int, _between("a positive integer", "positive integers", is_int, 1, MAX_INT64)]
NonNegativeInt = Annotated[int, _between("an integer of at least 0", "integers of at least 0", is_int, 0, MAX_INT64)]
PositiveFloat = Annotated[
    float,
    Kind("a positive number", "positive numbers", lambda v: is_float(v) and 0 < v <= MAX_FLOAT32, MAX_FLOAT32),
]
NonNegativeFloat = Annotated[
    float, _between("a number of at least 0", "numbers of at least 0", is_float, 0, MAX_FLOAT32)
]
Fraction = Annotated[
    float, Kind("a number between 0 and 1", "numbers between 0 and 1", lambda v: is_float(v) and 0 < v < 1)
]
Share = Annotated[float, Kind("a number in [0, 1]", "numbers in [0, 1]", lambda v: is_float(v) and 0 <= v <= 1)]

# NumPy and scikit-learn take a `Seed`, `keras_vae.noise` takes a `NoiseSeed`, which may be negative.
Seed = Annotated[int, Kind("an integer in [0, 2**32)", "seeds", lambda v: is_int(v) and 0 <= v < 2**32)]
NoiseSeed = Annotated[
    int, Kind("an integer in [-2**31, 2**32)", "seeds", lambda v: is_int(v) and -(2**31) <= v < 2**32)
]
ArrayLike = Annotated[Any, Kind("an array of at least one number", "arrays of numbers", is_array)]
Numbers = Annotated[Any, Kind("an array of numbers", "arrays of numbers", are_numbers)]
Texts = Annotated[Any, Kind("a list of strings", "lists of strings", is_text)]
# An argument of this kind is one number for all examples, or an array with a number for each.
NumberOrArray = Annotated[
    Any,
    Kind("a number or an array of at least one number", "arrays of numbers", lambda v: is_float(v) or is_numeric(v)),
]
Path = Annotated[str | os.PathLike, Kind("a path", "paths", is_path)]
# The size of z: a number of dimensions, or a shape.
LatentDim = Annotated[
    int | Sequence[int],
    Kind(
        "a positive integer or a tuple of positive integers, for example (height, width, channels)",
        "sizes of z",
        lambda v: kind_of(PositiveInt | Sequence[PositiveInt]).accepts(v) and (is_int(v) or len(v) > 0),
    ),
]
Shape = Annotated[Sequence[int], Kind("a tuple of positive integers", "shapes", kind_of(Sequence[PositiveInt]).accepts)]


def checked(function: Callable) -> Callable:
    """Makes a function, a method or the constructor of a class check its arguments against its annotations.

    The annotations are read at the first call, when all names in them are known. Arguments without an annotation and
    defaults are not checked. A call takes about a microsecond longer, so do not decorate what runs once a batch.

    Raises:
      ValueError: if a call passes a value that an annotation does not accept; it names argument, kind and value.
    """
    if isinstance(function, type):
        function.__init__ = checked(function.__init__)  # type: ignore[misc]
        return function
    signature = inspect.signature(function)
    positional = [name for name, each in signature.parameters.items() if each.kind <= each.POSITIONAL_OR_KEYWORD]
    kinds: dict[str, Kind] = {}
    tests: dict[str, Callable[[Any], bool]] = {}

    @functools.wraps(function)
    def call(*args, **kwargs):
        if not tests:
            kinds.update(_kinds(function, signature))
            tests.update({name: kind.accepts for name, kind in kinds.items()})
        for given in (zip(positional, args, strict=False), kwargs.items()):
            for name, value in given:
                if name in tests and not tests[name](value):
                    expected, received = _expected(kinds[name], value), f"{shown(value)}{whose(value)}"
                    raise ValueError(f"`{name}` must be {expected}. Received: {name}={received}")
        return function(*args, **kwargs)

    # Keras and scikit-learn read the arguments of a constructor without following `__wrapped__`.
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _kinds(function, signature):
    """Returns name -> `Kind` of the annotated arguments of a function, without `*args` and `**kwargs`."""
    hints = typing.get_type_hints(function, include_extras=True)
    single = [
        each.name for each in signature.parameters.values() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    return {name: kind_of(hints[name]) for name in single if name in hints}


def _expected(kind, value):
    is_kind = is_int if isinstance(kind.high, int) else is_float
    too_large = kind.high is not None and is_kind(value) and value > kind.high
    return f"at most {kind.high}" if too_large else kind.expected


def shown(value: Any) -> str:
    """Returns a value as an error shows it: an array by its type and shape, other things in at most 200 characters."""
    if hasattr(value, "dtype") and not isinstance(value, type) and getattr(value, "shape", ()) != ():
        return f"<{type(value).__name__} of {getattr(value.dtype, 'name', value.dtype)} with shape {value.shape}>"
    text = written(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
