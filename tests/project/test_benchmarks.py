"""benchmarks/speed: medians, ratios, bounds and tables of made-up numbers, and one short run."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

from benchmarks.speed import __main__ as command_line
from benchmarks.speed import gemm, profile, report, scaling, summary, workloads
from benchmarks.speed.processes import MissingError, Worker, WorkerError
from benchmarks.speed.rounds import Contestant, Field

DENSE = workloads.Workload("784-512-256-8", "dense", (512, 256), 8, "relu", 100, 1000)


def block(rate, others=0.0, loss=100.0):
    return {"seconds": 1000 / rate, "cpu_seconds": 2000 / rate, "images": 1000, "others": others, "loss": loss}


BLOCKS = {
    "keras_vae": [block(30e3), block(20e3), block(40e3)],
    "JAX": [block(10e3), block(10e3), block(10e3)],
}


# What the work costs.


def test_parameters_and_operations_are_those_of_the_layers():
    # (784+1)*512 + (512+1)*256 + (256+1)*16, and (8+1)*256 + (256+1)*512 + (512+1)*784
    assert DENSE.num_parameters == 401_920 + 131_328 + 4_112 + 2_304 + 131_584 + 402_192
    products = 784 * 512 + 512 * 256 + 256 * 16 + 8 * 256 + 256 * 512 + 512 * 784
    assert DENSE.flop_per_image == 6 * products - 2 * 784 * 512
    assert DENSE.decoder_flop == 2 * (8 * 256 + 256 * 512 + 512 * 784)


def test_the_products_of_a_step_have_the_operations_of_the_step():
    total = sum(2 * a * b * c for a, b, c, *_ in gemm.training_step(DENSE))
    assert total == 100 * DENSE.flop_per_image
    assert sum(2 * a * b * c for a, b, c, *_ in gemm.decoding(DENSE, 7)) == 7 * DENSE.decoder_flop


def test_products_of_transposed_operands_have_the_right_shapes():
    products = gemm.NumPyProducts(cores=1)
    run = products._prepare([[2, 3, 4, False, False], [2, 3, 4, True, False], [2, 3, 4, False, True]])
    assert [result.shape for result in run()] == [(2, 4)] * 3
    best = products.block({"a": [[8, 8, 8, False, False]]}, seconds=0.0)["best"]
    assert 0 < best["a"] < 10


def test_initial_weights_are_glorot_uniform():
    weights = workloads.initial_weights(DENSE, seed=3)
    assert sum(weight.size for weight in weights) == DENSE.num_parameters
    limit = math.sqrt(6 / (784 + 512))
    assert np.abs(weights[0]).max() == pytest.approx(limit, rel=1e-3)
    assert weights[0].std() == pytest.approx(limit / math.sqrt(3), rel=0.01)
    np.testing.assert_array_equal(weights[1], np.zeros(512))


def test_the_model_of_a_workload_is_ours():
    ours = pytest.importorskip("benchmarks.speed.contestants.ours")
    for workload in (DENSE, *workloads.training()[-2:]):
        vae = ours.build(workload)
        shapes = [tuple(variable.shape) for variable in vae.trainable_variables]
        assert shapes == [weight.shape for weight in workloads.initial_weights(workload)]


# From rounds to numbers.


def test_rates_are_medians_and_ratios_are_taken_round_by_round():
    rates = summary.rates(BLOCKS)
    assert rates["keras_vae"]["per_second"] == pytest.approx({"median": 30e3, "min": 20e3, "max": 40e3})
    assert rates["JAX"]["ours_is_faster_by"] == pytest.approx({"median": 3.0, "min": 2.0, "max": 4.0})
    assert rates["keras_vae"]["ours_is_faster_by"]["median"] == 1.0
    assert rates["JAX"]["cpu_us_each"] == pytest.approx(200.0)


def test_rounds_that_others_disturbed_do_not_count_unless_all_are():
    blocks = {"keras_vae": [block(30e3), block(10e3, others=0.9)], "JAX": [block(10e3), block(10e3)]}
    assert summary.quiet_rounds(blocks) == [0]
    assert summary.rates(blocks)["keras_vae"]["per_second"]["median"] == pytest.approx(30e3)
    blocks["JAX"][0]["others"] = 1.0
    assert summary.quiet_rounds(blocks) == [0, 1]
    assert summary.rates(blocks)["JAX"]["others"] == 1.0


def test_without_us_there_are_no_ratios():
    assert "ours_is_faster_by" not in summary.rates({"JAX": BLOCKS["JAX"]})["JAX"]


def test_different_work_is_an_error():
    same = {"parameters": DENSE.num_parameters, "probe": 544.05}
    summary.check_facts({"a": same, "b": {**same, "probe": 544.0501}}, DENSE.num_parameters)
    with pytest.raises(summary.NotTheSameWorkError, match="b has 3 parameters instead of 1073440"):
        summary.check_facts({"a": same, "b": {**same, "parameters": 3}}, DENSE.num_parameters)
    with pytest.raises(summary.NotTheSameWorkError, match=r"differs: a 544\.0500, b 545\.0000"):
        summary.check_facts({"a": same, "b": {**same, "probe": 545.0}}, DENSE.num_parameters)
    summary.check_losses({"a": 100.0, "b": 101.0, "c": 99.0})
    with pytest.raises(summary.NotTheSameWorkError, match="after the same number of steps"):
        summary.check_losses({"a": 100.0, "b": 104.0, "c": 99.0})
    with pytest.raises(summary.NotTheSameWorkError, match="after the same number of steps"):
        summary.check_losses({"a": 100.0, "b": math.nan, "c": 99.0})


def test_estimates_are_compared_by_their_standard_error():
    ours = np.array([1.0, 2.0, 3.0, 4.0])
    result = summary.compare_estimates(ours, ours + np.array([0.1, -0.1, 0.2, 0.0]))
    assert result["mean"] == pytest.approx(-0.05)
    assert result["standard_error"] == pytest.approx(np.std([0.1, -0.1, 0.2, 0.0], ddof=1) / 2)
    with pytest.raises(summary.NotTheSameWorkError, match=r"differs by -1\.0\d+"):
        summary.compare_estimates(ours, ours + np.array([1.0, 1.1, 1.0, 1.1]))


def test_the_bound_is_the_best_of_all_libraries():
    blocks = {
        "NumPy": [{"best": {"square 1024": 0.02, "step": 0.010}}, {"best": {"square 1024": 0.01, "step": 0.012}}],
        "PyTorch": [{"best": {"square 1024": 0.03, "step": 0.005}}],
    }
    best = summary.best_products(blocks, {"square 1024": 2e9, "step": 1e9})
    assert best["square 1024"] == {"seconds": 0.01, "library": "NumPy", "gflops": pytest.approx(200.0)}
    assert best["step"]["library"] == "PyTorch"
    bounds = summary.bounds(best, "step", flop_per_image=10_000_000, batch_size=100)
    assert bounds == pytest.approx({"peak": 20_000.0, "own_shapes": 20_000.0})
    assert summary.bounds({}, "step", 1, 1) == {"peak": None, "own_shapes": None}


# Tables.


def made_up_report():
    rates = summary.rates(BLOCKS)
    contestants = {name: {**rates[name], "first_epoch_seconds": 2.0} for name in rates}
    contestants["pythae"] = {"missing": "package pythae is not installed"}
    contestants["PyTorch"] = {"failed": "MemoryError"}
    row = {"key": DENSE.key, "contestants": contestants, "bound": {"peak": 60e3, "own_shapes": 40e3}}
    evaluation = {
        "key": DENSE.name,
        "contestants": {"keras_vae": {"us_each": 2.0}, "pythae": {"missing": "no --peers_python was given"}},
        "bound_us_each": 1.0,
        "many_samples": None,
    }
    machine = {"processor": "X", "cores": 2, "instruction_sets": ["avx2"], "load_average_at_start": [0.5, 0.5, 0.5]}
    parts = {"key": DENSE.key, "ms": {"products": {"median": 1.0}, "fit, drawn images": {"median": 2.34}}}
    return {"machine": machine, "training": [row], "profile": [parts], "evaluation": [evaluation]}


def test_tables_hold_rates_ratios_shares_and_name_who_is_missing():
    text = report.table(made_up_report())
    assert "| **keras_vae** | 30k |" in text
    assert "| JAX | 10k (3.00x) |" in text
    assert "| pythae | missing |" in text
    assert "| PyTorch | failed |" in text
    assert "| bound: products of these shapes | 40k (75%) |" in text
    assert "| bound: products at peak rate | 60k (50%) |" in text
    assert "784-512-256-8, batch 100: pythae is missing: package pythae is not installed" in text
    assert "784-512-256-8: pythae is missing: no --peers_python was given" in text
    assert "PyTorch is failed: MemoryError" not in text
    assert "PyTorch failed: MemoryError" in text
    assert "| keras_vae | 2.000 |" in text
    assert "| products | 1.00 |\n| fit, drawn images | 2.34 |" in text
    assert "X, 2 cores (avx2), load average 0.5" in text


@pytest.mark.parametrize(
    ("value", "text"), [(812.4, "812"), (9217.0, "9.22k"), (37_812.0, "37.8k"), (99_960.0, "100k"), (123_456.0, "123k")]
)
def test_rates_are_written_with_three_digits(value, text):
    assert report.number(value) == text


def test_the_table_is_printed_from_the_json(tmp_path, capsys):
    (tmp_path / "speed.json").write_text(json.dumps(made_up_report()))
    command_line.main(["--table", f"--output={tmp_path}"])
    assert "| JAX | 10k (3.00x) |" in capsys.readouterr().out


def test_scaling_changes_one_size_at_a_time():
    points = scaling.points()
    assert {point["axis"] for point in points} == set(scaling.AXES)
    assert any(point["arguments"]["event_shape"] == [64, 64, 3] for point in points)
    assert any(point["arguments"]["workload"]["latent_dim"] == 128 for point in points)
    widths = [point["arguments"]["workload"]["hidden"] for point in points if point["axis"] == "width"]
    assert [width[0] for width in widths] == list(scaling.AXES["width"])


# Flags and processes.


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--only=keras", "`only` must be one or more of keras_vae, .* Received: keras"),
        ("--sections=train", "`sections` must be one or more of training, .* Received: train"),
        ("--rounds=0", "`rounds` must be a positive integer. Received: 0"),
    ],
)
def test_a_wrong_flag_is_named(flag, message):
    with pytest.raises(SystemExit, match=message):
        command_line.main([flag])


def test_missing_and_failing_contestants_are_named():
    with pytest.raises(MissingError, match="cannot be run: No such file"):
        Worker("/nowhere/python", "json:JSONDecoder")
    with pytest.raises(MissingError, match="package no_such_package is not installed"):
        Worker(sys.executable, "no_such_package:Trainer")
    with pytest.raises(WorkerError, match="TypeError"):
        Worker(sys.executable, "benchmarks.speed.gemm:NumPyProducts", wrong=1)
    absent = Contestant("pythae", "benchmarks.speed.gemm:NumPyProducts")
    present = Contestant("NumPy", "benchmarks.speed.gemm:NumPyProducts", ours=True)
    with Field([absent, present], {"ours": sys.executable, "peers": ""}, cores=1) as field:
        assert field.troubles == {"pythae": {"missing": "no --peers_python was given"}}
        blocks = field.blocks(2, jobs={"a": [[4, 4, 4, False, False]]}, seconds=0.0)
        assert len(blocks["NumPy"]) == 2
        assert field.each("no_such_method") == {}
        assert "no_such_method" in field.troubles["NumPy"]["failed"]


@pytest.mark.slow
def test_a_quick_run_gives_plausible_numbers(tmp_path):
    flags = ("--quick", "--only=keras_vae", "--sections=training,profile", f"--output={tmp_path}")
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    measured = json.loads((tmp_path / "speed.json").read_text())
    (row,) = measured["training"]
    ours = row["contestants"]["keras_vae"]
    assert len(ours["rounds"]) == 2
    assert 100 < ours["loss"] < 300
    assert 10 < ours["per_second"]["median"] < 1e7
    assert ours["per_second"]["median"] < row["bound"]["own_shapes"] * 2
    assert 100 < ours["peak_memory_mb"] < 10_000
    assert ours["versions"]["tensorflow"]
    assert measured["machine"]["cores"] >= 1
    assert "| **keras_vae** | " in result.stdout
    (parts,) = measured["profile"]
    assert list(parts["ms"]) == ["products", *profile.PARTS]
    times = {part: ms["min"] for part, ms in parts["ms"].items()}
    # As the parts grow; with room for other jobs of the machine.
    assert 0 < times["products in XLA"] < 2 * times["step, Adam"] < 4 * times["fit, drawn images"]
    assert (tmp_path / "speed.png").stat().st_size > 1000
