"""The package's own callbacks, for use beside those of Keras.

from keras_vae import callbacks

vae.fit(x, validation_data=x_val, epochs=20, callbacks=[callbacks.ImageGrids(x_val[:20], "figures")])
"""

import io
import math
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_vae import plotting
from keras_vae.data.examples import Examples
from keras_vae.engine.averages import averaged, exchange_averages
from keras_vae.engine.finite import weights_are_finite
from keras_vae.engine.inputs import as_examples
from keras_vae.utils.arguments import ArrayLike, NoiseSeed, Path, PositiveInt, checked
from keras_vae.utils.atomic_files import make_own

_DPI = 100


class ImageGrids(keras.callbacks.Callback):
    """Draws reconstructions and samples after every few epochs, each time of the same examples and from the same seed.

    The pictures are those of the averaged weights if the optimizer keeps averages (`AveragedWeights`).

    Epoch n writes `reconstructions-00000n.png` and `samples-00000n.png` to `folder`, and the images "reconstructions"
    and "samples" to the TensorBoard events of `log_dir`, at step n - 1, because Keras counts epochs from 0.

    Args:
      images: array `(count, *event_shape)` or `keras_vae.data.Examples` to reconstruct, of any shape; they are drawn by
        `keras_vae.plotting.example_grid`, which clips values of pictures to [0, 1]. For a conditional model the labels
        of `Examples` are the conditions, and the samples take them in turn.
      folder: folder of the PNG files; it is made if it does not exist.
      log_dir: folder of the TensorBoard events.
      every: epochs from one drawing to the next, a positive integer.
      num_samples: how many pictures are drawn from the prior, a positive integer.
      columns: pictures in a row, a positive integer.
      seed: seed of the samples.

    Raises:
      ValueError: if neither `folder` nor `log_dir` is given, or a number is not positive.
    """

    @checked
    def __init__(
        self,
        images: Examples | ArrayLike,
        folder: Path | None = None,
        log_dir: Path | None = None,
        every: PositiveInt = 1,
        num_samples: PositiveInt = 50,
        columns: PositiveInt = 10,
        seed: NoiseSeed = 0,
    ) -> None:
        super().__init__()
        if folder is None and log_dir is None:
            raise ValueError("`folder` or `log_dir` must be given: where the pictures go. Received: neither")
        images = as_examples(images, names=("images", "y"))
        self._x, self._labels = images.numpy(), images.labels
        self._folder = None if folder is None else pathlib.Path(folder)
        self._log_dir = None if log_dir is None else os.fspath(log_dir)
        self._every, self._num_samples, self._columns = int(every), int(num_samples), int(columns)
        self._seed = seed

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.model.condition_dim is not None and self._labels is None:
            raise ValueError("`images` must be `Examples` with labels: the model is conditional. Received: no labels")
        if self._folder is not None:
            make_own(self._folder)  # the mark keeps the package from ever reading these pictures as training data
        self._writer = None if self._log_dir is None else tf.summary.create_file_writer(self._log_dir)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if (epoch + 1) % self._every:
            return
        with averaged(self.model):
            figures = self._figures()
        for name, figure in figures.items():
            png = io.BytesIO()
            figure.savefig(png, format="png", dpi=_DPI)
            if self._folder is not None:
                (self._folder / f"{name}-{epoch + 1:06d}.png").write_bytes(png.getvalue())
            if self._writer is not None:
                with self._writer.as_default(step=epoch):
                    tf.summary.image(name, tf.io.decode_png(png.getvalue(), channels=3)[None])

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()

    def _figures(self):
        condition = rows = None
        if self.model.condition_dim is not None:
            condition = self._labels
            rows = condition[np.arange(self._num_samples) % len(condition)]
        reconstruction = self.model.reconstruct(self._x, condition).numpy()
        samples = self.model.sample(self._num_samples, seed=self._seed, condition=rows).numpy()
        return {
            "reconstructions": plotting.reconstructions(self._x, reconstruction, self._columns),
            "samples": plotting.example_grid(samples, self._columns),
        }


class AveragedWeights(keras.callbacks.Callback):
    """Lets validation within `fit` measure the averaged weights, while training goes on with those that it trains.

    For an optimizer that keeps averages: `keras_vae.engine.averages.AveragingAdam`, or one of Keras's with
    `use_ema=True`. `EarlyStopping` and `ModelCheckpoint` then choose by the averages. `keras.callbacks.SwapEMAWeights`
    does the same with sums and differences, which round: there, training depends on how often it is validated.
    """

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        exchange_averages(self.model)

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        exchange_averages(self.model)


class NaNGuard(keras.callbacks.Callback):
    """Stops a training whose loss or weights are no longer finite, says why, and restores the last good state.

    The state is that of model, optimizer and counter of steps, at the end of the last epoch with a finite loss and
    finite weights, or at the start. It is restored at the end of `fit`, so that callbacks which come before this one in
    the list still see the model as it broke. A copy of the state is kept in memory.

    Attributes:
      term: None while all is well. Then the term of the loss that was not finite at the first step with a loss that was
        not: "log_likelihood", "kl", "log_likelihood and kl" if neither was finite, for example after the weights have
        overflowed, or "other" if both were, for example with a penalty on weights. It is "weights" if the loss was
        finite until the end of an epoch and the weights were not.
      epoch: the epoch in which it happened, counted from 1.
      step: the training step after which it was seen; on arrays this is the last step of a block of at most 64.
    """

    def __init__(self) -> None:
        super().__init__()
        self.term: str | None = None
        self.epoch: int | None = None
        self.step: int | None = None
        self._kept: Any = None

    @property
    def message(self) -> str:
        """What happened, as one sentence without a period; empty while all is well."""
        if self.term is None:
            return ""
        what = {
            "weights": "the weights are not finite",
            "other": "the loss is not finite, and neither its log likelihood nor its KL is the cause",
        }.get(self.term, f"{self.term} not finite")
        return f"training diverged in epoch {self.epoch}, by step {self.step}: {what}"

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.term = self.epoch = self.step = None
        self._epoch = 0
        # A metric that is infinite while the loss is finite is no term of the loss, and is dropped from the suspects.
        # The KL of a deterministic posterior is one.
        self._suspects: tuple[str, ...] = ("log_likelihood", "kl")
        self._keep()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        if math.isfinite(logs.get("loss", 0.0)):
            self._suspects = tuple(name for name in self._suspects if math.isfinite(logs.get(name, 0.0)))
        elif self.term is None:
            terms = [name for name in self._suspects if not math.isfinite(logs.get(name, 0.0))]
            self._stop(" and ".join(terms) or "other")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.term is not None:
            return
        if weights_are_finite(self.model):
            self._keep()
        else:
            self._stop("weights")

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self.term is not None:
            for variable, value in zip(self._state(), self._kept, strict=True):
                variable.assign(value)
        self._kept = None

    def _stop(self, term):
        self.term, self.epoch = term, self._epoch
        self.step = int(keras.ops.convert_to_numpy(self.model.train_steps))
        self.model.stop_training = True
        logging.error("%s. The weights go back to those after epoch %d", self.message, self._epoch - 1)

    def _keep(self):
        self._kept = [variable.numpy() for variable in self._state()]

    def _state(self):
        return [*self.model.weights, *self.model.optimizer.variables]
