"""Exports the model of a run: `python -m export RUN_DIR`.

It writes RUN_DIR/export with a SavedModel, TensorFlow Lite files of the decoder, the encoder and the autoencoder, and a
model card. Every file is loaded again, run in its own runtime and compared with Keras before it is kept.
"""

import os
from typing import Any

from absl import flags, logging

from export.errors import ExportError
from export.paths import check_run_dir
from keras_vae.utils import console, signals
from keras_vae.utils.flags import run
from keras_vae.utils.json_files import run_file

# These limits are far above any sensible value, and catch typing errors.
MAX_ROWS, MAX_NATS = 100_000, 1_000_000
OF_THE_EXPORT = ("num_samples", "batch_size", "variants", "max_nats", "overwrite", "onnx", "litertjs")


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_integer(
        "num_samples",
        16,
        "how many examples one call of the signature `sample` draws",
        lower_bound=1,
        upper_bound=MAX_ROWS,
    )
    flags.DEFINE_integer(
        "batch_size",
        1,
        "static batch size of the other signatures in the TFLite files; 0 accepts any, which some delegates do not",
        lower_bound=0,
        upper_bound=MAX_ROWS,
    )
    flags.DEFINE_list(
        "variants",
        ["float32"],
        "TFLite files to write: float32, float16, full_int8, dynamic_int8, weight_int8, or int8 for the first of these "
        "three that holds; with more than float32 each is measured: size, parity, nats, latency, memory",
    )
    flags.DEFINE_float(
        "max_nats",
        0.5,
        "a variant that costs more nats an example is reported and not written",
        lower_bound=0,
        upper_bound=MAX_NATS,
    )
    # absl's own bounds accept NaN, which is neither below nor above them.
    flags.register_validator("max_nats", lambda nats: nats >= 0, f"must be a number from 0 to {MAX_NATS}")
    flags.DEFINE_bool(
        "overwrite", False, "replace RUN_DIR/export if it exists; it is replaced only by a verified export"
    )
    flags.DEFINE_bool("onnx", False, 'write the decoder as ONNX too (pip install "keras_vae[onnx]")')
    flags.DEFINE_bool("web", False, "write RUN_DIR/export/web, a page that draws with the decoder, ready to be served")
    flags.DEFINE_string("litertjs", "", "folder of an unpacked @litertjs/core for --web; empty: fetched from npm once")
    flags.DEFINE_bool("serve", False, "serve RUN_DIR/export/web on loopback, after --web or from an earlier export")
    flags.DEFINE_integer("port", 8000, "port of --serve", lower_bound=0, upper_bound=65535)


def make_options() -> Any:
    """Returns the `Options` that the flags ask for."""
    from export.exporter import Options

    values = flags.FLAGS
    return Options(
        num_samples=values.num_samples,
        batch_size=values.batch_size or None,
        variants=tuple(values.variants),
        max_nats=values.max_nats,
        onnx=values.onnx,
        web=values.web,
        litertjs=os.path.expanduser(values.litertjs) or None,
    )


def main(argv: list[str]) -> None:
    """Runs the export."""
    console.begin()
    values = flags.FLAGS
    only_serve = values.serve and not values.web
    with console.one_line_errors(ExportError):
        if only_serve and (given := [name for name in OF_THE_EXPORT if values[name].present]):
            raise ValueError(
                f"--serve without --web serves an earlier page and exports nothing. Received: --{given[0]}"
            )
        folder = check_run_dir(argv[1], values.overwrite or only_serve)
        if not only_serve:
            with signals.obeyed():
                console.quiet_tensorflow()
                from export import exporter

                exporter.export_run(argv[1], make_options(), values.overwrite)
            logging.info("done: see %s", folder)
        if values.serve:
            if only_serve and not (folder / "web/index.html").is_file():
                raise ValueError(f"--serve needs an export with --web. Received: {folder}")
            run_file(argv[1], "export/web/index.html")
            from export import webpage

            webpage.serve(folder / "web", values.port)


def cli() -> None:
    """Runs the command."""
    define_flags()
    run(main, __doc__, positional="RUN_DIR")


if __name__ == "__main__":
    cli()
