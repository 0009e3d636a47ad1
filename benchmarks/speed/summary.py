"""Pure functions from rounds of blocks to medians, ratios and bounds."""

import statistics

from benchmarks.speed.rounds import OURS, QUIET

# Final losses may differ from their median by this share of it; a contestant that trains less differs by more.
LOSS_BAND = 0.02
# In float32 the same -ELBO, of about 500 nats, may differ between contestants by this number of nats.
PROBE_BAND = 0.01


class NotTheSameWorkError(RuntimeError):
    """Contestants do not compute the same thing, so that their times cannot be compared."""


def quiet_rounds(blocks: dict) -> list[int]:
    """Returns the numbers of the rounds that other processes did not disturb, or of all if there is no such round."""
    count = min((len(rounds) for rounds in blocks.values()), default=0)
    quiet = [i for i in range(count) if all(rounds[i].get("others", 0.0) <= QUIET for rounds in blocks.values())]
    return quiet or list(range(count))


def spread(values) -> dict:
    """Returns the median, smallest and largest of the values."""
    values = [float(value) for value in values]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def rates(blocks: dict, unit: str = "images") -> dict:
    """Returns name -> rate per second, its ratio to ours round by round, CPU time a unit and disturbances.

    Args:
      blocks: name -> list of rounds, each with "seconds", "cpu_seconds", "others" and the count `unit`.
      unit: the key of the count.
    """
    numbers, result = quiet_rounds(blocks), {}
    for name, rounds in blocks.items():
        chosen = [rounds[i] for i in numbers]
        result[name] = {
            "per_second": spread(block[unit] / block["seconds"] for block in chosen),
            "cpu_us_each": statistics.median(1e6 * block["cpu_seconds"] / block[unit] for block in chosen),
            "others": max((block.get("others", 0.0) for block in chosen), default=0.0),
        }
        if OURS in blocks:
            # The ratio is our rate divided by the contestant's, so that we are faster if it is above 1.
            ours = [blocks[OURS][i] for i in numbers]
            result[name]["ours_is_faster_by"] = spread(
                (a[unit] / a["seconds"]) / (b[unit] / b["seconds"]) for a, b in zip(ours, chosen, strict=True)
            )
    return result


def check_facts(facts: dict, num_parameters: int) -> None:
    """Raises `NotTheSameWorkError` unless all have the same parameters and compute the same -ELBO before training."""
    for name, fact in facts.items():
        if fact["parameters"] != num_parameters:
            raise NotTheSameWorkError(f"{name} has {fact['parameters']} parameters instead of {num_parameters}")
    probes = {name: fact["probe"] for name, fact in facts.items()}
    if probes and max(probes.values()) - min(probes.values()) > PROBE_BAND:
        raise NotTheSameWorkError(f"-ELBO of the same weights and images differs: {_listed(probes)}")


def check_losses(losses: dict) -> None:
    """Raises `NotTheSameWorkError` if the losses after equal training lie too far apart."""
    if not losses:
        return
    middle = statistics.median(losses.values())
    if not all(abs(loss - middle) <= LOSS_BAND * abs(middle) for loss in losses.values()):
        raise NotTheSameWorkError(f"-ELBO after the same number of steps differs: {_listed(losses)}")


def compare_estimates(ours, theirs) -> dict:
    """Returns the mean difference of two lists of estimates of the same images, and its standard error, in nats.

    Raises:
      NotTheSameWorkError: if the difference is above four standard errors.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    if abs(mean) > 4.0 * error + 1e-3:
        raise NotTheSameWorkError(f"log p(x) of the same model differs by {mean:.4f} +- {error:.4f} nats")
    return {"mean": mean, "standard_error": error}


def best_products(blocks: dict, flop: dict) -> dict:
    """Returns job -> the least seconds of all libraries and rounds, the library, and GFLOP/s.

    The times are the least ones and not medians, because they serve as bounds.

    Args:
      blocks: library -> list of rounds with {"best": {job: seconds}}.
      flop: job -> floating-point operations.
    """
    result = {}
    for job, operations in flop.items():
        seconds, library = min(
            (block["best"][job], name) for name, rounds in blocks.items() for block in rounds if job in block["best"]
        )
        result[job] = {"seconds": seconds, "library": library, "gflops": operations / seconds / 1e9}
    return result


def bounds(products: dict, key: str, flop_per_image: int, batch_size: int) -> dict:
    """Returns the images a second that products alone would allow.

    Args:
      products: the result of `best_products`.
      key: the job with the products of the training step, if it was measured.
      flop_per_image: floating-point operations of a training step's products for each image.
      batch_size: number of images in a step.
    """
    peak = max((product["gflops"] for job, product in products.items() if job.startswith("square")), default=None)
    result = {"peak": None if peak is None else 1e9 * peak / flop_per_image}
    result["own_shapes"] = batch_size / products[key]["seconds"] if key in products else None
    return result


def _listed(values):
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
