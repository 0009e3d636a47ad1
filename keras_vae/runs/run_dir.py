"""The run directory."""

import json
import os
import pathlib
import platform
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae._version import __version__
from keras_vae.models.vae import VAE
from keras_vae.runs import safe_loading
from keras_vae.runs.config import Config
from keras_vae.runs.run_data import load_data as load_data
from keras_vae.utils.arguments import Path, checked
from keras_vae.utils.atomic_files import file_written_whole
from keras_vae.utils.json_files import read_json, run_file


def make_run_dir(folders: Iterable[pathlib.Path]) -> pathlib.Path:
    """Creates the first folder that nobody has made, or raises `ValueError`; an existing one is never touched."""
    for folder in folders:
        try:
            folder.mkdir(parents=True)
            return folder
        except OSError as error:
            failed = error
            if not isinstance(error, FileExistsError):
                break
    raise ValueError(f"`run_dir` cannot be created. Received: {folder} ({failed.strerror})") from failed


@checked
def load_model(run_dir: Path, links: bool = False) -> VAE:
    """Loads `model.keras` of a run directory in Keras's safe mode, or raises `ValueError` that names the cause.

    Args:
      run_dir: the directory.
      links: whether the file may be a link that leads out of the directory, as in the cache of the Hub.
    """
    path = pathlib.Path(run_dir) / "model.keras"
    if not os.path.lexists(path):
        raise ValueError(f"`run_dir` must hold a model.keras. Received: {run_dir}")
    return _load(path if links else run_file(run_dir, path.name))


def _load(path):
    model = safe_loading.load(path)
    if not isinstance(model, VAE):
        raise ValueError(f"{path} must hold a keras_vae.VAE. Received: {type(model).__name__}")
    return model


@checked
def load_config(run_dir: Path) -> Config:
    """Returns the settings of a run directory, or raises `ValueError` that names the cause."""
    path = pathlib.Path(run_dir) / "config.json"
    try:
        return Config.from_dict(read_json(path))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is missing or damaged: {error}") from error


def write_json(path: Path, content: dict) -> None:
    """Writes a dict as indented JSON; the file gets its name when it is whole."""
    with file_written_whole(pathlib.Path(path)) as work:
        work.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


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
