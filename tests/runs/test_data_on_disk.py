"""Runs on data that stay on the disk have the numbers of runs on data in memory; a part of the test set is measured."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image
from small_runs import SETTINGS, interrupted, wait_for_rows

from keras_vae.data.rows import Rows
from keras_vae.runs import training
from keras_vae.runs.run_dir import RunDir


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The settings of a run on a folder of pictures."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for i in range(60):
        path = folder / "pets" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (6, 5), np.uint8)).save(path)
    return dataclasses.replace(SETTINGS, dataset=str(folder / "pets"), epochs=3, batch_size=8, likelihood="gaussian")


def run(settings, folder, **changes):
    return RunDir(training.run(dataclasses.replace(settings, run_dir=str(folder), **changes)))


def test_a_run_on_the_disk_has_the_bytes_of_one_in_memory(settings, tmp_path):
    expected = run(settings, tmp_path / "memory")
    for name in ("first", "again"):
        found = run(settings, tmp_path / name, cache_dir=str(tmp_path / "cache"))
        assert isinstance(found.dataset().train.values, Rows)
        assert found.metrics_file.read_bytes() == expected.metrics_file.read_bytes()
        assert found.data_file.read_bytes() == expected.data_file.read_bytes()
        of_machine = {"train_seconds", "images_per_second", "peak_memory_gib"}
        assert {k: v for k, v in found.report.items() if k not in of_machine} == {
            k: v for k, v in expected.report.items() if k not in of_machine
        }


def test_a_run_goes_on_in_memory_where_it_stopped_on_the_disk(settings, tmp_path, monkeypatch):
    expected = run(settings, tmp_path / "whole")
    stopped = dataclasses.replace(settings, run_dir=str(tmp_path / "parts"), cache_dir=str(tmp_path / "cache"))
    interrupted(monkeypatch, 1, stopped)
    assert len(RunDir(tmp_path / "parts").metrics_file.read_text().splitlines()) == 2
    found = RunDir(training.run(dataclasses.replace(stopped, cache_dir=""), resume=True))
    assert found.metrics_file.read_bytes() == expected.metrics_file.read_bytes()


PART = """
import json, sys
from keras_vae.runs import training
from keras_vae.runs.config import Config
training.run(Config.from_dict(json.loads(sys.argv[1])), resume=True, checkpoint_seconds=0)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_reads_the_disk_ends_with_the_same_metrics(settings, tmp_path):
    settings = dataclasses.replace(settings, epochs=60, cache_dir=str(tmp_path / "cache"))
    expected = run(settings, tmp_path / "whole")
    parts = dataclasses.replace(settings, run_dir=str(tmp_path / "parts"))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    process = subprocess.Popen([sys.executable, "-c", PART, json.dumps(parts.to_dict())], env=environment)
    wait_for_rows(tmp_path / "parts" / "metrics.csv", random.randrange(5, 45))
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    found = RunDir(training.run(parts, resume=True))
    assert found.metrics_file.read_bytes() == expected.metrics_file.read_bytes()
    assert found.report["test_elbo"] == expected.report["test_elbo"]


def test_a_part_of_the_test_set_is_measured_and_the_report_says_so(settings, tmp_path):
    report = run(settings, tmp_path / "run", test_images=4).report
    assert (report["data"]["test"], report["data"]["test_left_out"]) == (4, 6)
