"""`export_run` and `export_model`, which write the files of an export and verify each of them."""

import contextlib
import dataclasses
import hashlib
import pathlib
from typing import Any

import numpy as np
from absl import logging

from export import litertjs, measuring, onnx_format, precision, runtimes, tflite, variants, vocabulary, webpage
from export.cost import NUM_IMAGES, Cost
from export.errors import ExportError
from export.model_card import finite, model_card, size_in_bytes
from export.packing import pack
from export.paths import check_run_dir, check_target
from export.signatures import FILES, Signatures, files_of
from export.verification import TOLERANCE, Parity
from keras_vae.data import Dataset
from keras_vae.engine.precision import precision_of
from keras_vae.models.vae import VAE
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils import checks
from keras_vae.utils.arguments import NonNegativeFloat, Path, PositiveInt, checked
from keras_vae.utils.atomic_files import written_whole
from keras_vae.utils.devices import exact_products
from keras_vae.utils.json_files import write_json

__all__ = ["ExportError", "Options", "export_model", "export_run"]

# An export fails if one of these signatures cannot be converted; others are left out with a reason.
REQUIRED = ("decode", "sample")
# The latency and memory of a file are measured with this signature.
TIMED = {"decoder": "decode", "encoder": "encode", "autoencoder": "reconstruct"}


@checked
@dataclasses.dataclass(frozen=True)
class Options:
    """The choice of what to export, and of how much it may cost.

    Attributes:
      num_samples: pictures in one call of `sample`, a positive integer.
      batch_size: static batch size of the TFLite files, a positive integer; None accepts any batch.
      files: which TFLite files to write, names of `export.signatures.FILES`.
      variants: which variants of them to write, names of `export.variants.VARIANTS`. If there are others than float32,
        all are measured.
      max_nats: a variant that costs more nats an example than this is reported and not written; a number of at least 0.
      onnx: whether to write the decoder as ONNX too.
      web: whether to write a page that draws with the decoder, in the folder `web`.
      litertjs: folder of an unpacked npm package @litertjs/core for the page; None downloads it from npm once.
    """

    num_samples: PositiveInt = 16
    batch_size: PositiveInt | None = 1
    files: tuple[str, ...] = tuple(FILES)
    variants: tuple[str, ...] = ("float32",)
    max_nats: NonNegativeFloat = 0.5
    onnx: bool = False
    web: bool = False
    litertjs: Path | None = None

    def __post_init__(self) -> None:
        checks.positive_int("num_samples", self.num_samples)
        if self.batch_size is not None:
            checks.positive_int("batch_size", self.batch_size)
        for name in self.files:
            checks.one_of("files", name, tuple(FILES))
        object.__setattr__(self, "variants", variants.check_variants(self.variants))
        checks.nonnegative_float("max_nats", self.max_nats)
        if any(name.endswith("int8") for name in self.variants):
            variants.quantizer_module()  # a missing package is an error before the work begins
        if self.onnx:
            onnx_format.check_installed()
        if self.web and (self.batch_size is None or "decoder" not in self.files):
            raise ValueError(
                "`web` needs a decoder with a static batch size, which is all that LiteRT.js runs. "
                f"Received: files={self.files}, batch_size={self.batch_size}"
            )

    @property
    def measured(self) -> bool:
        """Whether sizes, latencies and costs in nats are to be measured."""
        return len(self.variants) > 1


@checked
def export_run(run_dir: Path, options: Options | None = None, overwrite: bool = False) -> pathlib.Path:
    """Exports the model of a run directory to its folder `export`; returns that folder.

    Raises:
      ValueError: if the run directory holds no model that can be loaded, or `export` exists and `overwrite` is False.
      ExportError: if a file does not compute what the model computes; then nothing is left behind.
    """
    options = options or Options()
    folder = check_run_dir(run_dir, overwrite)
    run = RunDir(run_dir)
    vae = run.model()
    dataset = _dataset(run) if options.measured or precision_of(vae) != "float32" else None
    return export_model(vae, folder, options, run.report, overwrite, dataset)


def _dataset(run: RunDir) -> Dataset | None:
    try:
        return run.dataset()
    except ValueError as error:
        logging.warning("the files are measured on draws of the model itself, not on its test set: %s", error)
        return None


