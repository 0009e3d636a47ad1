"""One training run: a `Config` in, a run directory out."""

import dataclasses
import pathlib
from collections.abc import Callable

import keras
import numpy as np
from absl import logging

from keras_vae import callbacks
from keras_vae.data import Dataset, fingerprint
from keras_vae.engine import strategies
from keras_vae.measure import evaluation
from keras_vae.models.vae import VAE
from keras_vae.runs import checkpoints, tables
from keras_vae.runs.build import build_model
from keras_vae.runs.config import Config
from keras_vae.runs.figures import draw_figures
from keras_vae.runs.optimizer import learning_rate
from keras_vae.runs.run_data import DATA_FILE, lies_in, load_data_of
from keras_vae.runs.run_data import load_data as load_data
from keras_vae.runs.run_dir import _load, load_model, make_run_dir, versions, write_json
from keras_vae.utils.arguments import NonNegativeFloat, checked
from keras_vae.utils.atomic_files import file_written_whole, mark

MEASURES = ("elbo", "log_likelihood", "measure", "bits_per_dimension", "reconstruction_error")


@checked
def run(
    config: Config,
    resume: bool = False,
    checkpoint_seconds: NonNegativeFloat = 30.0,
    on_begin: Callable[[pathlib.Path], None] = lambda run_dir: None,
) -> pathlib.Path | None:
    """Trains, measures and draws; returns the run directory, or None in a worker that is not the chief.

    It holds config.json, metrics.csv (one line an epoch), model.keras, report.json, TensorBoard events and figures/,
    and checkpoints/ until it has ended. Of several workers the chief alone writes, measures and draws; all of them must
    see the directory, since they go on from the same checkpoint.

    Args:
      config: the settings.
      resume: whether to go on with a run of these settings in `config.run_dir` that did not end; it ends with the
        numbers of one that was never interrupted.
      checkpoint_seconds: how far apart two checkpoints are at least; each is at the end of an epoch.
      on_begin: called with the run directory when it is there.

    Raises:
      ValueError: if the data cannot be had or does not fit the model, or the directory exists or cannot be made.
    """
    strategy = strategies.make(config.strategy)  # several workers: before the first operation
    keras.utils.set_random_seed(config.seed)
    if not strategies.is_chief(strategy):
        return _work(config, strategy)
    run_dir = config.run_folder(resume)
    dataset = load_data_of(run_dir, config)
    with strategy.scope():
        vae = build_model(config, dataset)
    if not (config.run_dir and run_dir.exists()):
        run_dir = make_run_dir([run_dir] if config.run_dir else config.default_folders())
    on_begin(run_dir)
    config = dataclasses.replace(config, run_dir=str(run_dir))
    with checkpoints.lock_run_dir(run_dir):
        # Another process may have ended the run since.
        config.run_folder(resume=True)
        return _run(vae, config, dataset, run_dir, checkpoint_seconds)


def _work(config, strategy):
    """Trains as one of several workers, and leaves all else to the chief."""
    dataset = load_data_of(pathlib.Path(config.run_dir), config)
    with strategy.scope():
        vae = build_model(config, dataset)
    vae, epochs_before = _restored(vae, pathlib.Path(config.run_dir), chief=False)
    if epochs_before < config.epochs:
        fit(vae, config, dataset, None, epochs_before)


def _restored(vae, run_dir, chief=True):
    strategy = vae.distribute_strategy
    with strategy.scope():
        restored, epochs = checkpoints.restore(run_dir / "checkpoints", _load, rename=chief)
    if strategies.mean_of_workers(strategy, epochs) != epochs:
        raise ValueError(
            f"`run_dir` must be a folder that all workers share. Received: {run_dir}, here with a checkpoint after "
            f"{epochs} epochs and elsewhere after others"
        )
    return restored or vae, epochs


