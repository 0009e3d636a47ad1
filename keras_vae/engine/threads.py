"""A lock that lets one thread at a time train or evaluate a model.

Two threads would count in the same metrics and draw from the same stream of noise.
"""

import functools
import threading
from collections.abc import Callable

# A waiting thread checks this often, in seconds, whether the other one is training.
_LOOK = 0.1


class Turn:
    """The lock of a model; a thread that holds it may take it again.

    Attributes:
      training: whether a call of `fit` holds it.
    """

    def __init__(self) -> None:
        self.training = False
        self._lock = threading.RLock()

    def take(self, name: str) -> None:
        """Waits for the lock; raises `RuntimeError` if another thread is in `fit`, because that may last for hours."""
        while not self._lock.acquire(timeout=_LOOK):
            if self.training:
                raise RuntimeError(
                    f"`{name}` must not be called while another thread is in `fit` of the same model: wait for it, or "
                    "call it in a callback"
                )

    def give_back(self) -> None:
        """Releases the lock."""
        self._lock.release()


def one_at_a_time(method: Callable) -> Callable:
    """Decorates a method of a model with a `turn`: it waits until no other thread is in such a method of that model."""

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
