"""Runs contestants in turn, A, B, C, A, B, C, ..., so that all meet the same disturbances."""

import dataclasses
import time

from absl import logging

from benchmarks.speed.processes import MissingError, Worker, WorkerError, machine_seconds

CONTESTANTS = "benchmarks.speed.contestants."
# A round in which other processes used more cores than this only counts if there is no quieter one.
QUIET = 0.15


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A library, or a way to use it, that takes part.

    Attributes:
      name: name in the tables.
      path: MODULE:CLASS.
      ours: whether it runs in our own environment, and not in that of the peers.
      networks: the kinds of network that it can train.
    """

    name: str
    path: str
    ours: bool = False
    networks: tuple[str, ...] = ("dense", "conv")


OURS = "keras_vae"
NETWORKS = ("dense", "conv", "causal")
TRAINERS = (
    Contestant(OURS, f"{CONTESTANTS}ours:OurTrainer", ours=True, networks=NETWORKS),
    Contestant("PyTorch", f"{CONTESTANTS}pytorch:TorchTrainer", networks=NETWORKS),
    Contestant("PyTorch compiled", f"{CONTESTANTS}pytorch:CompiledTorchTrainer", networks=NETWORKS),
    Contestant("JAX", f"{CONTESTANTS}jax_optax:JaxTrainer", networks=NETWORKS),
    Contestant("pythae", f"{CONTESTANTS}pythae_vae:PythaeTrainer", networks=("dense",)),
    Contestant("keras.io-style", f"{CONTESTANTS}keras_io:KerasTrainer", ours=True),
    Contestant("keras.io-style tuned", f"{CONTESTANTS}keras_io:TunedKerasTrainer", ours=True),
)
EVALUATORS = (
    Contestant(OURS, f"{CONTESTANTS}ours:OurEvaluator", ours=True),
    Contestant("pythae", f"{CONTESTANTS}pythae_vae:PythaeEvaluator"),
)
PRODUCTS = (
    Contestant("NumPy", "benchmarks.speed.gemm:NumPyProducts", ours=True),
    Contestant("TensorFlow", "benchmarks.speed.gemm:TensorFlowProducts", ours=True),
    Contestant("PyTorch", "benchmarks.speed.gemm:TorchProducts"),
)


class Field:
    """The workers of one measurement, and the reasons for which others are missing.

    Args:
      contestants: the contestants that take part.
      pythons: the interpreters, {"ours": ..., "peers": ...}; if that of the peers is empty, they are all missing.
      patience: most seconds to wait before each block for an idle machine.
      **arguments: arguments of every contestant's class.

    Attributes:
      workers: name -> `Worker`.
      troubles: name -> {"missing": reason} or {"failed": last line}.
    """

    def __init__(self, contestants, pythons: dict, patience: float = 0.0, **arguments):
        self.workers, self.troubles, self._patience = {}, {}, patience
        for contestant in contestants:
            python = pythons["ours" if contestant.ours else "peers"]
            if not python:
                self.troubles[contestant.name] = {"missing": "no --peers_python was given"}
                continue
            self._guard(contestant.name, lambda c=contestant, p=python: self._open(c, p, arguments))

    def _open(self, contestant, python, arguments):
        self.workers[contestant.name] = Worker(python, contestant.path, **arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.workers.values():
            worker.close()

    def _guard(self, name, action):
        """Runs `action`; if it fails, the contestant is removed and the reason is kept in `troubles`."""
        try:
            return action()
        except (MissingError, WorkerError) as error:
            kind = "missing" if isinstance(error, MissingError) else "failed"
            self.troubles[name] = {kind: str(error)}
            logging.warning("%s: %s: %s", name, kind, error)
            worker = self.workers.pop(name, None)
            if worker is not None:
                worker.close()
            return None

    def each(self, call: str, **arguments) -> dict:
        """Calls a method of every worker; returns name -> result of those that did not fail."""
        results = {name: self._guard(name, lambda w=worker: w.call(call, **arguments)) for name, worker in self._all()}
        return {name: result for name, result in results.items() if result is not None}

    def blocks(self, rounds: int, **arguments) -> dict:
        """Runs `block` of every worker in turn; returns name -> list of `rounds` results."""
        results = {name: [] for name in self.workers}
        for _ in range(rounds):
            for name, worker in self._all():
                wait_for_quiet(self._patience)
                block = self._guard(name, lambda w=worker: w.timed("block", **arguments))
                if block is not None:
                    results[name].append(block)
        return {name: blocks for name, blocks in results.items() if name in self.workers}

    def _all(self):
        return list(self.workers.items())


def wait_for_quiet(patience: float) -> None:
    """Waits until the machine is almost idle, for at most `patience` seconds."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end and _busy_cores(0.5) > QUIET:
        pass


def _busy_cores(seconds):
    before = machine_seconds()
    time.sleep(seconds)
    return (machine_seconds() - before) / seconds
