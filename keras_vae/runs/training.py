"""`run`, which trains and measures the model of a `Config` and leaves a run directory."""

import dataclasses
import math
import pathlib
import platform
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from absl import logging

from keras_vae import callbacks
from keras_vae.data import Dataset, fingerprint
from keras_vae.engine import strategies
from keras_vae.engine.block_steps import bytes_ahead
from keras_vae.measure import evaluation
from keras_vae.models.vae import VAE
from keras_vae.runs import checkpoints, tables
from keras_vae.runs.build import build_model
from keras_vae.runs.config import Config
from keras_vae.runs.figures import draw_figures
from keras_vae.runs.optimizer import optimizer
from keras_vae.runs.run_dir import RunDir, make_run_dir, run_dir_of
from keras_vae.runs.safe_loading import load_vae
from keras_vae.utils import memory
from keras_vae.utils.arguments import NonNegativeFloat, checked
from keras_vae.utils.atomic_files import file_written_whole, mark
from keras_vae.utils.devices import has_instructions_for
from keras_vae.utils.json_files import write_json
from keras_vae.utils.version import __version__

# What `evaluation.evaluate` says of the test set begins with one of these names, and with "test_" in the report.
MEASURES = (
    *("elbo", "log_likelihood", "measure", "bits_per_dimension", "reconstruction_error"),
    *("token_accuracy", "exact_match", "nats_per_character", "bits_per_character", "perplexity_per_word"),
)


@checked
def run(
    config: Config,
    resume: bool = False,
    checkpoint_seconds: NonNegativeFloat = 30.0,
    on_begin: Callable[[pathlib.Path], None] = lambda run_dir: None,
) -> pathlib.Path | None:
    """Trains, measures and draws; returns the run directory, or None in a worker that is not the chief.

    The directory has config.json, metrics.csv (one line an epoch), model.keras, report.json, TensorBoard events and
    figures/, and until the run has ended checkpoints/. Of several workers only the chief writes, measures and draws.
    All of them must see the directory, because they continue from the same checkpoint.

    Args:
      config: the settings.
      resume: whether to continue an unfinished run of these settings in `config.run_dir`; it ends with the numbers of
        a run that was never interrupted.
      checkpoint_seconds: least number of seconds between two checkpoints; each is at the end of an epoch.
      on_begin: called with the run directory when it has been made.

    Raises:
      ValueError: if the data cannot be had or does not fit the model, or the directory exists or cannot be made.
    """
    strategy = strategies.make(config.strategy)  # with several workers this must come before the first operation
    keras.utils.set_random_seed(config.seed)
    if not strategies.is_chief(strategy):
        return _work(config, strategy)
    run_dir = run_dir_of(config, resume)
    dataset = run_dir.dataset(config)
    with strategy.scope():
        vae = build_model(config, dataset)
    if not (config.run_dir and run_dir.path.exists()):
        run_dir = make_run_dir(config)
    on_begin(run_dir.path)
    config = dataclasses.replace(config, run_dir=str(run_dir.path))
    with checkpoints.lock_run_dir(run_dir.path):
        # Another process may have ended the run before this one got the lock.
        run_dir.check_free(config, resume=True)
        vae, epochs_before = _begin(vae, config, dataset, run_dir)
        if epochs_before < config.epochs:
            fit(vae, config, dataset, run_dir, epochs_before, checkpoint_seconds)
        _end(vae, config, dataset, run_dir)
    return run_dir.path


def _work(config, strategy):
    """Trains as one of several workers, and leaves everything else to the chief."""
    run_dir = RunDir(config.run_dir)
    dataset = run_dir.dataset(config)
    with strategy.scope():
        vae = build_model(config, dataset)
    vae, epochs_before = _restored(vae, run_dir, chief=False)
    if epochs_before < config.epochs:
        fit(vae, config, dataset, None, epochs_before)


def _restored(vae, run_dir, chief=True):
    """Returns the model of the newest checkpoint and its number of epochs, or the model that came and 0."""
    strategy = vae.distribute_strategy
    with strategy.scope():
        restored, epochs = checkpoints.restore(run_dir.checkpoints, load_vae, rename=chief)
    if strategies.mean_of_workers(strategy, epochs) != epochs:
        raise ValueError(
            f"`run_dir` must be a folder that all workers share. Received: {run_dir.path}, here with a checkpoint "
            f"after {epochs} epochs and elsewhere after others"
        )
    return restored or vae, epochs


