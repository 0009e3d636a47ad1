import dataclasses
import json
import re

import pytest
from helpers import ROOT, slow_from

pytest.importorskip("matplotlib")

from benchmarks.published import __main__ as published
from benchmarks.published.rows import ROWS
from keras_vae.runs.config import Config


@pytest.fixture
def small(monkeypatch):
    """The rows with networks and schedules of a second, on sklearn's 8 x 8 digits."""
    changes = dict(dataset="digits", hidden_units=(8,), epochs=2, num_importance_samples=3, num_components=3)
    rows = {
        name: dataclasses.replace(row, config=dataclasses.replace(row.config, binarization="threshold", **changes))
        for name, row in ROWS.items()
    }
    monkeypatch.setattr(published, "ROWS", rows)
    return rows


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_measured_as_published(name):
    row = ROWS[name]
    # The published values of two families are ELBOs, which need few samples. The networks over pixels draw 100 for each
    # image, because 5,000 would take 35 hours.
    others = {"tfp-advi": ("static", 10), "cvae-tutorial": ("threshold", 50), "pixel": ("auto", 100)}
    expected = others.get(re.sub("-(5k|10k|1e-3|flow|flow-night)$", "", name), ("auto", 5000))
    assert (row.config.dataset, row.config.binarization, row.config.num_importance_samples) == ("mnist", *expected)
    assert row.measure in ("test_elbo", "test_log_likelihood")
    assert row.published < 0


@pytest.mark.parametrize("name", slow_from(1, ["iwae-5", "vamp"]))
def test_a_row_runs_once_and_its_result_says_what_was_run(name, small, tmp_path):
    pytest.importorskip("sklearn")
    result = published.run(name, tmp_path / "runs", tmp_path / "results")
    assert json.loads((tmp_path / "results" / f"{name}.json").read_text()) == result
    assert len(result["curve"]["seconds"]) == len(result["curve"]["val_elbo"]) == 2
    assert result["settings"]["epochs"] == 2
    assert result["report"]["versions"]["tensorflow"]
    before = (tmp_path / "runs" / name / "report.json").stat().st_mtime_ns
    assert published.run(name, tmp_path / "runs", tmp_path / "results")["report"] == result["report"]
    assert (tmp_path / "runs" / name / "report.json").stat().st_mtime_ns == before


def test_the_table_shows_the_measure_that_was_published(small):
    report = {
        "test_elbo": -103.123,
        "test_log_likelihood": -98.456,
        "test_log_likelihood_standard_error": 0.25,
        "active_units": 13,
        "train_seconds": 41.7,
    }
    results = [
        {
            "row": name,
            "title": row.title,
            "measure": row.measure,
            "published": row.published,
            "source": row.source,
            "remark": row.remark,
            "settings": ROWS[name].config.to_dict(),
            "machine": {"cores": 2},
            "report": report,
        }
        for name, row in ROWS.items()
    ]
    lines = published.table(results).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert re.search(
        r"ELBO -104.00 .*\*\*-103.12\*\* \| -98.46 \+- 0.25 \(S = 5,000\) \| 13 of 20 \| 10 \| 42 s on 2", lines[2]
    )
    assert "| **-98.46 +- 0.25 (S = 5,000)** | ELBO -103.12 | 13 of 50 | 1000 |" in lines[3]
    assert "| 13 of 150 |" in lines[4]  # of both layers


@pytest.mark.slow
def test_a_row_that_was_killed_goes_on_and_keeps_the_machine_it_began_on(small, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    from keras_vae.runs import training

    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/flax.machine.json").write_text('{"cores": 1024}')
    with monkeypatch.context() as patch:
        patch.setattr(training.evaluation, "evaluate", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            published.run("flax", tmp_path / "runs", tmp_path / "results")
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", lambda *_: pytest.fail("trained again"))
        result = published.run("flax", tmp_path / "runs", tmp_path / "results")
    assert result["report"]["active_units"] >= 0
    assert result["machine"] == {"cores": 1024}


@pytest.mark.slow
def test_a_row_killed_after_its_run_has_the_machine(small, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    with monkeypatch.context() as patch:
        patch.setattr(published.json, "loads", lambda _: 1 / 0)  # the first thing after the run
        with pytest.raises(ZeroDivisionError):
            published.run("flax", tmp_path / "runs", tmp_path / "results")
    assert (tmp_path / "runs" / "flax" / "report.json").exists()
    result = published.run("flax", tmp_path / "runs", tmp_path / "results")
    assert result["machine"]["python"] == result["report"]["versions"]["python"]


def test_the_plot_has_a_curve_and_a_test_value_of_every_dynamic_row():
    report = {"train_seconds": 9.0, "test_log_likelihood": -88.0}
    results = [
        {
            "row": name,
            "settings": {"binarization": kind},
            "report": report,
            "curve": {"seconds": [1, 9], "val_elbo": [-99, -91]},
        }
        for name, kind in (("a", "auto"), ("b", "static"), ("c", "auto"))
    ]
    axes = published.figure(results).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "c", "test"]
    curves = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xydata())]
    assert curves == 2 * [[[1, 99], [9, 91]], [[9, 88]]]


def test_the_page_of_results_shows_the_table_of_what_was_run():
    lines = published.table(published.read_results(published.RESULTS)).splitlines()
    assert len(lines) > 2
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert "\n".join(lines) in text


def test_every_result_is_of_the_settings_of_its_row():
    for result in published.read_results(published.RESULTS):
        assert Config.from_dict(result["settings"]) == dataclasses.replace(ROWS[result["row"]].config, run_dir="")
