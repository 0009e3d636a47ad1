"""Checkpoints of a run, from which a killed training continues."""

import contextlib
import math
import pathlib
import re
import shutil
import time
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf
from absl import logging

from keras_vae.engine.finite import weights_are_finite
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils.atomic_files import file_written_whole, locked, remove_unfinished, sync

_NAME = re.compile(r"epoch-(\d{6})\.keras")
_KEPT = 2


@contextlib.contextmanager
def lock_run_dir(run_dir: pathlib.Path) -> Iterator[None]:
    """Within this context no other process may write to the folder; the lock also ends when the process is killed.

    Raises:
      ValueError: if another process has the lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(run_dir))
        except OSError as error:
            raise ValueError(f"`run_dir` must not be in use: another process is training in {run_dir}") from error
        yield


def epochs_saved(folder: pathlib.Path) -> list[int]:
    """Returns the epochs after which `folder` holds a checkpoint, newest first."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("epoch-*.keras"))
    return sorted((int(name[1]) for name in names if name), reverse=True)


def path_of(folder: pathlib.Path, epoch: int) -> pathlib.Path:
    """Returns the path of the checkpoint after `epoch` epochs."""
    return folder / f"epoch-{epoch:06d}.keras"


def save(model: keras.Model, folder: pathlib.Path, epoch: int) -> None:
    """Writes model, optimizer and counters after `epoch` epochs, and removes all checkpoints but the last two.

    The file gets its name only when it is whole and on the disk.

    Raises:
      OSError: if it cannot be written; earlier checkpoints are then unchanged.
    """
    folder.mkdir(exist_ok=True)
    remove_unfinished(folder)  # the next file has the name of another epoch, and would not overwrite them
    with file_written_whole(path_of(folder, epoch)) as work:
        model.save(work)
    for old in epochs_saved(folder)[_KEPT:]:
        path_of(folder, old).unlink()


def restore(
    folder: pathlib.Path, load: Callable[[pathlib.Path], keras.Model], rename: bool = True
) -> tuple[keras.Model | None, int]:
    """Returns the newest model that can be read and its number of epochs; None and 0 if there is no checkpoint.

    Newer checkpoints that cannot be read are renamed to end in ".damaged".

    Args:
      folder: folder of the checkpoints, which need not exist.
      load: path -> model; raises `ValueError` if the file cannot be read.
      rename: whether to rename files that cannot be read; only one of several workers does.

    Raises:
      ValueError: if there are checkpoints, but none can be read.
    """
    troubles = {}
    for epoch in epochs_saved(folder):
        try:
            model = load(path_of(folder, epoch))
        except ValueError as error:
            troubles[path_of(folder, epoch)] = error
            continue
        for path, trouble in troubles.items():
            logging.warning("this checkpoint is passed over: %s", trouble)
            if rename:
                path.rename(path.with_suffix(".damaged"))
        return model, epoch
    if troubles:
        reasons = "; ".join(map(str, troubles.values()))
        raise ValueError(f"`run_dir` must hold a checkpoint that can be read, or none. Received: {reasons}")
    return None, 0


def cut_events(folder: pathlib.Path, epochs: int, iterations: int) -> None:
    """Removes points from TensorBoard's files: those of epochs from `epochs` on, and of steps after `iterations`."""
    for path in folder.rglob("events.out.tfevents.*"):
        kept = [event for event in _events(path) if not _is_after(event, epochs, iterations)]
        with file_written_whole(path) as work, tf.io.TFRecordWriter(str(work)) as writer:
            for event in kept:
                writer.write(event.SerializeToString())


def _events(path):
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            yield tf.compat.v1.Event.FromString(record.numpy())
    except tf.errors.DataLossError:  # a kill has cut the last record short
        return


def _is_after(event, epochs, iterations):
    # Keras numbers most points by the epoch, counted from 0, and those of validation also by the step.
    return any(
        event.step > iterations if value.tag.endswith("_vs_iterations") else event.step >= epochs
        for value in event.summary.value
    )


class Checkpoints(keras.callbacks.Callback):
    """Saves the model at the end of an epoch, and writes the seconds of training after each epoch to `seconds.csv`.

    Args:
      run_dir: the run.
      seconds: least number of seconds between two checkpoints; the last epoch always has one.
      before: seconds of training before the run was interrupted.
    """

    def __init__(self, run_dir: RunDir, seconds: float = 30.0, before: float = 0.0) -> None:
        super().__init__()
        self._run_dir, self._times = run_dir, run_dir.seconds_file
        self._seconds, self._before = seconds, before
        self._ended = self._saved = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._start = self._saved_at = time.perf_counter()
        if not self._times.is_file() or not self._times.stat().st_size:
            self._times.write_text("epoch,seconds\n", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.perf_counter()
        with self._times.open("a", encoding="utf-8") as file:
            file.write(f"{epoch},{self._before + now - self._start:.3f}\n")
        self._ended, self._loss = epoch + 1, (logs or {}).get("loss", 0.0)
        if now - self._saved_at >= self._seconds:
            self._save()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._ended > self._saved:
            self._save()

    def _save(self):
        # A model that has diverged is not saved, because nothing good could continue from it.
        if not (math.isfinite(self._loss) and weights_are_finite(self.model)):
            return
        for path in (self._times, self._run_dir.metrics_file):
            sync(path)
        save(self.model, self._run_dir.checkpoints, self._ended)
        self._saved, self._saved_at = self._ended, time.perf_counter()


def remove(folder: pathlib.Path) -> None:
    """Removes the checkpoints of a run that has ended."""
    shutil.rmtree(folder, ignore_errors=True)
