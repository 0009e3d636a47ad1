"""Command lines made of absl flags, for `train.py` and `python -m export`; --help answers without TensorFlow."""

import faulthandler
import os
import sys
from collections.abc import Callable

from absl import flags

from keras_vae.utils import console

HELP = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


def run(main: Callable[[list[str]], None], help_text: str, positional: str = "") -> None:
    """Parses the command line with `parse` and calls `main` with the result."""
    console.start()
    faulthandler.enable()
    # absl registers the flags of the program that runs under its path, and those of other modules under their name.
    module = sys.argv[0] if main.__module__ == "__main__" else main.__module__
    main(parse(sys.argv, help_text, positional, module))


def parse(argv: list[str], help_text: str, positional: str = "", module: str = "") -> list[str]:
    """Parses flags; prints help or ends the program where the command line says so.

    Args:
      argv: the command line, program name first.
      help_text: what --help prints above the flags.
      positional: name of the one positional argument, empty if there is none.
      module: the module whose flags --help shows, as absl names it.

    Returns:
      Program name and positional argument. The argument is a path, and a leading ~ in it becomes the home folder.
    """
    if HELP & set(argv[1:]):
        console.show(f"{help_text}\n\nFlags:\n{flags.FLAGS.module_help(module)}")
        sys.exit(0)
    try:
        rest = flags.FLAGS(argv)
        if len(rest) - 1 > bool(positional):
            raise flags.Error(f"unexpected argument {rest[-1]!r}: settings are flags, as in --seed=1")
        if positional and len(rest) == 1:
            raise flags.Error(f"missing argument {positional}")
    except RecursionError:  # absl searches for similar names with a recursion that is as deep as the name is long
        console.fail("unknown command line flag: its name is longer than that of any flag")
    except UnicodeDecodeError as error:
        console.fail(f"--flagfile must be a text file with a flag on each line: {error}")
    except (flags.Error, ValueError) as error:
        console.fail(str(error).removeprefix("ERROR:: "))
    return [rest[0], *map(os.path.expanduser, rest[1:])]
