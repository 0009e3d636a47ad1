"""Figures of a run."""

from matplotlib import ticker
from matplotlib.figure import Figure

from benchmarks.speed.report import contestants
from benchmarks.speed.rounds import OURS


def training(rows: list[dict]) -> Figure:
    """Returns a panel of images a second for each workload, with bars, ranges over rounds, and the bounds as lines."""
    figure = Figure(figsize=(3.2 * len(rows), 3.4), layout="constrained")
    names = contestants(rows)
    for axes, row in zip(figure.subplots(1, len(rows), sharey=True, squeeze=False)[0], rows, strict=True):
        for place, name in enumerate(names):
            result = row["contestants"].get(name) or {}
            if "per_second" not in result:
                axes.text(0, place, f" {next(iter(result), '')}", va="center", fontsize=8, color="gray")
                continue
            rate = result["per_second"]
            error = [[rate["median"] - rate["min"]], [rate["max"] - rate["median"]]]
            color = "tab:orange" if name == OURS else "tab:blue"
            axes.barh(place, rate["median"], xerr=error, color=color, error_kw={"lw": 1})
        for key, style in (("own_shapes", ":"), ("peak", "--")):
            if row["bound"].get(key):
                axes.axvline(row["bound"][key], color="black", linestyle=style, linewidth=1)
        axes.set_title(row["key"], fontsize=9)
        axes.set_xlabel("images/s", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
        axes.tick_params(axis="x", labelsize=8)
    figure.axes[0].invert_yaxis()
    figure.suptitle("dotted: products of these shapes alone; dashed: at the best rate of a square product", fontsize=8)
    return figure


def scaling(points: list[dict]) -> Figure:
    """Returns a log-log panel of milliseconds a step for each size, with a line in proportion to its last point."""
    names = list(dict.fromkeys(point["axis"] for point in points))
    figure = Figure(figsize=(10.5, 6.0), layout="constrained")
    for axes, name in zip(figure.subplots(2, 3).flat, names, strict=False):
        chosen = [point for point in points if point["axis"] == name]
        values, times = ([point[key] for point in chosen] for key in ("value", "ms"))
        axes.loglog(values, times, "o-", markersize=4)
        axes.loglog(values, [times[-1] * value / values[-1] for value in values], "--", color="gray", linewidth=0.8)
        labels = [point["label"] for point in chosen]
        axes.set_xticks(values, labels, fontsize=7, rotation=30 if "x" in labels[0] else 0)
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.set_ylim(0.7 * min(times), 1.4 * max(times))
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.set_xlabel(name, fontsize=8)
        axes.set_ylabel("ms a step", fontsize=8)
        axes.grid(alpha=0.3)
    return figure
