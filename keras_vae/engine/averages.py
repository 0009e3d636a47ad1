"""Averaged weights: an Adam whose averages are good from the first steps on, and their exchange for the weights."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_vae.engine.keras_compat import averages_of


@keras.saving.register_keras_serializable(package="keras_vae.engine")
class AveragingAdam(keras.optimizers.Adam):
    """Adam that keeps a moving average of each weight (Polyak and Juditsky, 1992), whose memory grows with the steps.

        average <- d average + (1 - d) weight,  d = min(ema_momentum, (1 + t) / (10 + t))

    after step t = 0, 1, 2, ..., except that the first average is the weight after step 0. Keras's own optimizers have
    `use_ema` too, with d = `ema_momentum` from step 1 on: at 0.999 the average then still has 37% of the weight after
    the first step when 1,000 steps are over, and 90% after 100.

    `fit` trains the weights and replaces them by their averages at its end, so that a second `fit` starts from the
    averages. `keras_vae.callbacks.AveragedWeights` lets validation within `fit` measure the averages.

    Args:
      *args: those of `keras.optimizers.Adam`.
      **kwargs: those of `keras.optimizers.Adam`; `use_ema` is True and `ema_momentum` 0.999 unless they are given.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"use_ema": True, "ema_momentum": 0.999, **kwargs})

    @property
    def ema_momentum(self) -> tf.Tensor:
        """The factor d of the next step, a float32 scalar."""
        step = tf.cast(tf.convert_to_tensor(self.iterations), tf.float32)
        return tf.minimum(self._last_momentum, (1.0 + step) / (10.0 + step))

    @ema_momentum.setter
    def ema_momentum(self, momentum: float) -> None:
        self._last_momentum = momentum

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ema_momentum": self._last_momentum}


def exchange_averages(model: keras.Model) -> None:
    """Exchanges the trained weights of a compiled model for their averages, to the bit; twice changes nothing.

    A model whose optimizer keeps no averages, or has made no step, is left as it is.
    """
    if int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 0:
        return  # the averages are zeros
    for weight, average in averages_of(model.optimizer):
        kept = tf.identity(tf.convert_to_tensor(weight))
        weight.assign(tf.convert_to_tensor(average))
        average.assign(kept)


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Within this context the weights of a model are the averages that its optimizer keeps, if it keeps any."""
    exchange_averages(model)
    try:
        yield
    finally:
        exchange_averages(model)
