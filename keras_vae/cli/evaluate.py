"""`keras-vae evaluate RUN_DIR` measures a finished run again, in more detail."""

import argparse
import os

from absl import logging

from keras_vae.runs import config, options
from keras_vae.utils import console, signals

DESCRIPTION = """Measures a finished run again, and more closely: the test ELBO, log likelihood, the parts of the KL,
the quality of samples and, where the factors of the data are known, disentanglement scores.
Writes RUN_DIR/evaluation."""


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = console.Parser(prog="keras-vae evaluate", description=DESCRIPTION)
    add = parser.add_argument
    add("run_dir", metavar="RUN_DIR", type=os.path.expanduser)
    samples = config.FIELDS["num_importance_samples"]
    text = f"samples an example: {options.expected(samples)} (default 500)"
    add("--num_importance_samples", type=_number("num_importance_samples"), default=500, help=text)
    add("--overwrite", action="store_true", help="replace RUN_DIR/evaluation if it exists")
    return parser


def _number(name):
    """Returns a function for `argparse` that reads an integer and checks the range of the setting with that name."""

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


def main(argv: list[str] | None = None) -> None:
    """Runs the command; a mistake of the user ends it with one line and exit code 2."""
    console.begin()
    arguments = parser().parse_args(argv)
    with console.one_line_errors(), signals.obeyed():
        console.quiet_tensorflow()
        from keras_vae.runs.evaluate import evaluate_run

        folder = evaluate_run(arguments.run_dir, arguments.num_importance_samples, arguments.overwrite)
    logging.info("done: see %s", folder / "evaluation.json")
