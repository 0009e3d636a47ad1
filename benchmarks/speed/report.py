"""Makes the tables of docs/speed.md from the JSON of a run."""

from benchmarks.speed.rounds import OURS

VERBS = {"missing": "is missing", "failed": "failed"}


def number(value: float) -> str:
    """Returns a rate with three significant digits: 37.8k, 812."""
    if value < 1000:
        return f"{value:.3g}"
    thousands = value / 1000.0
    return f"{thousands:.0f}k" if thousands >= 99.95 else f"{thousands:.3g}k"


def contestants(rows: list[dict]) -> list[str]:
    """Returns the names of all contestants in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row["contestants"]))


def cell(result: dict | None) -> str:
    """Returns the table's entry for one contestant of one row."""
    if result is None:
        return ""
    for trouble in ("missing", "failed"):
        if trouble in result:
            return trouble
    text = number(result["per_second"]["median"])
    ratio = result.get("ours_is_faster_by", {}).get("median")
    return text if ratio is None or result.get("is_ours") else f"{text} ({ratio:.2f}x)"


def markdown(header: list, rows: list[list]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def training_table(rows: list[dict]) -> str:
    """Returns the table of images a second, with a row for each contestant and a column for each workload."""
    table = []
    for name in contestants(rows):
        results = [row["contestants"].get(name) for row in rows]
        results = [result and {**result, "is_ours": name == OURS} for result in results]
        table.append([f"**{name}**" if name == OURS else name, *map(cell, results)])
    for key, text in (("own_shapes", "bound: products of these shapes"), ("peak", "bound: products at peak rate")):
        values = [row["bound"].get(key) for row in rows]
        shares = [share(row, key) for row in rows]
        if any(values):
            entries = zip(values, shares, strict=True)
            table.append([text, *("" if v is None else number(v) + (f" ({s:.0%})" if s else "") for v, s in entries)])
    return markdown(["images/s", *(row["key"] for row in rows)], table)


def share(row: dict, key: str) -> float | None:
    """Returns the share of a bound that we reach, or None if one of them is unknown."""
    bound, ours = row["bound"].get(key), row["contestants"].get(OURS, {}).get("per_second")
    return ours["median"] / bound if bound and ours else None


def first_epoch_table(rows: list[dict]) -> str:
    """Returns the table of the seconds of the first epoch, which include compilation."""
    table = []
    for name in contestants(rows):
        results = [row["contestants"].get(name) or {} for row in rows]
        seconds = [result.get("first_epoch_seconds") for result in results]
        table.append([name, *("" if value is None else f"{value:.1f} s" for value in seconds)])
    return markdown(["first epoch, with compilation", *(row["key"] for row in rows)], table)


def profile_table(rows: list[dict]) -> str:
    """Returns the table of milliseconds a step, with a row for each part and a column for each workload."""
    table = [[part, *(f"{row['ms'][part]['median']:.2f}" for row in rows)] for part in rows[0]["ms"]]
    return markdown(["ms a step", *(row["key"] for row in rows)], table)


def evaluation_table(rows: list[dict]) -> str:
    """Returns the table of microseconds an image and sample."""
    table = []
    for name in contestants(rows):
        results = [row["contestants"].get(name) for row in rows]
        table.append([name, *map(_evaluation_cell, results)])
    if any(row.get("bound_us_each") for row in rows):
        table.append(["bound: products of the decoder", *(_bound(row.get("bound_us_each")) for row in rows)])
    return markdown(["us an image and sample", *(row["key"] for row in rows)], table)


def _bound(microseconds):
    return "" if microseconds is None else f"{microseconds:.3f}"


def _evaluation_cell(result):
    if result is None or "us_each" not in result:
        return "" if result is None else next(iter(result))
    ratio = result.get("ours_is_faster_by", {}).get("median", 1.0)
    return f"{result['us_each']:.3f}" + (f" ({ratio:.2f}x)" if ratio != 1.0 else "")


def workers_table(section: dict) -> str:
    """Returns the table of images a second of one and of two workers on one job."""
    table = [
        [name, number(row["per_second"]["median"]), f"{row['of_one']['median']:.2f}x"]
        for name, row in section["settings"].items()
    ]
    title = f"workers of one core, {section['network']}, batch {section['batch_size']} (weak: twice that)"
    return markdown([title, "images/s", "of one"], table)


def notes(report: dict) -> list[str]:
    """Returns lines on what the numbers depend on, and on who is missing or was disturbed."""
    machine, lines = report["machine"], []
    sets = ", ".join(machine["instruction_sets"])
    load = machine["load_average_at_start"][0]
    lines.append(f"{machine['processor']}, {machine['cores']} cores ({sets}), load average {load} at the start")
    lines.append(f"in brackets: how many times faster {OURS} is, round by round, and which share of a bound it reaches")
    sections = [report.get("training", []), report.get("evaluation", [])]
    for row in (row for rows in sections for row in rows):
        for name, result in row["contestants"].items():
            for trouble in ("missing", "failed"):
                if trouble in result:
                    lines.append(f"{row['key']}: {name} {VERBS[trouble]}: {result[trouble]}")
            if result.get("others", 0.0) > 0.15:
                lines.append(f"{row['key']}: {name} was disturbed: other processes used {result['others']:.2f} cores")
    for row in report.get("evaluation", []):
        if "difference_nats" in row:
            difference = row["difference_nats"]
            lines.append(
                f"{row['key']}: log p(x) of {OURS} less pythae's: {difference['mean']:+.4f} "
                f"+- {difference['standard_error']:.4f} nats"
            )
        many = row.get("many_samples") or {}
        if "seconds" in many:
            lines.append(
                f"{row['key']}: K = 5,000 on {many['count']} images: {many['seconds']:.1f} s, peak memory "
                f"{many['peak_memory_mb']} MB, {many['log_likelihood']:.2f} nats"
            )
    best = {job: p for job, p in report.get("gemm", {}).get("best", {}).items() if job.startswith("square")}
    if best:
        peak = max(best.values(), key=lambda product: product["gflops"])
        lines.append(f"best float32 matrix product: {peak['gflops']:.0f} GFLOP/s ({peak['library']})")
    if "command" in report:
        command = report["command"]
        lines.append(
            f"`{command['command']}`: {command['seconds']:.1f} s, peak memory {command['peak_memory_mb']} MB, "
            f"{command['seconds_to_first_block']:.1f} s to the end of the first block of steps"
        )
        lines.append("import: " + ", ".join(f"{name} {value:.2f} s" for name, value in command["imports"].items()))
    return lines


def table(report: dict) -> str:
    """Returns all tables and notes."""
    parts = []
    if report.get("training"):
        parts += [training_table(report["training"]), first_epoch_table(report["training"])]
    if report.get("profile"):
        parts.append(profile_table(report["profile"]))
    if report.get("evaluation"):
        parts.append(evaluation_table(report["evaluation"]))
    if report.get("workers"):
        parts += map(workers_table, report["workers"])
    parts.append("\n".join(f"- {line}" for line in notes(report)))
    return "\n\n".join(parts)