def _begin(vae, config, dataset, run_dir):
    """Leaves the folder as it was after the last checkpoint; returns the model to go on with and its epochs."""
    mark(run_dir.path)
    vae, epochs_before = _restored(vae, run_dir)
    if run_dir.config_file.exists():
        logging.info("going on with %s after %d of %d epochs", run_dir.path, epochs_before, config.epochs)
    else:
        write_json(run_dir.config_file, config.to_dict())
    if not run_dir.data_file.exists():
        write_json(run_dir.data_file, fingerprint.fingerprint(dataset))
    for path in (run_dir.metrics_file, run_dir.seconds_file):
        tables.cut(path, epochs_before)
    iterations = int(keras.ops.convert_to_numpy(vae.optimizer.iterations)) if epochs_before else 0
    checkpoints.cut_events(run_dir.events, epochs_before, iterations)

    if _lies_in(dataset, run_dir.path, config):
        logging.info("%s lies inside of the data set %s; a run is never read as data", run_dir.path, config.dataset)
    for sentence in config.without_effect():
        logging.warning("%s", sentence)
    if config.precision != "float32" and not has_instructions_for(config.precision):
        needed = "a GPU or AMX" if config.precision == "bfloat16" else "a GPU"
        logging.warning("%s without %s took longer than float32 where it was measured", config.precision, needed)
    logging.info("data: %s", dataset.describe())
    message = "model: %d parameters, KL %s; writing to %s"
    logging.info(message, _num_parameters(vae), vae.kl_method, run_dir.path)
    _log_memory(vae, config, dataset)
    return vae, epochs_before


