"""What all commands share: a quiet start, SIGTERM as an exit, and one line with exit code 2 for what goes wrong.

This file imports neither TensorFlow nor the package, so that `train.py` and `python -m export` can load it by its path
and answer --help at once.
"""

import argparse
import contextlib
import io
import logging as std_logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator

from absl import flags, logging

# A longer line says no more; an argument may have a megabyte.
_MAX_LINE = 2000


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line and exit code 2."""

    def error(self, message):
        fail(message)

    def print_help(self, file=None):
        show(self.format_help())


def escaped(value: object) -> str:
    """Returns `str(value)` with newlines, terminal escapes and bytes that are no text as a Python string shows them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def fail(message: object) -> None:
    """Ends the program with one line of explanation and exit code 2."""
    line = escaped(message)
    if len(line) > _MAX_LINE:
        line = f"{line[: _MAX_LINE // 2]} ... {line[-_MAX_LINE // 2 :]}"
    _flush_stdout()
    with contextlib.suppress(OSError):
        print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(2)


def show(text: str) -> None:
    """Prints a text that was asked for; a reader who leaves, as `head` does, has seen enough."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _flush_stdout()
    except OSError as error:
        fail(f"stdout: {cause(error)}")


def _flush_stdout():
    # The rest of the text for a pipe without a reader or a full disk is dropped: Python would complain when it ends.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_streams() -> None:
    """Opens `os.devnull` for each standard stream that the shell has closed (`>&-`).

    Printing would fail otherwise, and a file opened later would get the number of the stream and the output of C++.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
            setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w" if number else "r", closefd=False)))


def start() -> None:
    """Begins a command: opens its closed streams, and escapes names in its log, which cannot move the cursor then."""
    open_streams()
    flags.FLAGS.mark_as_parsed()  # absl remarks on what is logged before
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    if handler.python_handler.stream is None:  # it was closed when absl was imported
        handler.python_handler.setStream(sys.stderr)
    handler.addFilter(_escape_names)


def begin() -> None:
    """Logs news to stderr as absl formats it, and makes SIGTERM an exit, which leaves nothing half written."""
    start()
    logging.set_verbosity(logging.INFO)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextlib.contextmanager
def one_line_errors(*mistakes: type, hint: Callable[[], str] = str) -> Iterator[None]:
    """Within this context `ValueError`, `ImportError`, `mistakes` and a full disk or memory end in `fail`.

    Args:
      *mistakes: further classes of errors that say what was wrong.
      hint: asked when disk or memory are full, for what follows their text: how to go on.
    """
    try:
        yield
    except (ValueError, ImportError, *mistakes) as error:
        fail(error)
    except machine_errors() as error:
        fail(f"{cause(error)}{hint()}")


class _Watched:
    """A stream that knows whether its last line has ended; else the stream it is made of."""

    def __init__(self, stream):
        self._stream, self.ended = stream, True

    def write(self, text: str) -> int:
        if text:
            self.ended = text.endswith("\n")
        return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


@contextlib.contextmanager
def whole_lines() -> Iterator[None]:
    """When the block fails, the line that a progress bar left open on stdout ends: what follows has its own."""
    stdout = _Watched(sys.stdout)
    with contextlib.redirect_stdout(stdout):
        try:
            yield
        except BaseException:
            if not stdout.ended:
                show("")
            raise


def machine_errors() -> tuple[type, ...]:
    """Returns the errors of a full disk or memory; those of TensorFlow once it is there."""
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    return (OSError, MemoryError, *([errors.OpError] if errors else []))


def cause(error: Exception) -> str:
    """Returns what a machine error says, and of which file, as one line."""
    said = getattr(error, "strerror", None) or str(error)
    lines = (line.strip() for line in said.splitlines())
    line = next((line for line in lines if not _AROUND.match(line)), type(error).__name__)
    if type(error) is MemoryError and not said:
        line = "out of memory"
    if getattr(error, "filename", None) is not None:
        line = f"{line}: {error.filename}"
    return _NAMES.sub("", line)


# TensorFlow writes these lines before the cause: they say where in the program the operation was made.
_AROUND = re.compile(r'$|Graph execution error:|Detected at node|File "|<stack traces|\d+ root error|\[\[')
# Its names of its own parts, and of the kind of error where there are several.
_NAMES = re.compile(r"^{{function_node .*?}} |^\(\d+\) [A-Z_]+: *| \[Op:.*")


def quiet_tensorflow(first_operation: bool = True) -> None:
    """Imports TensorFlow without its messages at start-up, and keeps its logs to warnings.

    Args:
      first_operation: whether to run an operation, which makes TensorFlow look for devices and say so; with a strategy
        of several workers it must be False, since the strategy must be made before any operation.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.get_absl_handler().addFilter(_is_news)
    with stderr_held_back():
        import tensorflow as tf

        if first_operation:
            tf.zeros(())


@contextlib.contextmanager
def stderr_held_back() -> Iterator[None]:
    """Within this context nothing reaches stderr, also not from C++; if the block fails, what was said is shown."""
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # a full disk: there is no place to hold it
            yield
            return
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _escape_names(record) -> bool:
    """Escapes what a message is filled with, not the message itself: it is the program's own."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg if isinstance(arg, int | float) else escaped(arg) for arg in record.args)
    return True


def _is_news(record) -> bool:
    return "tensorflow" not in record.pathname or record.levelno >= std_logging.WARNING
