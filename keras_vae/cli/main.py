"""The command `keras-vae`: `keras-vae train --dataset=mnist`, and commands for the run afterwards."""

import sys

from keras_vae.utils import console
from keras_vae.utils.own_modules import check_own
from keras_vae.utils.version import __version__

COMMANDS = {
    "train": "train a model and export it",
    "evaluate": "measure a finished run again, and more closely",
    "export": "write the files of a finished run for phones, servers and browsers",
    "hub": "make a folder for the Hugging Face Hub of a finished run",
}
USAGE = "usage: keras-vae COMMAND ...\n\n" + "\n".join(f"  {name:10}{text}" for name, text in COMMANDS.items())
HELP = f"{USAGE}\n\n`keras-vae COMMAND --help` tells more of each. Version {__version__}."


def main(argv: list[str] | None = None) -> None:
    """Runs the command that the first word names; a mistake is one line and exit code 2."""
    console.start()
    program, *words = sys.argv if argv is None else argv
    command = words[0] if words else "--help"
    if command in ("--help", "-h"):
        console.show(HELP)
    elif command == "--version":
        console.show(__version__)
    elif command not in COMMANDS:
        console.fail(f"COMMAND must be one of {', '.join(COMMANDS)}. Received: {command!r}")
    else:
        sys.argv = [f"{program} {command}", *words[1:]]
        _run(command)


def _run(command):
    # A command is only imported when it runs, so that --help answers at once.
    if command in ("train", "export"):
        with console.one_line_errors():
            check_own(command)
    if command == "train":
        import train

        train.cli()
    elif command == "export":
        from export import __main__ as export

        export.cli()
    elif command == "evaluate":
        from keras_vae.cli import evaluate

        evaluate.main()
    else:
        from keras_vae.cli import hub

        hub.main()
