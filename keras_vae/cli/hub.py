"""`keras-vae hub RUN_DIR FOLDER` makes a folder for the Hugging Face Hub from a finished run."""

import argparse
import os

from absl import logging

from keras_vae.utils import console, signals

DESCRIPTION = """Makes a folder for the Hugging Face Hub of a finished run: a model card, the model, its settings and
its figures. Needs no network; `huggingface-cli upload OWNER/NAME FOLDER` puts it on the Hub."""


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = console.Parser(prog="keras-vae hub", description=DESCRIPTION)
    add = parser.add_argument
    add("run_dir", metavar="RUN_DIR", type=os.path.expanduser)
    add("folder", metavar="FOLDER", type=os.path.expanduser, help="must not exist, or be empty")
    add("--license", help="license of the model as the Hub names them, for example mit")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Runs the command; a mistake of the user ends it with one line and exit code 2."""
    console.begin()
    arguments = parser().parse_args(argv)
    with console.one_line_errors(), signals.obeyed():
        console.quiet_tensorflow()
        from keras_vae.integrations.hub import save_pretrained

        folder = save_pretrained(arguments.run_dir, arguments.folder, arguments.license)
    logging.info("see %s", folder / "README.md")