def _log_memory(vae, config, dataset):
    if (so_far := memory.peak()) is not None:
        batch_bytes = 4 * config.batch_size * math.prod(dataset.event_shape)
        steps_ahead = bytes_ahead(batch_bytes, -(-len(dataset.train) // config.batch_size))
        # A gradient, two moments of the optimizer and, with --ema, an average of each parameter.
        states = 4 * _num_parameters(vae) * (4 if config.ema else 3)
        logging.info(
            "memory: at most %.2f GiB so far; steps made ahead, gradients and moments add about %.2f GiB, and the "
            "network what it computes for a batch",
            so_far / 2**30,
            (steps_ahead + states) / 2**30,
        )


def _lies_in(dataset: Dataset, path: pathlib.Path, config: Config) -> bool:
    """Returns whether a run directory lies in the folder of images that its data set was read from."""
    folder = pathlib.Path(config.dataset).expanduser()
    return dataset.source == f"images in {folder}" and path.resolve().is_relative_to(folder.resolve())


def _num_parameters(vae: VAE) -> int:
    return sum(int(np.prod(variable.shape)) for variable in vae.trainable_variables)


def _end(vae, config, dataset, run_dir):
    """Saves the trained model, draws the figures, measures, and writes the report."""
    with vae.distribute_strategy.scope():
        # `fit` has replaced the weights by their averages, if any, but a checkpoint may be from just before that.
        vae.optimizer.finalize_variable_values(vae.trainable_variables)
    parameters, kl_method = _num_parameters(vae), vae.kl_method
    history = tables.read(run_dir.metrics_file, config.epochs)
    train_seconds = tables.read(run_dir.seconds_file, config.epochs)["seconds"][-1]
    with file_written_whole(run_dir.model_file) as work:
        vae.save(work)
    if config.strategy != "none":
        vae = run_dir.model()  # without a strategy: the chief goes on alone
    draw_figures(vae, dataset, history, run_dir.figures)
    if vae.tokenizer is not None:
        _show_texts(run_dir, config.epochs)

    without_z = _measured_without_z(config, run_dir)
    message = "test set: %d importance samples for each of %d %s"
    logging.info(message, config.num_importance_samples, len(dataset.test), dataset.kind)
    measured = evaluation.evaluate(
        vae, dataset.test, config.num_importance_samples, config.seed, progress_file=run_dir.bounds_file
    )
    report = {
        **{f"test_{key}" if key == "kl" or key.startswith(MEASURES) else key: v for key, v in measured.items()},
        **without_z,
        "train_seconds": train_seconds,
        "images_per_second": len(history["loss"]) * len(dataset.train) / train_seconds,
        "parameters": parameters,
        "kl_method": kl_method,
        "data": dataset.describe(),
        "seed": config.seed,
        "peak_memory_gib": None if (peak := memory.peak()) is None else round(peak / 2**30, 3),
        "versions": versions(),
    }
    write_json(run_dir.report_file, report)
    checkpoints.remove(run_dir.checkpoints)
    run_dir.bounds_file.unlink(missing_ok=True)
    _log_report(report, vae.latent_dim)


def _show_texts(run_dir, epochs):
    """Writes the page of texts to the TensorBoard events too."""
    page = (run_dir.figures / "texts.txt").read_text(encoding="utf-8")
    with tf.summary.create_file_writer(str(run_dir.events / "texts")).as_default(step=epochs - 1):
        # TensorBoard takes Markdown, in which an indented line is shown as it is.
        tf.summary.text("texts", "".join(f"    {line}\n" for line in page.splitlines()))


def _measured_without_z(config, run_dir):
    """Returns what the report says of the same model without z, which is trained here unless that is done."""
    if not config.baseline:
        return {}
    baseline = RunDir(run_dir.baseline)
    if not baseline.report:
        logging.info("the same model without z, trained as long, in %s", baseline.path)
        run(config.model_without_z(str(baseline.path)), resume=True)
    report, names = baseline.report, ("log_likelihood", "log_likelihood_standard_error")
    return {f"test_{name}_without_z": report[f"test_{name}"] for name in names}


def _log_report(report, latent_dim):
    measured = {key.removeprefix("test_"): value for key, value in report.items()}
    if "test_elbo" in report:
        logging.info(
            "test ELBO %.2f nats, log likelihood %.2f +- %.2f nats (%s)",
            *(report[f"test_{key}"] for key in ("elbo", "log_likelihood", "log_likelihood_standard_error", "measure")),
        )
    if "nats_per_character" in measured:
        logging.info("test texts: %s", evaluation.describe_rates(measured))
    if "test_log_likelihood_without_z" in report:
        values = (report[f"test_{key}_without_z"] for key in ("log_likelihood", "log_likelihood_standard_error"))
        logging.info("the same model without z: test log likelihood %.2f +- %.2f nats", *values)
    logging.info(
        "test %s, %s of %d units active, %.0f s of training%s",
        evaluation.describe_reconstruction(measured),
        evaluation.describe_active_units(report),
        latent_dim,
        report["train_seconds"],
        "" if report["peak_memory_gib"] is None else f", {report['peak_memory_gib']:.2f} GiB of memory at most",
    )


def versions() -> dict:
    """Returns the versions of what the numbers depend on."""
    return {
        "keras_vae": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "tensorflow_probability": tfp.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def fit(
    vae: VAE,
    config: Config,
    dataset: Dataset,
    run_dir: RunDir | None,
    initial_epoch: int = 0,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Trains the model, compiled by this or by an interrupted run.

    Writes metrics.csv, seconds.csv, TensorBoard events and checkpoints, or nothing if `run_dir` is None.

    Raises:
      ValueError: if the training diverges; it names the term of the loss that did.
    """
    if not initial_epoch:
        with vae.distribute_strategy.scope():
            vae.compile(optimizer(config, len(dataset.train)))
    guard, writers = callbacks.NaNGuard(), []
    if run_dir is not None:
        before = tables.read(run_dir.seconds_file, initial_epoch)["seconds"][-1] if initial_epoch else 0.0
        writers = [
            keras.callbacks.CSVLogger(run_dir.metrics_file, append=True),
            keras.callbacks.TensorBoard(run_dir.events, write_graph=False),
            checkpoints.Checkpoints(run_dir, checkpoint_seconds, before),
        ]
        if config.image_grid_epochs:
            folders = run_dir.figures / "epochs", run_dir.events / "images"
            writers.append(callbacks.ImageGrids(dataset.validation[:20], *folders, every=config.image_grid_epochs))
    vae.fit(
        dataset.train,
        validation_data=dataset.validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        initial_epoch=initial_epoch,
        # The guard comes last, because it restores the weights: `Checkpoints` must first see that they diverged.
        callbacks=[callbacks.AveragedWeights(), *writers, guard],
        verbose="auto" if run_dir is not None else 0,
    )
    if guard.term is not None:
        raise ValueError(
            f"{guard.message}. Lower --learning_rate ({config.learning_rate:g}); see metrics.csv of the run"
        )
