"""Measures runs on pictures that stay on the disk: `python benchmarks/on_disk.py FOLDER --pictures=200000`.

Pictures of 64 x 64 x 3 are made in FOLDER/pictures unless they are there, from waves of random colors. `train.py` runs
on them twice: the first run decodes them to FOLDER/cache, the second finds them there. Printed are the seconds to the
first block of steps, those of an epoch, and the peak memory. With fewer than 21,000 pictures a third run, without a
cache, has them in memory.
"""

import argparse
import concurrent.futures
import csv
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
SIZE, CLASSES, EPOCHS = 64, 100, 2
RUN = ("--hidden_units=64", "--latent_dim=16", f"--epochs={EPOCHS}", "--batch_size=128", "--noexport", "--noadapt")
MEASURED = ("--test_images=1000", "--num_importance_samples=10")


def make_pictures(folder: pathlib.Path, count: int) -> None:
    """Writes JPEGs in folders of classes."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE

    def make(number: int) -> None:
        random = np.random.default_rng(number)
        waves = random.normal(size=(3, 2)) * 9.0
        phases = waves[:, :1, None] * rows + waves[:, 1:, None] * columns + 6.3 * random.random((3, 1, 1))
        picture = (127.5 * (1.0 + np.sin(phases))).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(picture).save(folder / f"{number % CLASSES:02}" / f"{number:07}.jpg", quality=90)

    for label in range(CLASSES):
        (folder / f"{label:02}").mkdir(parents=True)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(make, range(count)))


def run(folder: pathlib.Path, *flags: str) -> dict[str, float]:
    """Trains; returns the seconds to the first block, the seconds of the last epoch, and the peak memory in MB."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    train = [sys.executable, "-u", str(ROOT / "train.py"), "--dataset=pictures", "--run_dir=run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began, first, said = time.perf_counter(), None, b""
    process = subprocess.Popen(
        [*train, *RUN, *MEASURED, *flags], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    while part := os.read(process.stdout.fileno(), 4096):
        said += part
        if first is None and b"elbo: " in said:  # the progress bar has numbers when a block has ended
            first = time.perf_counter() - began
    _, status, usage = os.wait4(process.pid, 0)
    if status or first is None:
        raise SystemExit(f"error: the run failed:\n{said.decode()}")
    with (folder / "run" / "seconds.csv").open(newline="") as file:
        ends = [float(row["seconds"]) for row in csv.DictReader(file)]
    return {"first block": first, "last epoch": ends[-1] - ends[-2], "peak MB": usage.ru_maxrss / 1024}


def main() -> None:
    """Makes the pictures, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where pictures, cache and runs go")
    parser.add_argument("--pictures", type=int, default=20_000, help="how many pictures are made")
    options = parser.parse_args()
    if not (options.folder / "pictures").exists():
        make_pictures(options.folder / "pictures", options.pictures)
    shutil.rmtree(options.folder / "cache", ignore_errors=True)
    runs = {"decoded": ("--cache_dir=cache",), "found": ("--cache_dir=cache",)}
    if options.pictures < 21_000:
        runs["in memory"] = ()
    for name, flags in runs.items():
        figures = run(options.folder, *flags)
        print(f"{name:10}", *(f"{what} {value:.1f}" for what, value in figures.items()), sep="  ", flush=True)


if __name__ == "__main__":
    main()
