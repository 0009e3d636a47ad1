"""Hooks before methods of Keras, which count what this thread makes and can stop it before it costs anything."""

import contextlib
import functools
import math
import numbers
import threading
from collections.abc import Iterator
from typing import Any

# The methods are replaced for all threads, so only one thread may do it at a time. It may do it again inside itself.
_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def before_each(*counted: tuple) -> Iterator[None]:
    """Within this context a function is called before each call that this thread makes of a method.

    Only one thread at a time can be in such a context; others wait.

    Args:
      *counted: triples of a class, the name of its method, and a function that takes the arguments of the call, `self`
        first, and raises an error to stop it.
    """
    with _one_at_a_time, contextlib.ExitStack() as stack:
        for owner, name, function in counted:
            stack.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, _with_call_before(getattr(owner, name), function))
        yield


def _with_call_before(method, function):
    thread = threading.get_ident()

    @functools.wraps(method)
    def call(owner, /, *args, **kwargs):
        if threading.get_ident() == thread:
            function(owner, *args, **kwargs)
        return method(owner, *args, **kwargs)

    return call


def numbers_in_weight(_: Any, shape: Any = None, *__: Any, **___: Any) -> int:
    """Returns how many numbers a call of `keras.layers.Layer.add_weight` with these arguments makes."""
    dimensions = shape if isinstance(shape, list | tuple) else [shape]
    return math.prod(abs(int(d)) for d in dimensions if isinstance(d, numbers.Integral))
