"""The command line of `train.py` and `python -m export`: flags, and --help at once."""

import sys

from absl import flags

from export import early

fail = early.load("command_line").fail

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
