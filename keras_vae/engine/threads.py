"""One thread at a time: the steps of a model count in its own metrics and draw from its own streams of noise."""

import functools
import threading
from collections.abc import Callable

# Seconds between two looks at whether the thread that is waited for trains.
_LOOK = 0.1


class Turn:
    """The lock of a model; the thread that has it may take it again.

    Attributes:
      training: whether a whole training has it.
    """

    def __init__(self):
        self.training = False
        self._lock = threading.RLock()

    def take(self, name: str) -> None:
        """Waits until no other thread has it, or raises `RuntimeError` if one trains: that may last for hours."""
        while not self._lock.acquire(timeout=_LOOK):
            if self.training:
                raise RuntimeError(
                    f"`{name}` must not be called while another thread is in `fit` of the same model: wait for it, or "
                    "call it in a callback"
                )

    def give_back(self) -> None:
        """Lets the next thread have it."""
        self._lock.release()


def one_at_a_time(method: Callable) -> Callable:
    """Has a method of a model with a `turn` wait until no other thread is in such a method of the same model."""

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        self.turn.take(method.__name__)
        before, self.turn.training = self.turn.training, self.turn.training or method.__name__ == "fit"
        try:
            return method(self, *args, **kwargs)
        finally:
            self.turn.training = before
            self.turn.give_back()

    return call
