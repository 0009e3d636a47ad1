"""Runs rows of the table of published numbers, or prints the table of the rows that were run.

    python -m benchmarks.published flax
    python -m benchmarks.published --table

The same command continues an interrupted run, which ends with the numbers of a run that was never interrupted.
"""

import argparse
import dataclasses
import json
import pathlib

from absl import logging

from benchmarks.published.rows import ROWS
from benchmarks.speed import machine
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils.json_files import write_json

RESULTS = pathlib.Path(__file__).parent.parent / "results" / "published"
PLOT = pathlib.Path(__file__).parent.parent.parent / "docs" / "published.png"


def run(name: str, folder: pathlib.Path, results: pathlib.Path) -> dict:
    """Trains and measures a row, or continues its run; writes NAME.json and returns its content."""
    from keras_vae.runs import tables, training

    row = ROWS[name]
    run_dir, machine_file = folder / name, folder / f"{name}.machine.json"
    config = dataclasses.replace(row.config, run_dir=str(run_dir))
    if not (run_dir / "report.json").exists():
        # The file is written before the run and beside it, so that a run that ended has it, whenever it was killed. It
        # is not written again, because it describes the machine on which the run began.
        folder.mkdir(parents=True, exist_ok=True)
        if not machine_file.exists():
            write_json(machine_file, machine.describe())
        training.run(config, resume=True)
    elif (before := RunDir(run_dir).config) != config:
        raise SystemExit(f"error: `runs` must hold {name} with the settings of its row. Received: {run_dir}, {before}")
    report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    metrics = tables.read(run_dir / "metrics.csv", row.config.epochs)
    seconds = tables.read(run_dir / "seconds.csv", row.config.epochs)["seconds"]
    result = {
        "row": name,
        "title": row.title,
        "measure": row.measure,
        "published": row.published,
        "source": row.source,
        "remark": row.remark,
        "settings": {**row.config.to_dict(), "run_dir": ""},
        "machine": json.loads(machine_file.read_text(encoding="utf-8")),
        "report": report,
        "curve": {"seconds": seconds, "val_elbo": metrics["val_elbo"]},
    }
    results.mkdir(parents=True, exist_ok=True)
    write_json(results / f"{name}.json", result)
    return result


def read_results(folder: pathlib.Path) -> list[dict]:
    """Returns the results in a folder, in the order of `ROWS`."""
    paths = (folder / f"{name}.json" for name in ROWS)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def table(results: list[dict]) -> str:
    """Returns the results as a Markdown table; log likelihoods have their standard error over the test images."""
    lines = [
        "| row | published | reached | other bound | active units | epochs | training, cores | how it differs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        # Settings that are newer than a result get their defaults.
        report, config = result["report"], Config.from_dict(result["settings"])
        likelihood = (
            f"{report['test_log_likelihood']:.2f} +- {report['test_log_likelihood_standard_error']:.2f} "
            f"(S = {config.num_importance_samples:,})"
        )
        elbo = f"{report['test_elbo']:.2f}"
        units = sum((config.latent_dim, *config.upper_latent_dims))
        is_elbo = result["measure"] == "test_elbo"
        reached, other = (elbo, likelihood) if is_elbo else (likelihood, f"ELBO {elbo}")
        lines.append(
            f"| `{result['row']}`: {result['title']} "
            f"| {'ELBO ' if is_elbo else ''}{result['published']:.2f} [{result['source']}] "
            f"| **{reached}** | {other} | {report['active_units']} of {units} | {config.epochs} "
            f"| {report['train_seconds']:.0f} s on {result['machine']['cores']} "
            f"| {result['remark']} |"
        )
    return "\n".join(lines)


def figure(results: list[dict]):
    """Returns a plot of the validation ELBO over seconds of training, with the test log likelihood at the end.

    It only has rows on dynamically binarized images, because the others are on another scale.
    """
    from matplotlib.figure import Figure

    plot = Figure(figsize=(8, 4.5), layout="constrained")
    axes = plot.subplots()
    for result in results:
        if result["settings"]["binarization"] != "auto":
            continue
        curve, report = result["curve"], result["report"]
        (line,) = axes.plot(curve["seconds"], [-value for value in curve["val_elbo"]], label=result["row"])
        axes.plot(report["train_seconds"], -report["test_log_likelihood"], "*", ms=10, color=line.get_color())
    axes.plot([], [], "*", ms=10, color="gray", label="test")
    axes.set_xscale("log")
    axes.set_ylim(78, 110)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("nats: -ELBO of the validation set; * NLL of the test set")
    axes.grid(alpha=0.3)
    axes.legend()
    return plot


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=f"one or more of {', '.join(ROWS)}")
    parser.add_argument("--table", action="store_true", help="print the table of the results, and draw the plot")
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/published"), help="folder of the runs")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--plot", type=pathlib.Path, default=PLOT, help="file of the plot that --table draws")
    flags = parser.parse_args()
    logging.set_verbosity(logging.INFO)
    if not flags.rows and not flags.table:
        parser.error("at least one ROW or --table must be given. Received: neither")
    for name in flags.rows:
        run(name, flags.runs, flags.results)
    if flags.table:
        results = read_results(flags.results)
        print(table(results))
        figure(results).savefig(flags.plot, dpi=110)


if __name__ == "__main__":
    main()
