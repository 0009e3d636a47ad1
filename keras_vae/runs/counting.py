"""Counts what Keras is about to make in this thread, so that too much can be refused before it costs anything."""

import contextlib
import functools
import math
import numbers
import threading
from collections.abc import Iterator
from typing import Any

# The methods of Keras are those of all threads. A thread may count in a count of its own.
_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def before_each(*counted: tuple) -> Iterator[None]:
    """Within this context a function is called before each call that this thread makes of a method.

    One thread at a time can be in such a context; another waits until it is left.

    Args:
      counted: triples of a class, the name of its method, and a function that takes the arguments of a call, `self`
        first, and raises an error to refuse it.
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
    """Returns how many numbers a call of `keras.layers.Layer.add_weight` makes, from its arguments."""
    dimensions = shape if isinstance(shape, list | tuple) else [shape]
    return math.prod(abs(int(d)) for d in dimensions if isinstance(d, numbers.Integral))
