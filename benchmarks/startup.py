"""Measures how long `train.py --preset=quick --noexport` takes to its first block of steps and to its end.

    python benchmarks/startup.py
    python benchmarks/startup.py --other=FOLDER

With the root of another version in FOLDER both run in turn, so that they can be compared on a busy machine.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent


def seconds(root: pathlib.Path) -> tuple[float, float, float]:
    """Returns the seconds until the first block of steps has ended, until the run has, and until the process has."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-u",
            str(root / "train.py"),
            "--preset=quick",
            "--noexport",
            f"--run_dir={folder}/run",
        ]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, times = b"", {}
        assert process.stdout is not None
        while part := os.read(process.stdout.fileno(), 4096):
            said += part
            # The progress bar has numbers when a block has ended.
            times |= {mark: time.perf_counter() - began for mark in (b"elbo: ", b"done: see") if mark in said} | times
        if process.wait() or len(times) < 2:
            raise SystemExit(f"error: {command} failed:\n{said.decode()}")
        return times[b"elbo: "], times[b"done: see"], time.perf_counter() - began


def main() -> None:
    """Measures and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=pathlib.Path, help="root of another version, measured in turn")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    options = parser.parse_args()
    roots = [root.resolve() for root in (options.other, ROOT) if root]
    results: dict = {root: [] for root in roots}
    for _ in range(options.rounds):
        for root in roots:
            results[root].append(seconds(root))
    for root, rounds in results.items():
        first, done, whole = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"{root}: first block after {first:.1f} s, done after {done:.1f} s, ended after {whole:.1f} s")


if __name__ == "__main__":
    main()
