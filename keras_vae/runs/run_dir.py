"""A run directory: what a run leaves in it, and who may write there.

Importing this file imports neither Keras nor TensorFlow, so that the command line answers at once; `model` and
`dataset` do.
"""

import itertools
import os
import pathlib
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_vae.runs.config import Config
from keras_vae.utils.json_files import check_links, read_json, run_file
from keras_vae.utils.text import written

if TYPE_CHECKING:
    from keras_vae.data import Dataset
    from keras_vae.models import VAE

# A run may go on with other values of these than it began with.
_FREE_ON_RESUME = ("run_dir", "cache_dir", "export", "strategy", "image_grid_epochs")


class RunDir:
    """A run directory; nothing is read of it before it is asked for.

    Args:
      path: the folder; need not exist.

    Attributes:
      path: the folder.
      config_file: the settings of the run.
      data_file: the fingerprint of its data.
      metrics_file: a line of metrics for each epoch.
      seconds_file: the seconds of training after each epoch.
      model_file: the trained model.
      report_file: what was measured; it is written last.
      bounds_file: what a run has measured of its log likelihood so far, until that is done.
      evaluation_bounds_file: the same of `keras-vae evaluate`.
      checkpoints: the folder of the checkpoints, until the run has ended.
      figures: the folder of the figures.
      events: the folder of the TensorBoard events.
      export: the folder of the exported files.
      baseline: the folder of the run of the same model without z, if there is one.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        if not isinstance(path, str | os.PathLike) or path == "":
            raise ValueError(f"`run_dir` must be a path. Received: run_dir={written(path)}")
        self.path = pathlib.Path(path)
        self.config_file = self.path / "config.json"
        self.data_file = self.path / "data.json"
        self.metrics_file = self.path / "metrics.csv"
        self.seconds_file = self.path / "seconds.csv"
        self.model_file = self.path / "model.keras"
        self.report_file = self.path / "report.json"
        self.bounds_file = self.path / "bounds.npz"
        self.evaluation_bounds_file = self.path / "evaluation-bounds.npz"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        self.events = self.path / "tensorboard"
        self.export = self.path / "export"
        self.baseline = self.path / "baseline"

    @property
    def config(self) -> Config:
        """The settings; raises `ValueError` if they are missing or damaged."""
        try:
            return Config.from_dict(read_json(self.config_file))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.config_file} is missing or damaged: {error}") from error

    @property
    def report(self) -> dict:
        """What was measured; empty before the end of the run. Raises `ValueError` if it is damaged."""
        try:
            return read_json(self.report_file) if self.report_file.exists() else {}
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.report_file} is damaged: {error}. Remove it, or run the training again") from error

    def model(self, links: bool = False) -> "VAE":
        """Loads the trained model in Keras's safe mode.

        Args:
          links: whether the file may be a link that leads out of the directory, as in the cache of the Hub.

        Raises:
          ValueError: if there is none that can be loaded; it names the cause.
        """
        from keras_vae.runs.safe_loading import load_vae

        if not os.path.lexists(self.model_file):
            raise ValueError(f"`run_dir` must hold a model.keras. Received: {self.path}")
        return load_vae(self.model_file if links else run_file(self.path, self.model_file.name))

    def dataset(self, config: Config | None = None) -> "Dataset":
        """Returns the data of the run, for which they are as they were when it began, if it has.

        Args:
          config: the settings; None are those of the directory.

        Raises:
          ValueError: if the data cannot be had, or have changed; it names what has.
        """
        from keras_vae.data import fingerprint
        from keras_vae.runs.build import load_data

        dataset = load_data(config or self.config)
        if self.data_file.exists():  # runs of earlier versions have none
            try:
                before = read_json(self.data_file)
            except (OSError, ValueError) as error:
                raise ValueError(f"{self.data_file} is damaged: {error}") from error
            fingerprint.check_unchanged(dataset, before, self.path)
        return dataset

    def awaits_export(self, config: Config) -> bool:
        """Returns whether it holds a run of these settings that ended, and was to be exported and is not.

        Raises:
          ValueError: if it is a run of other settings.
        """
        if not (self.report_file.exists() and config.export) or self.export.exists():
            return False
        self._check_same_settings(config)
        return True

    def check_free(self, config: Config, resume: bool = False) -> None:
        """Raises `ValueError` unless a run of these settings may begin or, with `resume`, go on here.

        It may not if the folder exists otherwise (nothing is ever overwritten) or cannot be created.
        """
        if self.path.exists():
            # A run may have been killed before it wrote anything.
            empty = self.path.is_dir() and all(path.name.startswith(".") for path in self.path.iterdir())
            if not resume or not (empty or self.config_file.is_file()):
                raise ValueError(f"`run_dir` must not exist: results are never overwritten. Received: {self.path}")
            if not empty:
                self._check_resumable(config)
            check_links(self.path)
        parent = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise ValueError(f"`run_dir` cannot be created: {parent} is no folder to write to. Received: {self.path}")

    def _check_resumable(self, config):
        if self.report_file.exists():
            export = "" if self.export.exists() else f"; `keras-vae export {self.path}` exports it"
            raise ValueError(
                f"`run_dir` must not hold a run that has ended: nothing is overwritten. Received: {self.path}{export}"
            )
        self._check_same_settings(config)

    def _check_same_settings(self, config):
        try:
            before = Config.from_dict(read_json(self.config_file)).to_dict()
            others = [
                f"{name}={before[name]!r}, now {value!r}"
                for name, value in config.to_dict().items()
                if name not in _FREE_ON_RESUME and before[name] != value
            ]
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"`run_dir` must hold a readable config.json. Received: {self.path} ({error})") from error
        if others:
            raise ValueError(
                "`run_dir` must not exist, or hold a run of the same settings that did not end. "
                f"Received: {self.path}, begun with {'; '.join(others)}"
            )


def run_dir_of(config: Config, resume: bool = False) -> RunDir:
    """Returns where the results of a run go; without a `run_dir` in its settings that is a default which is free.

    Raises:
      ValueError: if the run may not begin, or go on, there (`RunDir.check_free`).
    """
    run_dir = RunDir(config.run_dir or next(default_folders(config)))
    run_dir.check_free(config, resume)
    return run_dir


def default_folders(config: Config) -> Iterator[pathlib.Path]:
    """Yields where the results go without a `run_dir`: the first that is still free when they begin."""
    # A data set may be a path, whose end says most.
    name = re.sub(r"[^\w.-]+", "-", config.dataset)[-60:].strip("-.")
    default = f"runs/{name or 'data'}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([default], (f"{default}-{i}" for i in itertools.count(2)))
    return (folder for folder in map(pathlib.Path, names) if not folder.exists())


def make_run_dir(config: Config) -> RunDir:
    """Creates the folder of a run, which nobody may have made before; an existing one is never touched.

    Raises:
      ValueError: if it cannot be created.
    """
    for folder in [pathlib.Path(config.run_dir)] if config.run_dir else default_folders(config):
        try:
            folder.mkdir(parents=True)
            return RunDir(folder)
        except OSError as error:
            failed = error
            if not isinstance(error, FileExistsError):
                break
    raise ValueError(f"`run_dir` cannot be created. Received: {folder} ({failed.strerror})") from failed
