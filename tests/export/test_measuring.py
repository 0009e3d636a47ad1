"""Latency and memory are positive numbers that follow the file, and a broken file is an error that names it."""

import subprocess

import numpy as np
import pytest
from helpers import make_vae

from export import measuring, tflite
from export.packing import pack
from export.signatures import Signatures


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """What is measured of a small decoder and of one with 5 million weights, 20 MB."""
    folder, measured = tmp_path_factory.mktemp("measuring"), {}
    # A program of the user's in the working directory is not taken for ours.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(folder)
    (folder / "export.py").write_text("raise SystemExit('not ours')")
    for name, units in (("small", (16,)), ("large", (2200, 2200))):
        path = folder / f"{name}.tflite"
        path.write_bytes(pack(tflite.convert(Signatures(make_vae(units=units), 1), ("decode",), 1)))
        measured[name] = measuring.measure(path, "decode")
    monkeypatch.undo()
    return measured


@pytest.mark.parametrize("name", ["small", "large"])
def test_figures_are_positive_numbers_of_the_right_size(figures, name):
    assert set(figures[name]) == {"latency_ms", "peak_memory_kb"}
    assert set(figures[name]["latency_ms"]) == {str(n) for n in measuring.NUM_THREADS} == {"1", "4"}
    # From a microsecond to a second, on any machine.
    assert all(1e-3 < value < 1e3 for value in figures[name]["latency_ms"].values())
    assert 0 < figures[name]["peak_memory_kb"] < 1e6
    assert isinstance(figures[name]["peak_memory_kb"], int)


def test_a_large_decoder_takes_longer_and_more_memory(figures):
    # A thousand times the arithmetic, and 20 MB of weights that XNNPACK copies for itself.
    assert figures["large"]["latency_ms"]["1"] > 10 * figures["small"]["latency_ms"]["1"]
    assert figures["large"]["peak_memory_kb"] - figures["small"]["peak_memory_kb"] > 15_000


@pytest.mark.parametrize(
    ("content", "signature"), [(b"no model" * 100, "decode"), (b"", "decode"), (None, "decode"), ("dense", "nothing")]
)
def test_what_cannot_be_run_is_one_error_that_names_the_file(tmp_path, dense, content, signature):
    path = tmp_path / "broken.tflite"
    if content == "dense":
        content = (dense.folder / "decoder.tflite").read_bytes()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"broken\.tflite cannot be measured: \S+") as error:
        measuring.measure(path, signature)
    assert "\n" not in str(error.value)


def test_a_process_that_is_killed_is_an_error(monkeypatch):
    killed = subprocess.CompletedProcess([], -9, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(RuntimeError, match=r"x\.tflite cannot be measured: killed"):
        measuring.measure("x.tflite", "decode")


def test_the_median_is_taken_after_the_warm_up(monkeypatch, dense):
    # A clock on which call i takes i seconds: 5 calls warm up, then 5, 6, ..., 54.
    calls = np.arange(measuring.WARM_UP + measuring.NUM_CALLS)
    ticks = iter(np.stack([np.zeros(len(calls)), calls], axis=1).ravel())
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(ticks))
    latency = measuring._latency_ms(str(dense.folder / "decoder.tflite"), "decode", 1)
    assert latency == 1e3 * (5 + 54) / 2