def _run(vae, config, dataset, run_dir, checkpoint_seconds):
    mark(run_dir)
    vae, epochs_before = _restored(vae, run_dir)
    if (run_dir / "config.json").exists():
        logging.info("going on with %s after %d of %d epochs", run_dir, epochs_before, config.epochs)
    else:
        write_json(run_dir / "config.json", config.to_dict())
    if not (run_dir / DATA_FILE).exists():
        write_json(run_dir / DATA_FILE, fingerprint.fingerprint(dataset))
    for name in ("metrics.csv", "seconds.csv"):
        tables.cut(run_dir / name, epochs_before)
    iterations = int(keras.ops.convert_to_numpy(vae.optimizer.iterations)) if epochs_before else 0
    checkpoints.cut_events(run_dir / "tensorboard", epochs_before, iterations)
    if lies_in(dataset, run_dir, config):
        logging.info("%s lies inside of the data set %s; a run is never read as data", run_dir, config.dataset)
    for sentence in config.without_effect():
        logging.warning("%s", sentence)
    kl_method, parameters = vae.kl_method, sum(int(np.prod(v.shape)) for v in vae.trainable_variables)
    logging.info("data: %s", dataset.describe())
    logging.info("model: %d parameters, KL %s; writing to %s", parameters, kl_method, run_dir)

    if epochs_before < config.epochs:
        fit(vae, config, dataset, run_dir, epochs_before, checkpoint_seconds)
    history = tables.read(run_dir / "metrics.csv", config.epochs)
    train_seconds = tables.read(run_dir / "seconds.csv", config.epochs)["seconds"][-1]
    with file_written_whole(run_dir / "model.keras") as work:
        vae.save(work)
    if config.strategy != "none":
        vae = load_model(run_dir)  # without a strategy: the chief goes on alone
    draw_figures(vae, dataset, history, run_dir / "figures")

    logging.info(
        "test set: %d importance samples for each of %d images", config.num_importance_samples, len(dataset.test)
    )
    measured = evaluation.evaluate(vae, dataset.test, config.num_importance_samples, config.seed)
    report = {
        **{f"test_{key}" if key.startswith(MEASURES) else key: value for key, value in measured.items()},
        "train_seconds": train_seconds,
        "images_per_second": len(history["loss"]) * len(dataset.train) / train_seconds,
        "parameters": parameters,
        "kl_method": kl_method,
        "data": dataset.describe(),
        "seed": config.seed,
        "versions": versions(),
    }
    write_json(run_dir / "report.json", report)
    checkpoints.remove(run_dir)
    if "test_elbo" in report:
        logging.info(
            "test ELBO %.2f nats, log likelihood %.2f +- %.2f nats (%s)",
            *(report[f"test_{key}"] for key in ("elbo", "log_likelihood", "log_likelihood_standard_error", "measure")),
        )
    logging.info(
        "test reconstruction error %.2f, %s of %d units active, %.0f s of training",
        report["test_reconstruction_error"],
        evaluation.describe_active_units(report),
        vae.latent_dim,
        train_seconds,
    )
    return run_dir


def fit(
    vae: VAE,
    config: Config,
    dataset: Dataset,
    run_dir: pathlib.Path | None,
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
            vae.compile(keras.optimizers.Adam(learning_rate(config, len(dataset.train)), epsilon=config.epsilon))
    guard, writers = callbacks.NaNGuard(), []
    if run_dir is not None:
        before = tables.read(run_dir / "seconds.csv", initial_epoch)["seconds"][-1] if initial_epoch else 0.0
        writers = [
            keras.callbacks.CSVLogger(run_dir / "metrics.csv", append=True),
            keras.callbacks.TensorBoard(run_dir / "tensorboard", write_graph=False),
            checkpoints.Checkpoints(run_dir, checkpoint_seconds, before),
        ]
        if config.image_grid_epochs:
            folders = run_dir / "figures" / "epochs", run_dir / "tensorboard" / "images"
            writers.append(callbacks.ImageGrids(dataset.validation[:20], *folders, every=config.image_grid_epochs))
    vae.fit(
        dataset.train,
        validation_data=dataset.validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        initial_epoch=initial_epoch,
        callbacks=[*writers, guard],  # the guard last: no checkpoint of an epoch that diverged
        verbose="auto" if run_dir is not None else 0,
    )
    if guard.term is not None:
        raise ValueError(
            f"{guard.message}. Lower --learning_rate ({config.learning_rate:g}); see metrics.csv of the run"
        )
