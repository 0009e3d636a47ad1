"""Settings of runs that take seconds, and runs that end early."""

import dataclasses
import pathlib
import time

import keras
import pytest

from keras_vae.runs import training
from keras_vae.runs.config import Config

SETTINGS = Config(
    dataset="data.npy",
    hidden_units=(8,),
    latent_dim=2,
    epochs=12,
    batch_size=32,
    learning_rate=0.01,
    warmup_steps=3,
    num_importance_samples=3,
    export=False,
    run_dir="run",
)
LONG = dataclasses.replace(SETTINGS, epochs=60)


class Killed(keras.callbacks.Callback):
    """Ends the training with an exception when the steps of an epoch are done, before anything of it is written.

    It has no method for batches, for which each step would be taken by itself: that is another program than the one of
    the whole run, and may round in another way.
    """

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("killed")


def interrupted(monkeypatch, epoch, settings=SETTINGS):
    """Starts a run with a checkpoint after every epoch and ends it in `epoch`."""
    with monkeypatch.context() as patch:
        fit = training.VAE.fit

        def killed(self, *args, callbacks, **kwargs):
            return fit(self, *args, callbacks=[Killed(epoch), *callbacks], **kwargs)

        patch.setattr(training.VAE, "fit", killed)
        with pytest.raises(RuntimeError, match="killed"):
            training.run(settings, checkpoint_seconds=0)
    return pathlib.Path(settings.run_dir)


def wait_for_rows(path, count):
    """Waits until a run has written more than `count` lines to its metrics.csv."""
    end = time.monotonic() + 200
    while time.monotonic() < end:
        if path.is_file() and path.read_bytes().count(b"\n") > count:
            return
        time.sleep(0.05)
    pytest.fail("the run did not get under way")
