"""The command lines of `python -m keras_vae.evaluate` and `python -m keras_vae.hub`.

They are read before TensorFlow is imported, so that --help and a wrong flag answer at once.
"""

import argparse
import os
import sys

from keras_vae import config
from keras_vae.command_line import Parser

_EVALUATE = """Measures a finished run again, and more closely: the test ELBO, log likelihood, the parts of the KL, the
quality of samples and, where the factors of the data are known, disentanglement scores. Writes RUN_DIR/evaluation."""
_HUB = """Makes a folder for the Hugging Face Hub of a finished run: a model card, the model, its settings and its
figures. Needs no network; `huggingface-cli upload OWNER/NAME FOLDER` puts it on the Hub."""


def evaluate() -> argparse.ArgumentParser:
    """Returns the parser of `python -m keras_vae.evaluate`."""
    parser = Parser(prog="python -m keras_vae.evaluate", description=_EVALUATE)
    add = parser.add_argument
    add("run_dir", metavar="RUN_DIR", type=os.path.expanduser)
    samples = config.FIELDS["num_importance_samples"]
    text = f"samples an image: {config.expected(samples)} (default 500)"
    add("--num_importance_samples", type=_number("num_importance_samples"), default=500, help=text)
    add("--overwrite", action="store_true", help="replace RUN_DIR/evaluation if it exists")
    return parser


def hub() -> argparse.ArgumentParser:
    """Returns the parser of `python -m keras_vae.hub`."""
    parser = Parser(prog="python -m keras_vae.hub", description=_HUB)
    add = parser.add_argument
    add("run_dir", metavar="RUN_DIR", type=os.path.expanduser)
    add("folder", metavar="FOLDER", type=os.path.expanduser, help="must not exist, or be empty")
    add("--license", help="licence of the model as the Hub names them, for example mit")
    return parser


def _number(name):
    """Returns what reads an integer of a setting of that name, and checks its range."""

    def read(text):
        try:
            value = int(text)
        except ValueError:
            value = text
        try:
            config.check(name, value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return read


def check(module: str) -> None:
    """Parses the command line of a module of this package that is about to run; a mistake ends the program.

    `python -m` imports the package, and with it TensorFlow, before the module, which parses the same arguments again.
    """
    parser = {"evaluate": evaluate, "hub": hub}.get(module)
    if parser:
        parser().parse_args(sys.argv[1:])