@checked
def export_model(
    vae: VAE,
    folder: Path,
    options: Options | None = None,
    report: dict | None = None,
    overwrite: bool = False,
    dataset: Dataset | None = None,
) -> pathlib.Path:
    """Writes `saved_model`, the TFLite files and `model_card.json` to `folder`; raises as `export_run` does.

    A model of texts has a `vocabulary.json` beside the card. A model that computes in half precision or in float64
    is exported as one of the same weights in float32; the card says what that changes, in nats.

    Args:
      vae: the model.
      folder: folder to write; it only appears when all files in it are verified.
      options: what to export; None is the default `Options`.
      report: report.json of the run, for the card.
      overwrite: whether `folder` may exist; it is replaced only by a verified export.
      dataset: data set whose test examples measure the variants and whose training examples calibrate them; None takes
        draws of the model itself.
    """
    options = options or Options()
    folder = check_target(folder, overwrite)
    if options.web:
        litertjs.files(options.litertjs)  # a missing runtime is an error before the work begins
    with contextlib.ExitStack() as stack:
        stack.enter_context(exact_products())  # a GPU would otherwise differ from the files by more than they may
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            work = stack.enter_context(written_whole(folder))
        except OSError as error:
            raise ValueError(f"the export folder cannot be created. Received: {folder} ({error.strerror})") from error
        export = _Export(vae, work, options, dataset)
        export.saved_model()
        for file in options.files:
            export.tflite(file)
        if options.onnx:
            export.files |= onnx_format.write(export.vae, work, options.num_samples)
        found = export.files, export.left_out, export.precision
        card = model_card(export.vae, export.signatures, *found, options, report or {})
        write_json(work / "model_card.json", finite(card))
        vocabulary.write(vae, work)
        if options.web:
            webpage.write_site(work, work / "web", options.litertjs)
    return folder


