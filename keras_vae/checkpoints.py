"""Checkpoints of a run: what a killed training goes on from."""

import csv
import os
import pathlib
import re
import shutil
import time

import keras
import numpy as np
from absl import logging

_NAME = re.compile(r"epoch-(\d{6})\.keras")
_KEPT = 2


def epochs_saved(folder: pathlib.Path) -> list[int]:
    """Returns after which epochs `folder` holds a checkpoint, newest first."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("epoch-*.keras"))
    return sorted((int(name[1]) for name in names if name), reverse=True)


def path_of(folder: pathlib.Path, epoch: int) -> pathlib.Path:
    """Returns where the checkpoint after `epoch` epochs lies."""
    return folder / f"epoch-{epoch:06d}.keras"


def save(model: keras.Model, folder: pathlib.Path, epoch: int) -> None:
    """Writes model, optimiser and counters after `epoch` epochs; the last two are kept.

    The file gets its name when it is whole and on the disk.

    Raises:
      OSError: if it cannot be written; what was there before is still there.
    """
    folder.mkdir(exist_ok=True)
    work = folder / ".unfinished.keras"
    try:
        model.save(work)
        with work.open("rb") as file:
            os.fsync(file.fileno())
        work.replace(path_of(folder, epoch))
    finally:
        work.unlink(missing_ok=True)
    for old in epochs_saved(folder)[_KEPT:]:
        path_of(folder, old).unlink()


def restore(folder: pathlib.Path, load) -> tuple[keras.Model | None, int]:
    """Returns the newest model that can be read and its number of epochs; None and 0 if there is none.

    Args:
      folder: where the checkpoints are; need not exist.
      load: path -> model; raises `ValueError` for a damaged file.
    """
    for epoch in epochs_saved(folder):
        try:
            return load(path_of(folder, epoch)), epoch
        except ValueError as error:
            logging.warning("this checkpoint is passed over: %s", error)
    return None, 0


def cut_rows(path: pathlib.Path, epochs: int) -> None:
    """Takes the rows of epochs from `epochs` on out of a CSV file with a header; a last line cut short goes too."""
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    work = path.with_name(f".{path.name}")
    work.write_bytes(b"".join(lines[: epochs + 1]) if epochs else b"")
    work.replace(path)


def read_rows(path: pathlib.Path) -> dict[str, list[float]]:
    """Returns the columns of a CSV file of numbers, name -> values."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]} if rows else {}


class Checkpoints(keras.callbacks.Callback):
    """Saves the model at the end of an epoch, and writes `seconds.csv`: seconds of training after each.

    Args:
      run_dir: folder of the run; checkpoints go to its folder `checkpoints`.
      seconds: how far apart two checkpoints are at least; the last epoch has one always.
      before: seconds of training that an interrupted part of the run took.
    """

    def __init__(self, run_dir: pathlib.Path, seconds: float = 30.0, before: float = 0.0):
        super().__init__()
        self._folder, self._times = run_dir / "checkpoints", run_dir / "seconds.csv"
        self._seconds, self._before = seconds, before
        self._epoch = None

    def on_train_begin(self, logs=None):
        self._start = self._saved = time.perf_counter()
        if not self._times.is_file() or not self._times.stat().st_size:
            self._times.write_text("epoch,seconds\n", encoding="utf-8")

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        with self._times.open("a", encoding="utf-8") as file:
            file.write(f"{epoch},{self._before + now - self._start:.3f}\n")
        self._epoch = epoch + 1 if np.isfinite((logs or {}).get("loss", np.nan)) else None
        if self._epoch and now - self._saved >= self._seconds:
            save(self.model, self._folder, self._epoch)
            self._saved = time.perf_counter()

    def on_train_end(self, logs=None):
        if self._epoch:
            save(self.model, self._folder, self._epoch)


def remove(run_dir: pathlib.Path) -> None:
    """Removes the checkpoints of a run that has ended."""
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
