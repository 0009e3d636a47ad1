"""Exports the model of a run: `python -m export RUN_DIR`.

Writes RUN_DIR/export with a SavedModel, a decoder for TensorFlow Lite, and a model card; every file is loaded again,
run in its own runtime and compared with Keras before it is left there.
"""

from absl import app, flags, logging

from export.command_line import fail, parse, quiet_tensorflow
from export.paths import check_run_dir


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_integer("num_samples", 16, "how many pictures one call of the signature `sample` draws", lower_bound=1)
    flags.DEFINE_bool(
        "overwrite", False, "replace RUN_DIR/export if it exists; it is replaced only by a verified export"
    )


def main(argv: list[str]) -> None:
    """Runs the export."""
    logging.set_verbosity(logging.INFO)
    try:
        check_run_dir(argv[1], flags.FLAGS.overwrite)
    except ValueError as error:
        fail(error)
    quiet_tensorflow()
    from export import exporter

    try:
        folder = exporter.export_run(argv[1], flags.FLAGS.num_samples, flags.FLAGS.overwrite)
    except (ValueError, exporter.ExportError) as error:
        fail(error)
    logging.info("done: see %s", folder)


def cli() -> None:
    """The entry point."""
    define_flags()
    app.run(main, flags_parser=lambda argv: parse(argv, __doc__, positional="RUN_DIR"))


if __name__ == "__main__":
    cli()
