"""What all commands share: a quiet start, SIGTERM as an exit, and errors as one line with exit code 2.

This file imports no TensorFlow, so that a command can answer --help at once.
"""

import argparse
import atexit
import contextlib
import gc
import io
import logging as std_logging
import numbers
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from absl import flags, logging

# Longer error lines are cut: an argument that an error quotes may have a megabyte.
_MAX_LINE = 2000


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        fail(message)

    def print_help(self, file: Any = None) -> None:
        show(self.format_help())


def escaped(value: object) -> str:
    r"""Returns `str(value)` on one line: newlines, terminal escapes and other control characters become `\n`, `\x1b`.

    So does every other character that cannot be printed.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def fail(message: object) -> NoReturn:
    """Ends the program with one line of explanation and exit code 2."""
    line = escaped(message)
    if len(line) > _MAX_LINE:
        line = f"{line[: _MAX_LINE // 2]} ... {line[-_MAX_LINE // 2 :]}"
    _flush_stdout()
    with contextlib.suppress(OSError):
        print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(2)


def show(text: str) -> None:
    """Prints a text that the user asked for; it is no error if the reader stops early, as `head` does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _flush_stdout()
    except OSError as error:
        fail(f"stdout: {cause(error)}")


def _flush_stdout():
    # If the pipe has no reader or the disk is full, the rest is dropped: Python would complain of it when it ends.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_streams() -> None:
    """Opens `os.devnull` for each standard stream that the shell has closed (`>&-`).

    Otherwise printing would fail. Worse, the next file that is opened would get the number of the closed stream, and
    what C++ code prints would be written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The system gives out the lowest free number, which is that of the closed stream.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w" if number else "r", closefd=False)))


def start() -> None:
    """Begins a command: opens closed streams, and escapes values in its log so that none can control the terminal."""
    open_streams()
    flags.FLAGS.mark_as_parsed()  # absl prints a remark if something is logged before the flags are parsed
    logging.use_absl_handler()
    handler = logging.get_absl_handler()
    if handler.python_handler.stream is None:  # stderr was closed when absl was imported
        handler.python_handler.setStream(sys.stderr)
    handler.addFilter(_escape_names)


def begin() -> None:
    """Begins a command that takes time: logs to stderr, and makes SIGTERM an exit that cleans up half-written files."""
    start()
    logging.set_verbosity(logging.INFO)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextlib.contextmanager
def one_line_errors(*mistakes: type[Exception], hint: Callable[[], str] = str) -> Iterator[None]:
    """Within this context `ValueError`, `ImportError`, `mistakes` and a full disk or memory end in `fail`.

    Args:
      *mistakes: further classes of errors that say what was wrong.
      hint: called when disk or memory are full; returns text for the end of the line, for example how to go on.
    """
    kinds: tuple[type[Exception], ...] = (ValueError, ImportError, *mistakes)
    try:
        yield
    except kinds as error:
        fail(error)
    except machine_errors() as error:
        fail(f"{cause(error)}{hint()}")


class _Watched:
    """Wraps a stream and keeps track of whether its last line has ended."""

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
    """Ends the line that a progress bar left open on stdout if the block fails, so that the error has its own line."""
    stdout = _Watched(sys.stdout)
    with contextlib.redirect_stdout(stdout):
        try:
            yield
        except BaseException:
            if not stdout.ended:
                show("")
            raise


def machine_errors() -> tuple[type[Exception], ...]:
    """Returns the classes of errors that a full disk or memory raises, with TensorFlow's own if it is imported."""
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    return (OSError, MemoryError, *([errors.OpError] if errors else []))


def cause(error: Exception) -> str:
    """Returns the text of an error of `machine_errors` as one line, with the file that it is about."""
    said = getattr(error, "strerror", None) or str(error)
    lines = (line.strip() for line in said.splitlines())
    line = next((line for line in lines if not _AROUND.match(line)), type(error).__name__)
    if type(error) is MemoryError and not said:
        line = "out of memory"
    filename = getattr(error, "filename", None)
    if filename is not None:
        line = f"{line}: {filename}"
    return _NAMES.sub("", line)


# TensorFlow writes these lines before the cause. They say where in the program the operation was made.
_AROUND = re.compile(r'$|Graph execution error:|Detected at node|File "|<stack traces|\d+ root error|\[\[')
# TensorFlow adds names of its own operations to the cause, and the kind of error if there are several. They are cut.
_NAMES = re.compile(r"^{{function_node .*?}} |^\(\d+\) [A-Z_]+: *| \[Op:.*")


def quiet_tensorflow(first_operation: bool = True) -> None:
    """Imports TensorFlow without its messages at start-up, and keeps its logs to warnings.

    Args:
      first_operation: whether to run an operation, which makes TensorFlow search for devices and print what it finds.
        It must be False with a strategy of several workers, which has to be made before any operation.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.get_absl_handler().addFilter(_is_news)
    with stderr_held_back(), without_search_for_garbage():
        import keras  # noqa: F401
        import tensorflow as tf
        import tensorflow_probability  # noqa: F401

        if first_operation:
            tf.zeros(())


@contextlib.contextmanager
def without_search_for_garbage() -> Iterator[None]:
    """Within this context Python does not search for garbage, and later it skips what was made here.

    It would go through the half a million objects that TensorFlow imports again and again, for three seconds of the
    import and three more when the process ends.
    """
    atexit.register(gc.freeze)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def stderr_held_back() -> Iterator[None]:
    """Within this context nothing reaches stderr, not even from C++; if the block fails, all of it is shown."""
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # the disk is full, so that there is no place to keep the text
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


def _escape_names(record: Any) -> bool:
    """Escapes the values in a log message, which may come from a file, and leaves the program's own text alone."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg if isinstance(arg, numbers.Real) else escaped(arg) for arg in record.args)
    return True


def _is_news(record: Any) -> bool:
    if "tensorflow" not in record.pathname:
        return True
    # Texts and figures are drawn in several sizes, each of which has a graph of its own.
    return record.levelno >= std_logging.WARNING and "triggered tf.function retracing" not in record.getMessage()
