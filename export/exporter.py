"""A run directory -> verified files in RUN_DIR/export."""

import json
import pathlib

import numpy as np
from absl import logging

from export import runtimes, tflite, verification
from export.model_card import model_card, size_in_bytes
from export.paths import check_run_dir, check_target
from export.signatures import Signatures
from export.verification import ExportError
from keras_vae import training
from keras_vae.folders import written_whole
from keras_vae.vae import VAE

__all__ = ["ExportError", "export_model", "export_run"]

SAVED_MODEL_SIGNATURES = ("encode", "decode", "reconstruct", "sample")
DECODER_SIGNATURES = ("decode", "sample")
# One code a call: what an app with sliders needs, and the shape every delegate takes.
DECODE_BATCH = 1


def export_run(run_dir, num_samples: int = 16, overwrite: bool = False) -> pathlib.Path:
    """Exports the model of a run directory to its folder `export`; returns that folder.

    Raises:
      ValueError: if the run directory holds no model that can be loaded, or `export` exists and `overwrite` is False.
      ExportError: if a file does not do what the model does; then nothing is left behind.
    """
    folder = check_run_dir(run_dir, overwrite)
    return export_model(training.load_model(run_dir), folder, num_samples, _report(folder.parent), overwrite)


def _report(run_dir) -> dict:
    """Returns report.json of a run, empty if there is none (a model saved by other means)."""
    path = run_dir / "report.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}. Remove it, or run the training again") from error


def export_model(vae: VAE, folder, num_samples: int = 16, report: dict | None = None, overwrite: bool = False):
    """Writes `saved_model`, `decoder.tflite` and `model_card.json` to `folder`; errors as in `export_run`."""
    folder = check_target(folder, overwrite)
    half = sorted({layer.name for layer in vae._flatten_layers() if layer.compute_dtype not in (None, "float32")})
    if half:
        raise ValueError(
            f"`vae` must compute in float32 to be exported. Received: half precision in {half[:3]}. "
            "Load its weights into a model made under the float32 policy"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"the export folder cannot be created. Received: {folder} ({error.strerror})") from error
    with written_whole(folder) as work:
        files = _write_and_verify(vae, work, num_samples)
        card = model_card(vae, files, num_samples, DECODE_BATCH, report or {})
        (work / "model_card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return folder


def _write_and_verify(vae, folder, num_samples) -> dict:
    signatures = Signatures(vae, num_samples)
    x = np.random.default_rng(0).random((64, *vae.event_shape), np.float32)

    saved_model = folder / "saved_model"
    signatures.save(saved_model, SAVED_MODEL_SIGNATURES, batch_size=None)
    run = runtimes.saved_model_runner(saved_model)
    files = {
        "saved_model": {
            "bytes": size_in_bytes(saved_model),
            "max_difference_decode": verification.check_decode(run, vae, verification.NUM_CHECKS),
            "max_difference_sample": verification.check_sample(run, vae, num_samples),
            "max_difference_encode": verification.check_encode(run, vae, x),
        }
    }
    decoder = folder / "decoder.tflite"
    decoder.write_bytes(tflite.convert(signatures, DECODER_SIGNATURES, DECODE_BATCH))
    run = runtimes.litert_runner(decoder)
    try:
        files["decoder.tflite"] = {
            "bytes": size_in_bytes(decoder),
            "max_difference_decode": verification.check_decode(run, vae, DECODE_BATCH),
            "max_difference_sample": verification.check_sample(run, vae, num_samples),
        }
    except RuntimeError as error:
        raise ExportError(f"decoder.tflite does not run in LiteRT: {str(error).splitlines()[0]}") from error
    for name, figures in files.items():
        logging.info(
            "%s: %.2f MB, differs from Keras by at most %.1g in decode and %.1g in sample (%d codes, %d seeds)",
            name,
            figures["bytes"] / 1e6,
            figures["max_difference_decode"],
            figures["max_difference_sample"],
            verification.NUM_CHECKS,
            verification.NUM_CHECKS,
        )
    return files
