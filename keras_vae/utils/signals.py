"""SIGTERM and SIGINT end a command for certain, even if the exception that they raise is lost on its way.

This file imports nothing but the standard library, so that a command is protected before its slow imports.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

NUMBERS = (signal.SIGTERM, signal.SIGINT)
# Seconds until the signal is raised again, because its exception may have been lost.
AGAIN_SECONDS = 1.0
# Seconds until the process ends wherever it is.
GRACE_SECONDS = 8.0


class Stopped(SystemExit):
    """A signal asked the command to end; nothing but `obeyed` may catch it."""


@contextlib.contextmanager
def obeyed(hint: Callable[[], str] = str) -> Iterator[None]:
    """Within this context SIGTERM and SIGINT end the process, with one line and exit code 128 + number.

    They raise `Stopped`, so that half-written files are cleaned up. Python drops an exception that is raised in a
    `__del__` or in a callback, and a library may catch it. The signal is therefore raised again every second, a further
    signal acts like the first, and after eight seconds the process ends wherever it is, even in a call that does not
    return.

    Args:
      hint: called at the end; returns text that follows the name of the signal, for example how to go on.
    """
    stop = _Stop(hint)
    stop.begin()
    try:
        yield
    finally:
        if stop.number:  # a signal came, whether an error reached this point or was lost
            stop.end()
        stop.leave()


class _Stop:
    """The signals of one context; `number` is that of the first signal that came, 0 before."""

    def __init__(self, hint):
        self.number, self._hint, self._last = 0, hint, False
        self._before = {number: signal.getsignal(number) for number in NUMBERS}
        self._hook = sys.unraisablehook

    def begin(self):
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # The system writes the number here at once, whatever the main thread is doing.
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()
        sys.unraisablehook = self._unraisable
        for number in NUMBERS:
            signal.signal(number, self._handle)

    def leave(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook
        signal.set_wakeup_fd(self._wakeup)
        os.write(self._writer, b"\0")
        os.close(self._writer)

    def end(self):
        """Ends the process at once: an ordinary exit may wait forever for TensorFlow's interrupted threads."""
        self._last = True
        self._say()
        os._exit(128 + self.number)

    def _say(self):
        with contextlib.suppress(Exception):  # the reader of stderr may be gone
            print(f"stopped by {signal.Signals(self.number).name}{self._hint()}", file=sys.stderr, flush=True)
            sys.stdout.flush()

    def _handle(self, number, _frame):
        self.number = self.number or number
        if not self._last:
            raise Stopped(128 + number)

    def _unraisable(self, dropped):
        if not isinstance(dropped.exc_value, Stopped):
            self._hook(dropped)

    def _watch(self):
        number = 0
        while number not in NUMBERS:
            number = os.read(self._reader, 1)[0]
            if not number:
                os.close(self._reader)
                return
        self.number, ended = self.number or number, threading.Event()
        for _ in range(int(GRACE_SECONDS / AGAIN_SECONDS)):
            ended.wait(AGAIN_SECONDS)
            if not self._last:
                _strike(number)
        if not self._last:
            # Writing to a pipe that nobody reads may never return, so that a thread does it, with a limit of a second.
            speaker = threading.Thread(target=self._say, daemon=True)
            speaker.start()
            speaker.join(1.0)
        os._exit(128 + number)


def _strike(number):
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, number)
    else:  # Windows
        signal.raise_signal(number)
