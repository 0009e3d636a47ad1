"""Training on several devices and machines: the `tf.distribute` strategy, its chief, and sums over replicas.

A replica is one copy of the model on one device, and takes its rows of the global batch. A number that a step computes
from the whole batch, such as its mean loss, is a sum over the replicas, so it does not depend on how many there are.
"""

import json
import os
import socket

import tensorflow as tf

NAMES = ("none", "mirrored", "multi_worker")


def make(name: str) -> tf.distribute.Strategy:
    """Returns the strategy of a name.

    Args:
      name: "none" is the default of TensorFlow; "mirrored" is all GPUs of this machine, or all its logical CPUs if it
        has no GPU; "multi_worker" is the cluster of `TF_CONFIG` or, without it, of the Slurm job step. The last must be
        made in each worker before its first operation, and waits for the other workers.

    Raises:
      ValueError: if there is no cluster, or this process cannot be a worker of it.
    """
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multi_worker":
        os.environ["TF_CONFIG"] = json.dumps(cluster_config())
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes files: the chief, or worker 0 in a cluster that names no chief."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def cluster_config() -> dict:
    """Returns the cluster and the place of this process in it, in the format of `TF_CONFIG`.

    Raises:
      ValueError: if neither `TF_CONFIG` nor Slurm describes a cluster, if the description is wrong, or if the address
        of this process is in use.
    """
    text = os.environ.get("TF_CONFIG")
    if not text and "SLURM_STEP_NODELIST" not in os.environ:
        raise ValueError("`strategy=multi_worker` needs TF_CONFIG in the environment, or a Slurm step (srun)")
    config = _parsed(text) if text else _slurm_config()
    jobs, task = config["cluster"], config["task"]
    addresses = jobs[task["type"]]
    host, port = addresses[task["index"]].rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # TensorFlow's server sets this option too. Without it, a port whose last connection has just ended would count
        # as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(port)))
        except OSError as error:
            raise ValueError(
                f"`TF_CONFIG` must give a free port. Received: {host}:{port} ({error.strerror})"
            ) from error
    return config


def _parsed(text):
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        known = {job: [_address(address) for address in addresses] for job, addresses in jobs.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            '`TF_CONFIG` must be JSON like {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {text!r}'
        ) from error
    if kind not in ("chief", "worker") or not 0 <= index < len(known.get(kind, ())):
        sizes = ", ".join(f"{len(addresses)} of type {job}" for job, addresses in known.items())
        raise ValueError(
            f"`TF_CONFIG` must give this process a task of type chief or worker in its cluster, which has {sizes}. "
            f"Received: type {kind!r}, index {index}"
        )
    return {"cluster": known, "task": {"type": kind, "index": index}}


def _address(address):
    host, port = address.rsplit(":", 1)
    if not host or not 0 < int(port) < 2**16:
        raise ValueError(address)
    return address


def _slurm_config():
    try:
        # TensorFlow finds GPUs by itself, because Slurm shows each task only its own.
        slurm = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=2**16, gpus_per_task=1, auto_set_gpu=False
        )
        jobs = slurm.cluster_spec().as_dict()
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"`strategy=multi_worker` cannot read the Slurm step: {error}") from error
    return {"cluster": jobs, "task": {"type": slurm.task_type, "index": slurm.task_id}}


def replica() -> tuple:
    """Returns the index of this replica (an integer or a tensor) and their number; (0, 1) outside of a strategy."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Returns the sum over all replicas, in each of them; its gradient is the sum of the gradients."""
    if replica()[1] == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def clipped(gradients: list[tf.Tensor | None], norm: float | None) -> list[tf.Tensor | None]:
    """Returns what each replica hands to an optimizer that clips the global norm of gradients and then sums them.

    Keras's optimizer clips the share of each replica by itself, and the sum of clipped shares is not the clipped sum.
    With several replicas the sum is therefore clipped here, and each replica gets an equal part of it, which is too
    short to be clipped again.

    Args:
      gradients: the share of this replica; None for a variable without a gradient.
      norm: largest global norm; None or 0 clips nothing.
    """
    count = replica()[1]
    if count == 1 or not norm:
        return gradients
    sums = [None if gradient is None else over_replicas(gradient) for gradient in gradients]
    return [None if part is None else part / count for part in tf.clip_by_global_norm(sums, norm)[0]]


def rows_of(context: tf.distribute.InputContext, batch_size: int) -> tuple[range, int]:
    """Returns which rows of a global batch a worker reads, and how many of them each of its replicas takes.

    All replicas take equally many, so the last rows may lie past the end of the batch.
    """
    size = -(-batch_size // context.num_replicas_in_sync)
    count = size * (context.num_replicas_in_sync // context.num_input_pipelines)
    return range(context.input_pipeline_id * count, (context.input_pipeline_id + 1) * count), size


def mean_of_workers(strategy: tf.distribute.Strategy, value: float) -> float:
    """Returns the mean of a number over all workers, each of which must call this."""

    @tf.function(autograph=False)
    def total():
        return strategy.run(lambda: over_replicas(tf.constant(value, tf.float64)))

    return float(strategy.experimental_local_results(total())[0]) / strategy.num_replicas_in_sync
