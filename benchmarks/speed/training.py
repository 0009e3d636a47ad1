"""Times training: images a second of every contestant, with compilation and without."""

import pathlib

import numpy as np
from absl import logging

from benchmarks.speed import gemm, machine, summary, workloads
from benchmarks.speed.rounds import PRODUCTS, TRAINERS, Field


def measure_products(settings, jobs: list) -> dict:
    """Returns the best times of products of square matrices and of those of `jobs`, pairs of name and products."""
    products = {**gemm.squares(), **dict(jobs)}
    flop = {job: sum(2 * a * b * c for a, b, c, *_ in members) for job, members in products.items()}
    contestants = [c for c in PRODUCTS if settings.includes_library(c)]
    with Field(contestants, settings.pythons, settings.patience, cores=machine.cores()) as field:
        blocks = field.blocks(settings.gemm_rounds, jobs=products, seconds=settings.gemm_seconds)
        result = {
            "best": summary.best_products(blocks, flop),
            "libraries": {name: summary.best_products({name: rounds}, flop) for name, rounds in blocks.items()},
            **field.troubles,
        }
    for job, product in result["best"].items():
        logging.info("%-45s %6.0f GFLOP/s (%s)", job, product["gflops"], product["library"])
    return result


def measure(settings, workload: workloads.Workload, data: pathlib.Path, products: dict) -> dict:
    """Returns the row of one workload."""
    weights = data.with_name("weights.npz")
    np.savez(weights, *workloads.initial_weights(workload))
    arguments = dict(workload=workload.to_dict(), data=str(data), weights=str(weights), cores=machine.cores())
    chosen = [c for c in TRAINERS if settings.includes(c) and workload.network in c.networks]
    with Field(chosen, settings.pythons, settings.patience, **arguments) as field:
        logging.info("%s: %s", workload.key, ", ".join(field.workers))
        summary.check_facts(field.each("facts"), workload.num_parameters)
        first = field.blocks(1, warm_up=0, epochs=1)
        blocks = field.blocks(settings.rounds, warm_up=1, epochs=settings.epochs)
        summary.check_losses({name: rounds[-1]["loss"] for name, rounds in blocks.items()})
        memory, rates = field.each("peak_memory"), summary.rates(blocks)
        contestants = {
            name: {
                **rates[name],
                "first_epoch_seconds": first[name][0]["seconds"],
                "loss": blocks[name][-1]["loss"],
                "peak_memory_mb": round(memory[name]),
                "rounds": blocks[name],
                **worker.facts,
            }
            for name, worker in field.workers.items()
        }
        row = {
            "workload": workload.to_dict(),
            "key": workload.key,
            "parameters": workload.num_parameters,
            "flop_per_image": workload.flop_per_image,
            "bound": summary.bounds(
                products.get("best", {}), workload.key, workload.flop_per_image, workload.batch_size
            ),
            "contestants": {**contestants, **field.troubles},
        }
    for name, result in contestants.items():
        logging.info("%-25s %8.0f images/s, loss %.2f", name, result["per_second"]["median"], result["loss"])
    return row
