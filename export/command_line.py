"""What the commands share: --help at once, and one line with exit code 2 for a user's mistake."""

import contextlib
import logging as std_logging
import os
import sys
import tempfile

from absl import flags, logging

HELP = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


def parse(argv: list[str], help_text: str, positional: str = "") -> list[str]:
    """Parses flags; prints help or ends the program where the command line says so.

    Args:
      argv: the command line, program name first.
      help_text: what --help prints above the flags.
      positional: name of the one positional argument, empty if there is none.

    Returns:
      Program name and positional argument.
    """
    if HELP & set(argv[1:]):
        print(f"{help_text}\n\nFlags:\n{flags.FLAGS.main_module_help()}")
        sys.exit(0)
    try:
        rest = flags.FLAGS(argv)
        if len(rest) - 1 > bool(positional):
            raise flags.Error(f"unexpected argument {rest[-1]!r}: settings are flags, as in --seed=1")
        if positional and len(rest) == 1:
            raise flags.Error(f"missing argument {positional}")
    except flags.Error as error:
        fail(str(error).splitlines()[0])
    return rest


def fail(message: object) -> None:
    """Ends the program with one line of explanation and exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def machine_errors() -> tuple[type, ...]:
    """Returns the errors of a full disk or memory; those of TensorFlow once it is there."""
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    return (OSError, errors.OpError) if errors else (OSError,)


def cause(error: Exception) -> str:
    """Returns what a machine error says, as one line."""
    return getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]


def quiet_tensorflow(first_operation: bool = True) -> None:
    """Imports TensorFlow without what it says of itself at start-up, and keeps its logs to warnings.

    Args:
      first_operation: whether to run one, which looks for devices and says so; a strategy of several workers must be
        made before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.get_absl_handler().addFilter(_is_news)
    with _stderr_held_back():
        import tensorflow as tf

        if first_operation:
            tf.zeros(())


@contextlib.contextmanager
def _stderr_held_back():
    # TensorFlow's C++ writes to the file descriptor itself. If it fails, what it said is shown.
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
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
