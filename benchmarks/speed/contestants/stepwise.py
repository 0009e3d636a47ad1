"""Keras's `fit`, one epoch at a time."""

import queue
import threading

import keras


class Stepwise(keras.callbacks.Callback):
    """Runs a `fit` in a thread of its own, and holds it between two epochs.

    This measures one long `fit`, as a user would run it, and not the set-up of many short ones.

    Args:
      fit: function that calls `fit` with a list of callbacks.
    """

    def __init__(self, fit):
        super().__init__()
        self._go, self._done = queue.Queue(), queue.Queue()
        self._fit, self._thread = fit, None

    def on_epoch_begin(self, epoch, logs=None):
        self._go.get()

    def on_epoch_end(self, epoch, logs=None):
        self._done.put(float(logs["loss"]))

    def epoch(self) -> float:
        """Runs one epoch; returns its loss."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._go.put(None)
        result = self._done.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def _run(self):
        try:
            self._fit([self])
        except BaseException as error:
            self._done.put(error)
