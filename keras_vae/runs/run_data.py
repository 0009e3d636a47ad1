"""The data set of a run: read by its settings, and the same as when it began."""

import os
import pathlib

from keras_vae import data
from keras_vae.data import fingerprint
from keras_vae.runs.build import LIKELIHOODS
from keras_vae.runs.config import Config
from keras_vae.utils.json_files import read_json

DATA_FILE = "data.json"


def lies_in(dataset: data.Dataset, run_dir: pathlib.Path, config: Config) -> bool:
    """Returns whether a run directory lies in the folder of images that its data set was read from."""
    folder = pathlib.Path(config.dataset).expanduser()
    return dataset.source == f"images in {folder}" and run_dir.resolve().is_relative_to(folder.resolve())


def load_data(config: Config) -> data.Dataset:
    """Returns the data set of a run."""
    binarization = config.binarization
    if binarization == "auto":
        # A density of a learned scale has no upper bound on two values: only the Bernoulli gets binary images unasked.
        binarization = "dynamic" if (config.dataset, config.likelihood) == ("mnist", "bernoulli") else "none"
    dequantization = config.dequantization
    if dequantization == "auto" and (binarization != "none" or not LIKELIHOODS[config.likelihood].is_density):
        dequantization = "none"
    return data.load(
        config.dataset,
        config.data_dir or None,
        binarization,
        config.validation_fraction,
        config.seed,
        dequantization,
        config.size(),
        config.test_fraction,
        config.on_bad_image,
        config.background,
    )


def load_data_of(run_dir: str | os.PathLike, config: Config) -> data.Dataset:
    """Returns the data set of a run, for which they are as they were when it began, if it has.

    Raises:
      ValueError: if they cannot be had, or have changed; it names what has.
    """
    dataset, path = load_data(config), pathlib.Path(run_dir) / DATA_FILE
    if path.exists():  # runs of earlier versions have none
        try:
            before = read_json(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        fingerprint.check_unchanged(dataset, before, run_dir)
    return dataset
