"""A finished run as a folder for the Hub."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from helpers import ROOT, make_binary

from keras_vae.cli import hub as hub_command
from keras_vae.integrations import hub
from keras_vae.runs import training
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils import atomic_files


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    np.save(folder / "data.npy", make_binary(120))
    settings = dict(dataset=str(folder / "data.npy"), hidden_units=(8,), latent_dim=2, epochs=2)
    return training.run(Config(num_importance_samples=3, run_dir=str(folder / "run"), **settings))


@pytest.fixture(scope="module")
def saved(run_dir):
    return hub.save_pretrained(run_dir, run_dir.parent / "my-vae", license="mit")


def test_the_folder_holds_the_model_its_settings_its_figures_and_a_card(run_dir, saved):
    names = {"README.md", "config.json", "model.keras", "report.json", "reconstructions.png", "samples.png"}
    assert {path.name for path in saved.iterdir()} == {atomic_files.MARKER, *names}
    assert (saved / "model.keras").read_bytes() == (run_dir / "model.keras").read_bytes()
    for name, changed in (("config.json", {"dataset", "run_dir"}), ("report.json", {"data"})):
        before, after = (json.loads((folder / name).read_text()) for folder in (run_dir, saved))
        assert before.keys() == after.keys()
        assert {key for key in after if after[key] != before[key]} == changed
    copy = hub.from_pretrained(saved)
    np.testing.assert_array_equal(copy.sample(3, seed=1), RunDir(run_dir).model().sample(3, seed=1))


def test_nothing_of_the_folder_tells_where_data_and_run_lay(run_dir, saved):
    for path in saved.iterdir():
        assert str(run_dir.parent).encode() not in path.read_bytes()
    assert json.loads((saved / "config.json").read_text())["dataset"] == "./data.npy"
    assert json.loads((saved / "report.json").read_text())["data"]["source"] == "arrays in data.npy"


@pytest.mark.parametrize(
    ("dataset", "source", "expected"),
    [
        ("/home/me/pets/", "images in /home/me/pets", ("./pets", "pets", "images in pets")),
        ("~//pets", "images in /home/me/pets", ("./pets", "pets", "images in pets")),
        ("/home/me/mnist", "IDX files in /home/me/mnist", ("./mnist", "mnist", "IDX files in mnist")),
        ("../a.npz", "arrays in ../a.npz", ("./a.npz", "a.npz", "arrays in a.npz")),
        ("/home/me/a.xyz", "a new kind in /home/me/a.xyz", ("./a.xyz", "a.xyz", "a new kind in a.xyz")),
        ("mnist", "MNIST as shipped with keras_vae", ("mnist", "mnist", "MNIST as shipped with keras_vae")),
        ("emnist/letters", "tensorflow-datasets emnist/letters/3.1.0", ("emnist/letters", "emnist/letters", None)),
    ],
)
def test_of_a_path_the_last_part_is_left_and_other_names_are_kept(dataset, source, expected):
    settings, report = hub._without_paths(
        Config(dataset=dataset, data_dir="/home/me").to_dict(), {"data": {"name": dataset, "source": source}}
    )
    found = settings["dataset"], report["data"]["name"], report["data"]["source"]
    assert found == (*expected[:2], expected[2] or source)
    assert settings["data_dir"] == ""


def test_the_card_has_the_figures_of_the_report(saved):
    _, header, text = (saved / "README.md").read_text().split("---\n", 2)
    metadata, report = yaml.safe_load(header), json.loads((saved / "report.json").read_text())
    assert (metadata["library_name"], metadata["license"]) == ("keras", "mit")
    values = {metric["type"]: metric["value"] for metric in metadata["model-index"][0]["results"][0]["metrics"]}
    assert values == {key: report[key] for key in values}
    assert set(values) == {"test_elbo", "test_log_likelihood", "test_reconstruction_error"}
    assert f"| ELBO, nats | {report['test_elbo']:.2f} ± {report['test_elbo_standard_error']:.2f} |" in text
    assert f"| active units | {report['active_units']} |" in text
    assert "(S = 3)" in text
    assert "![samples](samples.png)" in text
    assert "for the test.\n" in text
    report["data"]["test_left_out"] = 9_990
    card = hub.card(hub.from_pretrained(saved), report, Config().to_dict(), [], "mit", "pets")
    assert "for the test; 9,990 more were left out of it.\n" in card


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda run, folder: (folder, folder / "new"), "`run_dir` must be a run that has ended"),
        (lambda run, folder: (run, run), "`folder` must not exist, or be empty"),
        (lambda run, folder: (run, folder / "a" / "b"), "`folder` must lie in a folder that exists"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(run_dir, tmp_path, capsys, make, message):
    before = sorted(run_dir.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        hub_command.main([str(path) for path in make(run_dir, tmp_path)])
    error = capsys.readouterr().err
    assert (stopped.value.code, error.count("\n")) == (2, 1)
    assert error.startswith(f"error: {message}")
    assert sorted(run_dir.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_a_damaged_report_is_named(run_dir, tmp_path):
    broken = tmp_path / "run"
    broken.mkdir()
    for name in hub.FILES:
        (broken / name).write_bytes((run_dir / name).read_bytes())
    (broken / "report.json").write_text('{"data": {}}')
    with pytest.raises(ValueError, match=r"report\.json is damaged"):
        hub.save_pretrained(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_says_where_the_card_is_and_nothing_else(run_dir, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        (sys.executable, "-m", "keras_vae.cli", "hub", str(run_dir), str(tmp_path / "out")),
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (0, "", 1), result.stderr
    assert result.stderr.endswith(f"see {tmp_path / 'out' / 'README.md'}\n")


def test_a_full_disk_is_one_line_and_leaves_nothing(run_dir, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.keras")

    monkeypatch.setattr(hub.shutil, "copy", full)
    with pytest.raises(SystemExit) as stopped:
        hub_command.main([str(run_dir), str(tmp_path / "out")])
    assert (stopped.value.code, capsys.readouterr().err) == (2, "error: No space left on device: model.keras\n")
    assert not list(tmp_path.iterdir())


def copied(run_dir, folder):
    """Returns a copy of what the folder for the Hub is made of."""
    copy = folder / "run"
    (copy / "figures").mkdir(parents=True)
    for name in (*hub.FILES, *(f"figures/{name}" for name in hub.FIGURES)):
        (copy / name).write_bytes((run_dir / name).read_bytes())
    return copy


@pytest.mark.parametrize("kind", ["a link out", "a pipe", "a circle"])
@pytest.mark.parametrize("name", ["model.keras", "config.json", "report.json", "figures/samples.png"])
def test_what_is_no_file_of_the_run_is_one_error_at_once(run_dir, tmp_path, capsys, name, kind):
    copy, secret = copied(run_dir, tmp_path), tmp_path / "secret"
    (copy / name).rename(secret)
    if kind == "a pipe":
        os.mkfifo(copy / name)
    else:
        (copy / name).symlink_to(secret if kind == "a link out" else copy / name)
    with pytest.raises(SystemExit) as stopped:
        hub_command.main([str(copy), str(tmp_path / "out")])
    error = capsys.readouterr().err
    expected = f"error: {copy / name} must be a regular file of the run, and no link that leads out of it\n"
    assert (stopped.value.code, error) == (2, expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "secret"]


def test_a_folder_of_figures_elsewhere_is_not_read(run_dir, tmp_path):
    copy = copied(run_dir, tmp_path)
    (copy / "figures").rename(tmp_path / "elsewhere")
    (copy / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"figures/samples\.png must be a regular file of the run"):
        hub.save_pretrained(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_inside_a_run_are_followed(run_dir, tmp_path):
    copy = copied(run_dir, tmp_path)
    (copy / "model.keras").rename(copy / "best.keras")
    (copy / "model.keras").symlink_to("best.keras")
    (tmp_path / "latest").symlink_to(copy)
    folder = hub.save_pretrained(tmp_path / "latest", tmp_path / "out")
    assert (folder / "model.keras").read_bytes() == (run_dir / "model.keras").read_bytes()
    assert not (folder / "model.keras").is_symlink()


def test_a_folder_of_the_cache_of_the_hub_which_holds_links_is_loaded(saved, tmp_path):
    (tmp_path / "model.keras").symlink_to(saved / "model.keras")
    assert hub.from_pretrained(tmp_path).latent_dim == 2


HOSTILE = "<script>alert(1)</script> [x](javascript:y) | `z` ![i](http://a/b.png)\n# title"


def test_texts_of_a_report_are_shown_and_are_no_markup(run_dir, saved):
    settings, report = (
        json.loads((saved / "config.json").read_text()),
        json.loads((run_dir / "report.json").read_text()),
    )
    report = {**report, "test_measure": HOSTILE, "seed": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    report["data"] = {**report["data"], "name": HOSTILE, "binarization": HOSTILE}
    _, header, text = hub.card(hub.from_pretrained(saved), report, settings, [], HOSTILE, "a_b").split("---\n", 2)
    metadata = yaml.safe_load(header)
    assert (metadata["license"], metadata["model-index"][0]["results"][0]["dataset"]["name"]) == (HOSTILE, HOSTILE)
    shown = r"&lt;script&gt;alert(1)&lt;/script&gt; \[x\](javascript:y) \| \`z\` \!\[i\](http://a/b.png) \# title"
    assert text.count(shown) == 6
    assert "# a\\_b" in text
    assert not any(mark in text for mark in ("<script", "[x](", "| `z", "![i]", "\n# title"))


def test_a_report_of_other_types_is_one_error(run_dir, tmp_path):
    copy = copied(run_dir, tmp_path)
    report = json.loads((copy / "report.json").read_text())
    (copy / "report.json").write_text(json.dumps({**report, "parameters": "<b>"}))
    with pytest.raises(ValueError, match=r"report\.json is damaged: "):
        hub.save_pretrained(copy, tmp_path / "out")
