"""Measures how the time of a training step grows with batch, width, image, latent dimension and importance samples."""

import dataclasses
import math

from absl import logging

from benchmarks.speed import machine
from benchmarks.speed.rounds import Contestant, Field
from benchmarks.speed.workloads import Workload

BASE = Workload("784-512-512-40", "dense", (512, 512), 40, "gelu", 128, 0)
SHAPE = (28, 28, 1)
CONV = dataclasses.replace(BASE, name="convolutional", network="conv", hidden=(256,), latent_dim=32)
SHAPES = (SHAPE, (32, 32, 3), (64, 64, 3), (96, 96, 3))
AXES = {
    "batch size": (16, 32, 64, 128, 256, 512, 1024),
    "width": (64, 128, 256, 512, 1024, 2048),
    "latent dimension": (2, 8, 32, 128, 512),
    "importance samples": (1, 2, 5, 10, 20, 50),
    "values an image, dense": SHAPES,
    "pixels an image, convolutional": SHAPES,
}


def points(quick: bool = False) -> list[dict]:
    """Returns for each measurement the axis, the value on it, and the arguments of `contestants.scaling`."""
    make = {
        "batch size": lambda v: {"workload": dataclasses.replace(BASE, batch_size=v)},
        "width": lambda v: {"workload": dataclasses.replace(BASE, hidden=(v, v))},
        "latent dimension": lambda v: {"workload": dataclasses.replace(BASE, latent_dim=v)},
        "importance samples": lambda v: {"num_samples": v},
        "values an image, dense": lambda v: {"event_shape": v},
        "pixels an image, convolutional": lambda v: {"event_shape": v, "workload": CONV},
    }
    result = []
    for axis, values in AXES.items():
        for value in values[:2] if quick else values:
            arguments = {"workload": BASE, "event_shape": SHAPE, "num_samples": 0, **make[axis](value)}
            arguments["workload"] = arguments["workload"].to_dict()
            sizes = value if isinstance(value, tuple) else (value,)
            result.append(
                {
                    "axis": axis,
                    # Feature maps are as large as the image, however many channels it has.
                    "value": math.prod(sizes[:2] if axis.startswith("pixels") else sizes),
                    "label": "x".join(map(str, sizes)),
                    "arguments": {**arguments, "event_shape": list(arguments["event_shape"])},
                }
            )
    return result


def measure(settings) -> list[dict]:
    """Returns the points with the milliseconds of a step."""
    contestant = Contestant("keras_vae", "benchmarks.speed.contestants.scaling:Scaling", ours=True)
    result, seconds = [], 0.1 if settings.quick else 1.0
    with Field([contestant], settings.pythons, settings.patience, cores=machine.cores()) as field:
        for point in points(settings.quick):
            blocks = field.blocks(1, **point["arguments"], seconds=seconds)
            if field.troubles:
                raise RuntimeError(f"{point['axis']} {point['label']}: {field.troubles}")
            block = blocks[contestant.name][0]
            result.append({**point, "ms": 1e3 * block["seconds"], **block})
            logging.info("%-32s %-9s %9.3f ms a step", point["axis"], point["label"], 1e3 * block["seconds"])
    return result
