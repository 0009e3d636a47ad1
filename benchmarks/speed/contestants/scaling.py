"""Times our training step as a function of its sizes."""

import time

import keras
import numpy as np

import keras_vae as kv
from benchmarks.speed.contestants.ours import build
from benchmarks.speed.contestants.stepwise import Stepwise
from benchmarks.speed.workloads import Workload
from keras_vae.data.examples import Examples

STEPS = 64  # an epoch has so many steps, which `fit` runs as one block


class Scaling:
    """Measures one size after the other.

    Args:
      cores: not used, because TensorFlow takes all cores.
    """

    packages = ("keras", "tensorflow", "tensorflow-probability", "numpy")

    def __init__(self, cores: int):
        self._random = np.random.default_rng(0)

    def block(self, workload: dict, event_shape: list, num_samples: int, seconds: float) -> dict:
        """Trains for about `seconds` after a warm-up; returns the medians of seconds and CPU seconds a step.

        Args:
          workload: fields of a `Workload`.
          event_shape: (height, width, channels) of the images.
          num_samples: number of importance samples of the objective IWAE; 0 takes the ELBO.
          seconds: duration of the measurement.
        """
        keras.backend.clear_session()
        workload, event_shape = Workload(**workload), tuple(event_shape)
        vae = build(workload, event_shape, kv.objectives.IWAE(num_samples) if num_samples else None)
        count = STEPS * workload.batch_size
        values = self._random.integers(0, 256, (min(count, 2048), *event_shape), np.uint8)
        images = Examples(values[np.arange(count) % len(values)], divisor=255.0, noise="bernoulli")
        fit = Stepwise(
            lambda callbacks: vae.fit(
                images, batch_size=workload.batch_size, epochs=10**6, verbose=0, callbacks=callbacks
            )
        )
        start = time.perf_counter()
        fit.epoch()
        first, times, end = time.perf_counter() - start, [], time.perf_counter() + seconds
        fit.epoch()
        while len(times) < 2 or time.perf_counter() < end:
            start, cpu = time.perf_counter(), time.process_time()
            fit.epoch()
            times.append((time.perf_counter() - start, time.process_time() - cpu))
        wall, cpu = np.median(times, axis=0) / STEPS
        return {"seconds": float(wall), "cpu_seconds": float(cpu), "first_seconds": first}
