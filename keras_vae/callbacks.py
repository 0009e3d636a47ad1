"""Callbacks of the package's own; everything else is Keras's.

from keras_vae import callbacks

vae.fit(x, validation_data=x_val, epochs=20, callbacks=[callbacks.ImageGrids(x_val[:20], "figures")])
"""

import io
import math
import os
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_vae import plotting
from keras_vae.data.images import Images
from keras_vae.engine.finite import weights_are_finite
from keras_vae.engine.inputs import as_images
from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, NoiseSeed, Path, PositiveInt, checked
from keras_vae.utils.atomic_files import make_own

_DPI = 100


class ImageGrids(keras.callbacks.Callback):
    """Draws reconstructions and samples after every few epochs, of the same images and from the same seed each time.

    Epoch n leaves `reconstructions-00000n.png` and `samples-00000n.png` in `folder`, and the images "reconstructions"
    and "samples" at step n - 1, as Keras counts epochs, in the TensorBoard events of `log_dir`.

    Args:
      images: array `(count, *event_shape)` or `keras_vae.data.Images` to reconstruct; values outside [0, 1] are
        clipped. The labels of `Images` are the conditions of a conditional model, of the samples too, in turn.
      folder: where the PNG files go; made if it is not there.
      log_dir: where the TensorBoard events go.
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
        images: Images | ArrayLike,
        folder: Path | None = None,
        log_dir: Path | None = None,
        every: PositiveInt = 1,
        num_samples: PositiveInt = 50,
        columns: PositiveInt = 10,
        seed: NoiseSeed = 0,
    ):
        super().__init__()
        if folder is None and log_dir is None:
            raise ValueError("`folder` or `log_dir` must be given: where the pictures go. Received: neither")
        images = as_images(images, names=("images", "y"))
        self._x, self._labels = images.numpy(), images.labels
        self._folder = None if folder is None else pathlib.Path(folder)
        self._log_dir = None if log_dir is None else os.fspath(log_dir)
        self._every = checks.positive_int("every", every)
        self._num_samples = checks.positive_int("num_samples", num_samples)
        self._columns = checks.positive_int("columns", columns)
        self._seed = seed

    def on_train_begin(self, logs=None):
        if self.model.condition_dim is not None and self._labels is None:
            raise ValueError("`images` must be `Images` with labels: the model is conditional. Received: no labels")
        if self._folder is not None:
            make_own(self._folder)  # pictures of pictures are no data
        self._writer = None if self._log_dir is None else tf.summary.create_file_writer(self._log_dir)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every:
            return
        for name, figure in self._figures().items():
            png = io.BytesIO()
            figure.savefig(png, format="png", dpi=_DPI)
            if self._folder is not None:
                (self._folder / f"{name}-{epoch + 1:06d}.png").write_bytes(png.getvalue())
            if self._writer is not None:
                with self._writer.as_default(step=epoch):
                    tf.summary.image(name, tf.io.decode_png(png.getvalue(), channels=3)[None])

    def on_train_end(self, logs=None):
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
            "samples": plotting.image_grid(samples, self._columns),
        }


class NaNGuard(keras.callbacks.Callback):
    """Stops a training whose loss or weights are no longer finite, says why, and takes the last good state back.

    The last good state is that at the end of the last epoch with a finite loss and finite weights, or of the start:
    model, optimizer and counter of steps. It is taken back at the end of `fit`, so that callbacks which come before
    this one in the list see the model as it broke. A copy of the state is kept in memory.

    Attributes:
      term: None while all is well; then "log_likelihood" or "kl", the term of the loss that was not finite at the first
        step whose loss was not; "log_likelihood and kl" if both were, as when the weights have overflowed before;
        "other" if neither was, for example a penalty on weights; "weights" if the loss was finite until the end of
        an epoch and the weights are not.
      epoch: the epoch it happened in, counted from 1.
      step: the training step after which it was seen; on arrays, the last of its block of at most 64.
    """

    def __init__(self):
        super().__init__()
        self.term: str | None = None
        self.epoch: int | None = None
        self.step: int | None = None

    @property
    def message(self) -> str:
        """What happened, as one sentence without a full stop; empty while all is well."""
        if self.term is None:
            return ""
        what = {
            "weights": "the weights are not finite",
            "other": "the loss is not finite, and neither its log likelihood nor its KL is the cause",
        }.get(self.term, f"{self.term} not finite")
        return f"training diverged in epoch {self.epoch}, by step {self.step}: {what}"

    def on_train_begin(self, logs=None):
        self.term = self.epoch = self.step = None
        self._epoch = 0
        # A term that is infinite while the loss is finite is none of its terms: the KL of a deterministic posterior.
        self._suspects = ("log_likelihood", "kl")
        self._keep()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        logs = logs or {}
        if math.isfinite(logs.get("loss", 0.0)):
            self._suspects = tuple(name for name in self._suspects if math.isfinite(logs.get(name, 0.0)))
        elif self.term is None:
            terms = [name for name in self._suspects if not math.isfinite(logs.get(name, 0.0))]
            self._stop(" and ".join(terms) or "other")

    def on_epoch_end(self, epoch, logs=None):
        if self.term is not None:
            return
        if weights_are_finite(self.model):
            self._keep()
        else:
            self._stop("weights")

    def on_train_end(self, logs=None):
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
