"""Compares two workers, with a core each, with one, at its global batch (strong scaling) and at twice that (weak).

A process of this file is one worker: python -m benchmarks.speed.workers WORKLOAD DATA CORE. `TF_CONFIG` holds the
cluster, and is missing for a worker that trains alone. The process prints images a second.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

from absl import logging

from benchmarks.speed import workloads
from benchmarks.speed.processes import ROOT
from benchmarks.speed.rounds import wait_for_quiet
from benchmarks.speed.summary import spread

# Each name has the number of workers, and the ratio of their global batch to the batch of one worker.
SETTINGS = {"one": (1, 1), "two, strong": (2, 1), "two, weak": (2, 2)}
SECONDS = 300


def measure(settings, data) -> list[dict]:
    """Returns images a second of a dense and the convolutional job in each setting, and their ratios to one worker."""
    return [_measure(workload, settings, data) for workload in workloads.training(settings.images)[1::3]]


def _measure(workload, settings, data):
    rates = {name: [] for name in SETTINGS}
    for _ in range(settings.rounds):
        for name, (count, times) in SETTINGS.items():
            wait_for_quiet(settings.patience)
            job = workload.to_dict() | {"batch_size": times * workload.batch_size}
            rates[name].append(_rate(job, str(data), count))
    result = {
        name: {
            "per_second": spread(values),
            "of_one": spread(a / b for a, b in zip(values, rates["one"], strict=True)),
            "rounds": values,
        }
        for name, values in rates.items()
    }
    logging.info("workers, %s: %s", workload.name, {name: row["per_second"]["median"] for name, row in result.items()})
    return {"network": workload.name, "batch_size": workload.batch_size, "settings": result}


def _rate(workload, data, count):
    """Starts the workers, worker i on core i; returns images a second of the global batch after the first epoch."""
    processes = []
    with tempfile.TemporaryFile() as errors:
        try:
            for index, config in enumerate(_clusters(count)):
                environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", **config}
                command = [sys.executable, "-m", "benchmarks.speed.workers", json.dumps(workload), data, str(index)]
                processes.append(
                    subprocess.Popen(
                        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
                    )
                )
            outputs = [process.communicate(timeout=SECONDS)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        if any(process.returncode for process in processes):
            errors.seek(0)
            raise RuntimeError(f"a worker failed: {errors.read().decode(errors='replace')[-500:]}")
    return json.loads(outputs[0].splitlines()[-1])


def _clusters(count):
    if count == 1:
        return [{}]
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
    return [
        {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})}
        for index in range(count)
    ]


def work(workload: dict, data: str, core: int) -> float:
    """Trains one epoch to compile and then two to measure; returns images a second."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
    import keras
    import numpy as np
    import tensorflow as tf

    from benchmarks.speed.contestants.ours import EVENT_SHAPE, build, set_weights
    from keras_vae.data.examples import Examples
    from keras_vae.engine import strategies

    tf.config.threading.set_intra_op_parallelism_threads(1)
    strategy = strategies.make("multi_worker" if "TF_CONFIG" in os.environ else "none")
    job = workloads.Workload(**workload)
    with strategy.scope():
        vae = build(job)
    set_weights(vae.trainable_variables, workloads.initial_weights(job))
    images = Examples(np.load(data)[: job.images].reshape(-1, *EVENT_SHAPE), divisor=255.0, noise="bernoulli")
    times = []
    stamp = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()))
    vae.fit(images, batch_size=job.batch_size, epochs=3, verbose=0, callbacks=[stamp])
    return 2 * len(images) / (times[2] - times[0])


if __name__ == "__main__":
    print(json.dumps(work(json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
