"""Measures the speed of keras_vae and of its peers, which do the same work in turn for several rounds of one run.

python -m benchmarks.speed --peers_python=PATH      everything, in about three quarters of an hour on two cores
python -m benchmarks.speed --quick --only=keras_vae   a first look, in half a minute
python -m benchmarks.speed --table                  the tables of the last run
python -m benchmarks.speed --scaling                how the time of our step grows with its sizes

The peers have an environment of their own: `python -m venv peers && peers/bin/pip install ".[peers]"`, then
`--peers_python=peers/bin/python`. The results are speed.json and speed.png (or scaling.json and scaling.png) in
benchmarks/results.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile

from absl import logging

from benchmarks.speed import machine, report
from benchmarks.speed.processes import ROOT
from benchmarks.speed.rounds import NETWORKS, OURS, TRAINERS
from benchmarks.speed.summary import NotTheSameWorkError

RESULTS = ROOT / "benchmarks/results"
SECTIONS = ("training", "profile", "evaluation", "command", "workers")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The parts that are measured, and for how long; the defaults are those of a full run."""

    pythons: dict
    only: tuple[str, ...] = ()
    networks: tuple[str, ...] = NETWORKS
    rounds: int = 5
    quick: bool = False
    patience: float = 0.0
    images: int = 20_000
    epochs: int = 2
    gemm_rounds: int = 3
    gemm_seconds: float = 0.5
    num_samples: int = 1000
    num_images: int = 200
    many_images: int = 300
    command_rounds: int = 3

    def includes(self, contestant) -> bool:
        """Whether a contestant takes part."""
        return not self.only or contestant.name in self.only

    def includes_library(self, library) -> bool:
        """Whether matrix products are timed in a library; in that of the peers they only are if a peer takes part."""
        return library.ours or not self.only or bool(set(self.only) - {OURS})


def parse(arguments) -> argparse.Namespace:
    """Returns the flags."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peers_python", default="", help="interpreter of an environment with the peers")
    add("--rounds", type=int, default=5, help="number of blocks that each contestant runs")
    add("--quick", action="store_true", help="one workload and short blocks, which give a first look and no result")
    add("--only", default="", help=f"names, separated by commas: {', '.join(c.name for c in TRAINERS)}; empty: all")
    add("--networks", default="", help=f"networks to train, separated by commas: {', '.join(NETWORKS)}; empty: all")
    add("--sections", default=",".join(SECTIONS), help="parts to run, separated by commas")
    add("--patience", type=float, default=0.0, help="most seconds to wait before each block for an idle machine")
    add("--output", type=pathlib.Path, default=RESULTS, help="folder of the results")
    add("--table", action="store_true", help="print the tables of the last run")
    add("--scaling", action="store_true", help="measure how the time of our step grows with its sizes")
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def make_settings(flags) -> Settings:
    """Returns the settings of the flags.

    Raises:
      ValueError: for a contestant, network or section that does not exist, or less than one round.
    """
    only, networks = _names(flags.only), _names(flags.networks)
    for flag, given, known in (
        ("only", only, [c.name for c in TRAINERS]),
        ("networks", networks, NETWORKS),
        ("sections", _names(flags.sections), SECTIONS),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"`{flag}` must be one or more of {', '.join(known)}. Received: {', '.join(unknown)}")
    if flags.rounds < 1:
        raise ValueError(f"`rounds` must be a positive integer. Received: {flags.rounds}")
    # The path is not resolved: the interpreter of a virtual environment is a link, and finds its packages by the link.
    peers = str(pathlib.Path(flags.peers_python).absolute()) if flags.peers_python else ""
    pythons = {"ours": sys.executable, "peers": peers}
    quick = {}
    if flags.quick:
        quick = dict(images=4000, epochs=1, gemm_rounds=1, gemm_seconds=0.1)
        quick |= dict(num_samples=50, num_images=20, command_rounds=0)
    rounds = min(flags.rounds, 2) if flags.quick else flags.rounds
    return Settings(pythons, only, networks or NETWORKS, rounds, flags.quick, flags.patience, **quick)


def measure(settings: Settings, sections) -> dict:
    """Runs the sections; returns the report."""
    import numpy as np

    from benchmarks.speed import command, evaluation, gemm, profile, training, workers, workloads
    from keras_vae.data.sources import mnist

    # The report names the environments and not the paths of their interpreters.
    pythons = {"ours": "keras_vae", "peers": "peers" if settings.pythons["peers"] else ""}
    result = {"machine": machine.describe(), "settings": {**dataclasses.asdict(settings), "pythons": pythons}}
    with tempfile.TemporaryDirectory() as folder:
        data, test = pathlib.Path(folder, "train.npy"), pathlib.Path(folder, "test.npy")
        (train_images, _), (test_images, _) = mnist.read()
        np.save(data, train_images.reshape(len(train_images), -1))
        evaluation.write_test_images(test, test_images, max(settings.num_images, settings.many_images))
        jobs = [job for job in workloads.training(settings.images) if job.network in settings.networks]
        jobs = jobs[: 1 if settings.quick else None]
        dense = [job for job in jobs if job.network == "dense"]
        networks = list({job.name: job for job in dense}.values())
        products = [(job.key, gemm.training_step(job)) for job in dense]
        products += [(evaluation.bound_key(job), gemm.decoding(job, evaluation.ROWS)) for job in networks]
        if set(sections) & {"training", "profile", "evaluation"}:
            result["gemm"] = training.measure_products(settings, products)
        if "training" in sections:
            result["training"] = [training.measure(settings, job, data, result["gemm"]) for job in jobs]
        if "profile" in sections:
            result["profile"] = [profile.measure(settings, job, data, result["gemm"]) for job in dense]
        if "evaluation" in sections:
            result["evaluation"] = [evaluation.measure(settings, job, data, test, result["gemm"]) for job in networks]
        if "workers" in sections:
            result["workers"] = workers.measure(settings, data)
    if "command" in sections and not settings.quick:
        result["command"] = command.measure(settings)
    return result


def save(folder: pathlib.Path, name: str, result, figure) -> None:
    """Writes NAME.json and NAME.png."""
    from keras_vae.utils.json_files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", result)
    if figure is not None:
        figure.savefig(folder / f"{name}.png", dpi=110)


def main(arguments=None) -> None:
    """Measures, or prints what was measured."""
    flags = parse(arguments)
    logging.set_verbosity(logging.INFO)
    if flags.table:
        print(report.table(json.loads((flags.output / "speed.json").read_text(encoding="utf-8"))))
        return
    try:
        settings = make_settings(flags)
    except ValueError as error:
        sys.exit(f"error: {error}")
    from benchmarks.speed import plots

    if flags.scaling:
        from benchmarks.speed import scaling

        points = scaling.measure(settings)
        save(flags.output, "scaling", {"machine": machine.describe(), "points": points}, plots.scaling(points))
        return
    try:
        result = measure(settings, _names(flags.sections))
    except NotTheSameWorkError as error:
        sys.exit(f"error: {error}")
    rows = result.get("training")
    save(flags.output, "speed", result, plots.training(rows) if rows else None)
    print(report.table(result))


if __name__ == "__main__":
    main()
