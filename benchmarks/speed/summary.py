"""From rounds of blocks to medians, ratios and shares of the bound: pure functions of numbers."""

import statistics

from benchmarks.speed.rounds import OURS, QUIET

# How far apart the losses of contestants may be at the end, relative to their median: who trains less lies outside.
LOSS_BAND = 0.02
# How far apart the same function may be computed in float32, in nats of about 500.
PROBE_BAND = 0.01


class NotTheSameWorkError(RuntimeError):
    """Contestants do not compute the same thing, so that their times mean nothing."""


def quiet_rounds(blocks: dict) -> list[int]:
    """Returns the numbers of the rounds that other processes left alone; all of them if there is no such round."""
    count = min((len(rounds) for rounds in blocks.values()), default=0)
    quiet = [i for i in range(count) if all(rounds[i].get("others", 0.0) <= QUIET for rounds in blocks.values())]
    return quiet or list(range(count))


def spread(values) -> dict:
    """Returns median, smallest and largest."""
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
            # Ours first: above 1, we are faster.
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
    """Returns job -> the best seconds of all libraries and rounds, which library, and GFLOP/s; bests, being bounds.

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
      products: what `best_products` returned.
      key: the job with the products of the training step, if it was measured.
      flop_per_image: floating-point operations of a training step's products, an image.
      batch_size: images a step.
    """
    peak = max((product["gflops"] for job, product in products.items() if job.startswith("square")), default=None)
    result = {"peak": None if peak is None else 1e9 * peak / flop_per_image}
    result["own_shapes"] = batch_size / products[key]["seconds"] if key in products else None
    return result


def _listed(values):
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
