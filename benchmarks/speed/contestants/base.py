"""`Trainer`, the base of all trainers, which reads data and weights and times blocks of epochs."""

import time

import numpy as np

from benchmarks.speed.workloads import Workload, probe_images


class Trainer:
    """Trains one workload epoch by epoch.

    A subclass sets `packages`, whose versions are reported, and implements `build`, `probe` and `epoch`.

    Args:
      workload: fields of a `Workload`.
      data: path of an .npy file with uint8 images `(count, 784)`.
      weights: path of an .npz file with the initial weights in the order of `initial_weights`.
      cores: number of threads.
    """

    packages: tuple[str, ...] = ()

    def __init__(self, workload: dict, data: str, weights: str, cores: int):
        self.workload = Workload(**workload)
        self.cores = cores
        images = np.load(data)
        self.data, self.probe_x = images[: self.workload.images], probe_images(images)
        with np.load(weights) as arrays:
            self.weights = [arrays[name] for name in arrays.files]
        self.num_parameters = self.build()

    def build(self) -> int:
        """Makes the model with `self.weights`; returns its number of trainable parameters."""
        raise NotImplementedError

    def probe(self, x: np.ndarray) -> float:
        """Returns the mean of -ELBO over x `(100, 784)` at the mean of q(z|x), so that nothing in it is random."""
        raise NotImplementedError

    def epoch(self) -> float:
        """Trains one epoch; returns the mean of its losses, -ELBO in nats."""
        raise NotImplementedError

    def facts(self) -> dict:
        """Returns the numbers that must be the same for all contestants."""
        return {"parameters": self.num_parameters, "probe": float(self.probe(self.probe_x))}

    def block(self, warm_up: int, epochs: int) -> dict:
        """Trains `warm_up` epochs outside the clock and `epochs` inside it; returns seconds, CPU seconds and the loss.

        After a warm-up, a pipeline that prepares data ahead is as full as at the end, so that no contestant has a lead.
        """
        for _ in range(warm_up):
            self.epoch()
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(epochs):
            loss = self.epoch()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, "images": epochs * len(self.data), "loss": float(loss)}
