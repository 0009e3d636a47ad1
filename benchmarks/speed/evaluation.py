"""Times the importance-weighted log likelihood of all contestants, and that of keras_vae at K = 5,000."""

import pathlib

import numpy as np
from absl import logging

from benchmarks.speed import machine, summary, workloads
from benchmarks.speed.rounds import EVALUATORS, OURS, TRAINERS, Field

# keras_vae decodes so many codes at once, and the products of the bound have as many rows.
ROWS = 1000


def measure(settings, workload: workloads.Workload, data: pathlib.Path, test: pathlib.Path, products: dict) -> dict:
    """Returns the row of one network: microseconds an image and sample of all contestants at the same weights."""
    weights = data.with_name("trained.npz")
    _train(settings, workload, data, weights)
    arguments = dict(workload=workload.to_dict(), data=str(test), weights=str(weights), cores=machine.cores())
    chosen = [c for c in EVALUATORS if settings.includes(c)]
    call = dict(num_samples=settings.num_samples, count=settings.num_images)
    with Field(chosen, settings.pythons, settings.patience, **arguments) as field:
        first = field.blocks(1, **call)
        blocks = field.blocks(settings.rounds, **call)
        rates = summary.rates(blocks, "decodes")
        contestants = {
            name: {
                **rates[name],
                "us_each": 1e6 / rates[name]["per_second"]["median"],
                "first_seconds": first[name][0]["seconds"],
                "log_likelihood": float(np.mean(blocks[name][-1]["values"])),
                **worker.facts,
            }
            for name, worker in field.workers.items()
        }
        row = {"workload": workload.to_dict(), "key": workload.name, **call, "contestants": contestants}
        if OURS in blocks and "pythae" in blocks:
            values = [blocks[name][-1]["values"] for name in (OURS, "pythae")]
            row["difference_nats"] = summary.compare_estimates(*values)
        row["contestants"] |= field.troubles
    bound = products.get("best", {}).get(bound_key(workload))
    row["bound_us_each"] = None if bound is None else 1e6 * bound["seconds"] / ROWS
    if OURS in contestants and not settings.quick:
        row["many_samples"] = _many_samples(settings, arguments)
    for name, result in contestants.items():
        logging.info("%-10s %7.3f us an image and sample, %.3f nats", name, result["us_each"], result["log_likelihood"])
    return row


def bound_key(workload: workloads.Workload) -> str:
    """Returns the name of the job that decodes `ROWS` codes."""
    return f"decode {workload.name}"


def write_test_images(path: pathlib.Path, images: np.ndarray, count: int) -> None:
    """Writes the first `count` of gray uint8 images as one fixed Bernoulli draw."""
    gray = images[:count].reshape(count, -1)
    np.save(path, (np.random.default_rng(0).random(gray.shape) < gray / 255.0).astype(np.uint8))


def _train(settings, workload, data, weights):
    # The weights are trained for a few epochs, because at random ones all importance weights but one vanish, and
    # estimates could not be compared.
    np.savez(weights, *workloads.initial_weights(workload))
    ours = [c for c in TRAINERS if c.name == OURS]
    arguments = dict(workload=workload.to_dict(), data=str(data), weights=str(weights), cores=machine.cores())
    with Field(ours, settings.pythons, **arguments) as field:
        field.each("block", warm_up=0, epochs=1 if settings.quick else 5)
        field.each("save_weights", path=str(weights))


def _many_samples(settings, arguments):
    """Evaluates at K = 5,000 in a process of its own, so that its peak memory is that of this evaluation alone."""
    ours = [c for c in EVALUATORS if c.name == OURS]
    with Field(ours, settings.pythons, settings.patience, **arguments) as field:
        blocks = field.blocks(1, num_samples=5000, count=settings.many_images)
        memory = field.each("peak_memory")
        if OURS not in blocks or OURS not in memory:
            return field.troubles
        block = blocks[OURS][0]
        return {
            "num_samples": 5000,
            "count": settings.many_images,
            "seconds": block["seconds"],
            "us_each": 1e6 * block["seconds"] / block["decodes"],
            "peak_memory_mb": round(memory[OURS]),
            "log_likelihood": float(np.mean(block["values"])),
        }
