"""Times parts of our training step, each of which does the work of the one before it and one thing more."""

import statistics

from absl import logging

from benchmarks.speed import machine
from benchmarks.speed.rounds import Contestant, Field
from benchmarks.speed.summary import spread

# `contestants.profile` runs these parts, the first three on one batch that stays in memory.
PARTS = (
    "products in XLA",
    "step, SGD",
    "step, Adam",
    "fit, images of 0 and 1",
    "fit, drawn images",
)


def measure(settings, workload, data, products: dict) -> dict:
    """Returns the milliseconds a step of each part, after those of the products in the fastest library."""
    contestant = Contestant("keras_vae", "benchmarks.speed.contestants.profile:Profile", ours=True)
    arguments = dict(workload=workload.to_dict(), data=str(data), cores=machine.cores())
    bound = products["best"][workload.key]
    row = {"key": workload.key, "bound_library": bound["library"], "ms": {"products": spread([1e3 * bound["seconds"]])}}
    rounds = {part: [] for part in PARTS}
    with Field([contestant], settings.pythons, settings.patience, **arguments) as field:
        for _ in range(settings.rounds):
            for part in PARTS:
                blocks = field.blocks(1, part=part, seconds=settings.gemm_seconds)
                if field.troubles:
                    raise RuntimeError(f"{workload.key}, {part}: {field.troubles}")
                rounds[part] += blocks[contestant.name]
    for part, blocks in rounds.items():
        row["ms"][part] = spread(1e3 * block["seconds"] for block in blocks)
    row["cores"] = {p: statistics.median(b["cpu_seconds"] / b["seconds"] for b in bs) for p, bs in rounds.items()}
    logging.info("%s: %s", workload.key, {part: round(ms["median"], 2) for part, ms in row["ms"].items()})
    return row
