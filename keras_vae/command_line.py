"""What all commands share: a quiet start, SIGTERM as an exit, and one line with exit code 2 for what goes wrong.

This file imports neither TensorFlow nor the package, so that `train.py` and `python -m export` can load it by its path
and answer --help at once.
"""

import argparse
import contextlib
import logging as std_logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator

from absl import flags, logging


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line and exit code 2."""

    def error(self, message):
        fail(message)


def fail(message: object) -> None:
    """Ends the program with one line of explanation and exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def begin() -> None:
    """Logs news to stderr as absl formats it, and makes SIGTERM an exit, which leaves nothing half written."""
    flags.FLAGS.mark_as_parsed()  # absl remarks on what is logged before
    logging.use_absl_handler()
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


def machine_errors() -> tuple[type, ...]:
    """Returns the errors of a full disk or memory; those of TensorFlow once it is there."""
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    return (OSError, errors.OpError) if errors else (OSError,)


def cause(error: Exception) -> str:
    """Returns what a machine error says, as one line."""
    line = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"^{{function_node .*?}} | \[Op:.*", "", line)  # TensorFlow's names of its own parts


def runs_a_module_of(package: str) -> bool:
    """Returns whether `package` is imported because a module of it is about to run: `python -m PACKAGE.MODULE`."""
    return sys.argv[:1] == ["-m"] and any(word.startswith(f"{package}.") for word in sys.orig_argv)


def quiet_tensorflow(first_operation: bool = True) -> None:
    """Imports TensorFlow without what it says of itself at start-up, and keeps its logs to warnings.

    Args:
      first_operation: whether to run one, which looks for devices and says so; a strategy of several workers must be
        made before.
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


def _is_news(record) -> bool:
    return "tensorflow" not in record.pathname or record.levelno >= std_logging.WARNING