class _Export:
    """One export in progress: it writes files, verifies and measures them, and collects the results in `files`."""

    def __init__(self, vae: VAE, folder: pathlib.Path, options: Options, dataset: Dataset | None) -> None:
        self.vae, self.folder, self.options = vae, folder, options
        self.files, self.left_out, self.precision = {}, {}, {"trained": precision_of(vae)}
        self._measured_on = "draws of the model" if dataset is None else f"test {dataset.test.kind} of {dataset.name}"
        test = None if dataset is None else dataset.test
        if precision_of(vae) != "float32":
            self.vae, self.precision = precision.float32_of(vae, self._examples(test, seed=11), self._measured_on)
        self.signatures, self._names = Signatures(self.vae, options.num_samples), files_of(self.vae)
        if options.measured:
            self._cost = Cost(self.vae, self.signatures, *self._examples(test, seed=11))
            self._train = self._examples(None if dataset is None else dataset.train, seed=13)

    def _examples(self, images, seed):
        """Returns up to NUM_IMAGES images and their conditions as arrays."""
        classes = None if self.vae.condition_dim is None else np.arange(NUM_IMAGES) % self.vae.condition_dim
        if images is None:
            x = self.vae.sample(NUM_IMAGES, seed=seed, output="sample", condition=classes).numpy()
        else:
            part = images[:NUM_IMAGES]
            x, classes = part.numpy(), None if classes is None else part.labels
        return x.astype(self.vae.event_dtype), None if classes is None else self.vae.as_condition(classes).numpy()

    def saved_model(self):
        """Writes the SavedModel with all signatures and any batch size."""
        path = self.folder / "saved_model"
        names = [name for names in self._names.values() for name in names if name not in self._without_density()]
        self.signatures.save(path, names, None)
        parity = self._parity(runtimes.saved_model_runner(path), TOLERANCE)
        figures = {name: parity.check(name) for name in names}
        self.files["saved_model"] = {"bytes": size_in_bytes(path), "signatures": figures}
        _log("saved_model", self.files["saved_model"])

    def _without_density(self) -> dict:
        if not self.vae.encoder.posterior.has_density:
            return {"score": f"the posterior {type(self.vae.encoder.posterior).__name__} has no density"}
        return {}

    def tflite(self, file: str) -> None:
        """Writes a TFLite file in all variants that pass verification and cost no more than allowed."""
        reasons = self._without_density()
        names = tuple(name for name in self._names[file] if name not in reasons)
        content, names, failed = tflite.convert_what_can_be(
            self.signatures, names, self.options.batch_size, required=REQUIRED
        )
        reasons = {name: why for name, why in {**reasons, **failed}.items() if name in self._names[file]}
        for name, why in reasons.items():
            logging.warning("%s.tflite is without the signature `%s`: %s", file, name, why)
        self.left_out |= {f"{file}.tflite: {name}": why for name, why in reasons.items()}
        for variant in self.options.variants:
            suffix = "" if variant == "float32" else f"_{variant}"
            for scheme in variants.INT8_SCHEMES if variant == "int8" else (variant,):
                written = self._variant(file, names, scheme, content, f"{file}{suffix}.tflite")
                if written and variant == "int8":
                    break

    def _variant(self, file: Any, names: Any, scheme: Any, content: Any, target: Any) -> bool:
        """Writes and measures one variant of a file; returns whether it passed and was kept."""
        path, exact = self.folder / target, scheme == "float32"
        try:
            figures = self._figures(file, names, scheme, content, path)
        except Exception as error:  # quantizer and runtime raise errors of many classes
            if exact:
                raise
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            figures = {"bytes": 0, "scheme": scheme, "signatures": {}, "not_written": f"it cannot be made: {why}"}
        if not exact and "not_written" not in figures and (reason := self._reason_against(figures)):
            figures["not_written"] = reason
        _log(target, figures)
        if "not_written" in figures:
            path.unlink(missing_ok=True)
            target = f"{target} ({scheme}, not written)"
        self.files[target] = figures
        return "not_written" not in figures

    def _figures(self, file: Any, names: Any, scheme: Any, content: Any, path: Any) -> dict:
        """Writes one variant to `path`, runs it, and returns its numbers for the card."""
        packed = self._convert(file, names, scheme, content)
        path.write_bytes(packed)
        run = runtimes.litert_runner(path)
        figures = {"bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest(), "scheme": scheme}
        try:
            parity = self._parity(run, TOLERANCE if scheme == "float32" else None)
            figures["signatures"] = {name: parity.check(name) for name in names}
            if self.options.measured:
                cost = self._cost.of(file, run, names, self.options.batch_size or 1)
                figures |= {"measured_on": self._measured_on, **cost, **measuring.measure(path, TIMED[file])}
        except RuntimeError as error:
            raise ExportError(f"{path.name} does not run in LiteRT: {str(error).splitlines()[0]}") from error
        return figures

    def _convert(self, file: Any, names: Any, scheme: Any, content: Any) -> bytes:
        if scheme == "float32":
            return pack(content)
        scopes = (self.vae.encoder.name, self.vae.decoder.name)
        if scheme == "float16":
            return variants.to_float16(content, scopes)
        calibration = {}
        if scheme == "full_int8":
            batch_size = self.options.batch_size or 1
            calibration = variants.calibration_data(self.signatures, names, batch_size, *self._representative())
        return variants.quantize(content, scheme, scopes, calibration)

    def _representative(self):
        """Returns codes, images and conditions for calibration; half of the codes are of images, half of the prior."""
        x, condition = self._train
        of_images = self.vae.encode(x, condition).sample(seed=(0, 1)).numpy()
        of_prior = self.vae.sample_latent(len(x), seed=12, condition=condition)[0].numpy()
        codes = np.where(np.arange(len(x))[:, None] % 2, of_images, of_prior)
        return codes[: variants.NUM_CALIBRATION], x[: variants.NUM_CALIBRATION], condition

    def _reason_against(self, figures: Any) -> str | None:
        changes = [value for name, value in figures.items() if name in ("elbo_change", "log_likelihood_change")]
        if not changes:
            return "its cost in nats cannot be measured: the signature that shows it is left out"
        cost = -min(changes)
        if not cost <= self.options.max_nats:
            return f"it costs {cost:.2f} nats an example, more than {self.options.max_nats:g}"
        return None

    def _parity(self, run: Any, tolerance: Any) -> Parity:
        batch_size = self.options.batch_size or 16
        return Parity(run, self.vae, self.options.num_samples, batch_size, tolerance)


def _log(name, figures):
    parts = [f"{figures['bytes'] / 1e6:.2f} MB"]
    for key, parity in figures["signatures"].items():
        if "max_difference" in parity:
            parts.append(f"{key} within {parity['max_difference']:.1g}")
        if parity.get("other_texts"):
            parts.append(f"{key} with {parity['other_texts']} other texts")
    if "elbo_change" in figures:
        parts.append(f"ELBO {figures['elbo_change']:+.3f} nats")
    if "latency_ms" in figures:
        parts.append(f"{figures['latency_ms']['1']:.2f} ms")
    reason = figures.get("not_written")
    logging.info("%s: %s%s", name, ", ".join(parts), f". Not written: {reason}" if reason else "")
