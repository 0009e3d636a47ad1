"""Trains a variational autoencoder: `python train.py --dataset=mnist`.

It writes a run directory with the model, its test log likelihood in nats, figures, and a decoder for TensorFlow Lite.
"""

import os
import pathlib
from typing import Any

from absl import flags, logging

from keras_vae.runs import presets
from keras_vae.runs.config import FIELDS, Config
from keras_vae.runs.options import expected
from keras_vae.runs.run_dir import RunDir, run_dir_of
from keras_vae.utils import console, signals
from keras_vae.utils.flags import run
from keras_vae.utils.own_modules import check_own


def define_flags() -> None:
    """Defines one flag for each field of `Config`, and --preset."""
    flags.DEFINE_enum(
        "preset",
        "auto",
        ["auto", *presets.PRESETS],
        "settings to start from, which other flags override; 'auto' is 'default', or 'sentences' for texts",
    )
    for name, field in FIELDS.items():
        default: Any = field.default
        text, choices = field.metadata["help"], field.metadata["choices"]
        if field.metadata["low"] is not None:
            text = f"{text}; {expected(field)}"
        if choices:
            flags.DEFINE_enum(name, default, list(choices), text)
        elif isinstance(default, bool):
            flags.DEFINE_bool(name, default, text)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text)
        elif isinstance(default, tuple):
            flags.DEFINE_list(name, [str(v) for v in default], text)
        else:
            flags.DEFINE_string(name, default, text)

    flags.DEFINE_bool(
        "resume",
        True,
        "go on with the run in --run_dir from its last checkpoint, if it has the same settings and did not end",
    )


def help_text() -> str:
    """Returns the text that --help prints above the flags."""
    lines = "\n".join(f"  {name}: {preset.description}" for name, preset in presets.PRESETS.items())
    return f"{__doc__}\nPresets:\n{lines}"


def make_config() -> Config:
    """Returns the settings of the preset, changed by every flag on the command line."""
    given: dict[str, Any] = {name: flags.FLAGS[name].value for name in FIELDS if flags.FLAGS[name].present}
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = tuple(_integer(name, item) for item in value)
    if "run_dir" in given:
        # A shell only expands ~ at the beginning of a word, and here it comes after --run_dir=.
        given["run_dir"] = os.path.expanduser(given["run_dir"])
    names = flags.FLAGS
    preset = names.preset
    if preset == "auto":
        preset = presets.preset_of(names.dataset, names.data_dir, names.text_column)
    return Config(**{**presets.PRESETS[preset].settings, **given})


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"`{name}` must be integers separated by commas. Received: {text!r}") from None


def main(_: list[str]) -> None:
    """Trains a model and exports it."""
    with console.one_line_errors():
        check_own("export")
    from export.errors import ExportError

    go_on = ""

    def begun(run_dir):
        nonlocal go_on
        go_on = f". The same command with --run_dir={run_dir} goes on from the last checkpoint, if there is one"

    with (
        console.one_line_errors(ExportError, hint=lambda: go_on),
        signals.obeyed(lambda: console.escaped(go_on)),
        console.whole_lines(),
    ):
        config, resume = make_config(), flags.FLAGS.resume
        awaits_export = False
        if config.strategy != "multi_worker":  # with several workers the chief checks, when all of them are there
            awaits_export = resume and bool(config.run_dir) and RunDir(config.run_dir).awaits_export(config)
            if not awaits_export:
                run_dir_of(config, resume)  # a folder that exists is an error before TensorFlow is imported
        logging.set_verbosity(logging.INFO)
        console.quiet_tensorflow(config.strategy != "multi_worker")
        from export import exporter
        from keras_vae.runs import training

        run_dir = pathlib.Path(config.run_dir) if awaits_export else training.run(config, resume, on_begin=begun)
        if run_dir is None:
            logging.info("done: the chief measures and exports")
            return
        go_on = f". The run has ended; `keras-vae export {run_dir}` exports it"
        if config.export:
            exporter.export_run(run_dir)
    logging.info("done: see %s", run_dir)


def cli() -> None:
    """Runs the command."""
    define_flags()
    run(main, help_text())


if __name__ == "__main__":
    cli()
