"""The commands as a user types them: `python train.py` and `python -m export`, each in a process of its own."""

import csv
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

import commands
import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import ROOT, make_vae
from PIL import Image

import keras_vae as kv
from keras_vae import plotting
from keras_vae.measure import evaluation
from keras_vae.runs import build
from keras_vae.runs.config import FIELDS, Config
from keras_vae.runs.options import expected
from keras_vae.runs.presets import PRESETS
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils import atomic_files

TRAIN = (sys.executable, str(ROOT / "train.py"))
EXPORT = (sys.executable, "-m", "export")
TINY = ("--epochs=1", "--hidden_units=16", "--num_importance_samples=2", "--batch_size=1000")
SLOW_PACKAGES = ("tensorflow", "tensorflow_probability", "keras", "ai_edge_litert", "matplotlib")
# A line of a log, not of the program: TensorFlow's own start cannot be silenced everywhere.
LOG_LINE = re.compile(r"[IWE]\d{4} |WARNING: All log messages before absl::InitializeLog|INFO: ")


def run(command, cwd, *first_on_path):
    path = os.pathsep.join(map(str, (*first_on_path, ROOT)))
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300
    )


def the_error(result):
    """Returns the one line that the command wrote, and checks that it is one and the exit code is 2."""
    lines = [line for line in result.stderr.splitlines() if not LOG_LINE.match(line)]
    assert (result.returncode, len(lines)) == (2, 1), result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def snapshot(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# What is answered before TensorFlow is imported.


@pytest.fixture(scope="module")
def poison(tmp_path_factory):
    """A folder of packages that cannot be imported, to be put first on the path."""
    folder = tmp_path_factory.mktemp("poison")
    for name in SLOW_PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ImportError('{name} was imported')\n")
    return folder


@pytest.mark.parametrize("command", [(*TRAIN, "--run_dir=new"), (*EXPORT, "run")], ids=["train", "export"])
def test_poison_works_and_real_work_does_need_tensorflow(tmp_path, poison, command):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model.keras").touch()
    result = run(command, tmp_path, poison)
    assert result.returncode == 2
    assert re.fullmatch(r"error: (tensorflow|keras) was imported\n", result.stderr)


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpfull"])
def test_help_of_train_lists_every_setting_and_preset_at_once(tmp_path, poison, flag):
    result = run((*TRAIN, flag), tmp_path, poison)
    assert (result.returncode, result.stderr) == (0, "")
    flags = set(re.findall(r"^  --(?:\[no\])?(\w+):", result.stdout, re.MULTILINE))
    assert flags == {field.name for field in dataclasses.fields(Config)} | {"preset", "resume"}
    for name, preset in PRESETS.items():
        assert f"\n  {name}: {preset.description}\n" in result.stdout


def test_help_shows_the_default_of_every_setting(tmp_path, poison):
    text = run((*TRAIN, "--help"), tmp_path, poison).stdout
    shown = dict(re.findall(r"^  --(?:\[no\])?(\w+):.*?\(default: '(.*?)'\)", text, re.MULTILINE | re.DOTALL))
    del shown["preset"], shown["resume"]
    defaults = dataclasses.asdict(Config())
    for name in ("learning_rate", "epsilon"):
        assert float(shown.pop(name)) == defaults.pop(name)
    for name in [name for name, value in defaults.items() if isinstance(value, tuple)]:
        assert shown.pop(name) == ",".join(map(str, defaults.pop(name)))
    for name in [name for name, value in defaults.items() if isinstance(value, bool)]:
        assert shown.pop(name) == str(defaults.pop(name)).lower()
    assert shown == {name: str(value) for name, value in defaults.items()}


def test_help_states_the_range_of_every_number(tmp_path, poison):
    text = " ".join(run((*TRAIN, "--help"), tmp_path, poison).stdout.split())
    for name, field in FIELDS.items():
        stated = f"; {expected(field)} (default: '" in re.search(rf"--(\[no\])?{name}:.*?\(default: '", text)[0]
        assert stated == (type(field.default) in (int, float, tuple)), name


def test_help_of_export_lists_its_flags_at_once(tmp_path, poison):
    result = run((*EXPORT, "--help"), tmp_path, poison)
    assert (result.returncode, result.stderr) == (0, "")
    assert "python -m export RUN_DIR" in result.stdout
    flags = set(re.findall(r"^  --(?:\[no\])?(\w+):", result.stdout, re.MULTILINE))
    of_files = {"num_samples", "batch_size", "variants", "max_nats", "overwrite"}
    assert flags == of_files | {"onnx", "web", "litertjs", "serve", "port"}


def test_help_takes_well_under_a_second(tmp_path):
    def seconds():
        started = time.perf_counter()
        assert run((*TRAIN, "--help"), tmp_path).returncode == 0
        return time.perf_counter() - started

    # The best of three, as the machine may be busy; importing TensorFlow alone takes more than two seconds.
    assert min(seconds() for _ in range(3)) < 0.8


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--nonsense=1", "nonsense"),
        ("--network=cnn", "--network=cnn: value should be one of <mlp|conv>"),
        ("--preset=fast", "--preset=fast: value should be one of"),
        ("--epochs=abc", "--epochs=abc: .*int.*'abc'"),
        ("--epochs=1.5", "--epochs=1.5: "),
        ("--learning_rate=x", "--learning_rate=x: .*float"),
        ("--export=maybe", "--export=maybe: "),
        ("--epochs", "[Mm]issing value.*--epochs"),
        ("--epochs=0", "`epochs` must be an integer from 1 to 1,000,000. Received: 0"),
        ("--latent_dim=-3", "`latent_dim` .*from 1 to .* Received: -3"),
        ("--kl_weight=-0.5", "`kl_weight` .*from 0 to .* Received: -0.5"),
        ("--learning_rate=0", "`learning_rate` must be a number between 0 and 1,000, both excluded. Received: 0.0"),
        ("--learning_rate=-1", "`learning_rate` must .* Received: -1.0"),
        ("--learning_rate=nan", "`learning_rate` must .* Received: nan"),
        ("--validation_fraction=1", "`validation_fraction` .*between 0 and 1, .*Received: 1.0"),
        ("--test_fraction=0", "`test_fraction` .*between 0 and 1, .*Received: 0.0"),
        ("--image_size=9by13", "`image_size` must be HEIGHTxWIDTH or one number, .*Received: '9by13'"),
        ("--on_bad_image=mend", "--on_bad_image=mend: value should be one of <stop|skip>"),
        ("--seed=2147483648", "`seed` .*Received: 2147483648"),
        ("--hidden_units=16,x", "`hidden_units` must be integers separated by commas. Received: 'x'"),
        ("--hidden_units=16,0", "`hidden_units` .*from 1 to .* Received: 0"),
        ("stray", "unexpected argument 'stray'"),
        ("--run_dir=existing", "`run_dir` must not exist.* Received: existing"),
        ("--run_dir=existing/file", "`run_dir` must not exist.* Received: existing/file"),
    ],
)
def test_mistake_in_train_is_one_line_before_tensorflow(tmp_path, poison, argument, message):
    (tmp_path / "existing").mkdir()
    (tmp_path / "existing" / "file").write_text("precious")
    result = run((*TRAIN, argument), tmp_path, poison)
    assert re.search(message, the_error(result))
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert snapshot(tmp_path) == {"existing/file": b"precious"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "missing argument RUN_DIR"),
        (("run", "stray"), "unexpected argument 'stray'"),
        (("run", "--nonsense"), "nonsense"),
        *((("run", f"--num_samples={n}"), f"--num_samples={n}: .*range .1, 100000.") for n in (0, 2**31, 10**25)),
        (("run", "--num_samples=x"), "--num_samples=x: .*'x'"),
        *((("run", f"--batch_size={n}"), f"--batch_size={n}: .*range .0, 100000.") for n in (-1, 10**9, 2**64)),
        *((("run", f"--max_nats={x}"), "--max_nats=.*0, 1000000") for x in (-0.5, "inf", 1e308)),
        (("run", "--max_nats=nan"), "--max_nats=nan: .*must be a number from 0 to 1000000"),
        (("run", "--port=70000"), "--port=70000: "),
        (("run", "--serve", "--variants=float16"), "--serve without --web .* exports nothing. Received: --variants"),
        (("run", "--overwrite=maybe"), "--overwrite=maybe: "),
    ],
)
def test_mistake_in_export_is_one_line_before_tensorflow(tmp_path, poison, arguments, message):
    result = run((*EXPORT, *arguments), tmp_path, poison)
    assert re.search(message, the_error(result))
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert list(tmp_path.iterdir()) == []


def test_serving_a_page_that_was_not_exported_is_one_line_before_tensorflow(tmp_path, poison):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model.keras").touch()
    result = run((*EXPORT, "run", "--serve"), tmp_path, poison)
    assert the_error(result).startswith("error: --serve needs an export with --web. Received: ")


# Real runs. Each is made once, when a test asks for it, and all but the first begin with TensorFlow imported.


class Results(dict):
    """What each command wrote and returned, run when it is first asked for."""

    def __init__(self, folder, given):
        self.folder, self.given = folder, given

    def __missing__(self, name):
        cwd = self.folder / "no_data" if name == "no_data" else self.folder
        # TensorFlow says things of its own while it is imported, so one run imports it.
        begin = run if name == "first" else lambda command, cwd: commands.run(command[1:], cwd)
        self[name] = begin(self.given[name], cwd)
        return self[name]


class Runs(NamedTuple):
    """The folder all commands run in, and what they did."""

    folder: pathlib.Path
    results: Results


def damaged_runs(folder):
    make_vae().save(folder / "model.keras")
    content = (folder / "model.keras").read_bytes()
    for name, data in (("truncated", content[: len(content) // 2]), ("garbage", b"garbage\n" * 100)):
        (folder / name).mkdir()
        (folder / name / "model.keras").write_bytes(data)
    (folder / "empty").mkdir()


def own_data(folder):
    """Writes 24 images of two classes and two sizes, and one that is broken."""
    random = np.random.default_rng(0)
    for i in range(24):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (9 + i % 3, 13, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "ab"[i % 2] / f"{i}.png")
    (folder / "b" / "broken.png").write_bytes(b"no image")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    damaged_runs(folder)
    (folder / "file").write_text("precious")
    (folder / "no_data").mkdir()
    own_data(folder / "pets")
    own = ("--dataset=pets", "--image_size=9x13")
    given = {
        "first": (*TRAIN, *TINY, "--latent_dim=2", "--run_dir=first"),
        "again": (*TRAIN, *TINY, "--latent_dim=2", "--run_dir=deep/again", "--noexport"),
        "other": (*TRAIN, "--preset=latent2d", *TINY, "--run_dir=other", "--noexport", "--seed=1"),
        "no_data": (*TRAIN, "--dataset=fashion_mnist", f"--data_dir={folder / 'no_data'}"),
        "own_data": (*TRAIN, *TINY, *own, "--on_bad_image=skip", "--run_dir=own"),
        "bad_data": (*TRAIN, *TINY, *own, "--run_dir=bad"),
        "below_file": (*TRAIN, *TINY, "--run_dir=file/run"),
        **{name: (*EXPORT, name) for name in ("truncated", "garbage", "empty")},
        # Before the model, which is damaged.
        "foo": (*EXPORT, "garbage", "--variants=float32,foo"),
    }
    return Runs(folder, Results(folder, given))


@pytest.fixture(scope="module")
def first(runs):
    """The run directory of a run that went well."""
    result = runs.results["first"]
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1].endswith("done: see first")
    return runs.folder / "first"


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def read_metrics(run_dir):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_run_directory_holds_the_documented_files(first):
    assert {p.name for p in first.iterdir()} == {
        "config.json",
        "data.json",
        "metrics.csv",
        "model.keras",
        "report.json",
        "seconds.csv",
        "tensorboard",
        "figures",
        "export",
        atomic_files.MARKER,
    }
    assert {p.name for p in (first / "figures").iterdir()} == {atomic_files.MARKER} | {
        f"{name}.png" for name in ("reconstructions", "samples", "interpolation", "learning_curve", "latent_map")
    }
    assert {p.name for p in (first / "export").iterdir()} == {
        "saved_model",
        "decoder.tflite",
        "encoder.tflite",
        "autoencoder.tflite",
        "model_card.json",
        atomic_files.MARKER,
    }


def test_config_json_holds_every_setting_of_the_run(first):
    expected = Config(
        epochs=1, hidden_units=(16,), latent_dim=2, num_importance_samples=2, batch_size=1000, run_dir="first"
    )
    assert read_json(first / "config.json") == expected.to_dict()


@pytest.mark.slow
def test_flags_override_the_preset(runs):
    assert runs.results["other"].returncode == 0, runs.results["other"].stderr
    written = read_json(runs.folder / "other" / "config.json")
    preset = PRESETS["latent2d"].settings
    assert (written["latent_dim"], written["epochs"], written["seed"]) == (preset["latent_dim"], 1, 1)
    assert preset["epochs"] != 1
    assert written["export"] is False
    assert not (runs.folder / "other" / "export").exists()


def test_metrics_have_a_line_an_epoch_and_add_up(first):
    rows = read_metrics(first)
    keys = ["elbo", "kl", "kl_weight", "log_likelihood", "loss"]
    assert list(rows[0]) == ["epoch", *keys, *(f"val_{key}" for key in keys)]
    assert [row["epoch"] for row in rows] == ["0"]
    row = {key: float(value) for key, value in rows[0].items()}
    for prefix in ("", "val_"):
        elbo, kl, weight, log_likelihood, loss = (row[prefix + key] for key in keys)
        np.testing.assert_allclose(elbo, log_likelihood - kl, rtol=1e-5)
        np.testing.assert_allclose(loss, -elbo, rtol=1e-5)
        assert (weight, kl > 0) == (1.0, True)
        # Far better than one bit a pixel, which is 784 ln 2 = 543 nats.
        assert -300 < elbo < 0


def test_tensorboard_shows_the_numbers_of_the_metrics(first):
    row = read_metrics(first)[0]
    for split, prefix in (("train", ""), ("validation", "val_")):
        (path,) = (first / "tensorboard" / split).glob("events.out.tfevents.*")
        values = [value for event in tf.compat.v1.train.summary_iterator(str(path)) for value in event.summary.value]
        shown = {value.tag: float(tf.make_ndarray(value.tensor)) for value in values if value.HasField("tensor")}
        for key in ("elbo", "log_likelihood", "kl"):
            np.testing.assert_allclose(shown[f"epoch_{key}"], float(row[prefix + key]), rtol=1e-6)


def test_report_holds_what_was_measured_and_on_what(first):
    report = read_json(first / "report.json")
    assert report["test_elbo"] < report["test_log_likelihood"] < 0
    assert (report["num_importance_samples"], report["num_examples"], report["seed"]) == (2, 10_000, 0)
    assert 0 <= report["active_units"] <= 2
    assert report["train_seconds"] > 0
    assert 0.1 < report["peak_memory_gib"] < 64
    np.testing.assert_allclose(report["images_per_second"] * report["train_seconds"], 55_000, rtol=1e-9)
    # 784 - 16 - 2 * 2, 2 - 16 - 784, and the 784 means that the encoder subtracts.
    assert report["parameters"] == (785 * 16 + 17 * 4) + (3 * 16 + 17 * 784)
    assert report["data"]["shape"] == [28, 28, 1]
    assert [report["data"][split] for split in ("train", "validation", "test")] == [55_000, 5_000, 10_000]
    assert report["versions"] == {
        "keras_vae": kv.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "tensorflow": tf.__version__,
        "tensorflow_probability": tfp.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


@pytest.fixture(scope="module")
def loaded(first):
    """The model of the run, and its data."""
    config = RunDir(first).config
    return RunDir(first).model(), build.load_data(config)


def test_saved_model_gives_the_numbers_of_the_report_again(first, loaded):
    vae, dataset = loaded
    report = read_json(first / "report.json")
    measured = evaluation.evaluate(vae, dataset.test, num_importance_samples=2, seed=0)
    for key in ("elbo", "elbo_standard_error", "log_likelihood", "log_likelihood_standard_error"):
        np.testing.assert_allclose(report[f"test_{key}"], measured[key], rtol=1e-5)
    np.testing.assert_allclose(report["kl_per_dimension"], measured["kl_per_dimension"], rtol=1e-5)
    assert report["active_units"] == measured["active_units"]
    validation = vae.evaluate(dataset.validation, batch_size=1000, verbose=0, return_dict=True)
    np.testing.assert_allclose(float(read_metrics(first)[0]["val_elbo"]), validation["elbo"], rtol=1e-5)


def test_figures_are_drawn_and_the_samples_are_those_of_the_model(first, loaded):
    for path in (first / "figures").glob("*.png"):
        assert matplotlib.image.imread(path)[..., :3].std() > 0.02, path.name
    vae, _ = loaded
    samples = matplotlib.image.imread(first / "figures" / "samples.png")[..., :3]
    # The same grid, drawn larger.
    expected = plotting.tile(vae.sample(100, seed=0).numpy(), 10)
    np.testing.assert_allclose(samples.mean(), expected.mean(), atol=0.01)


def test_export_of_a_run_carries_its_figures(first):
    card, report = read_json(first / "export" / "model_card.json"), read_json(first / "report.json")
    for key in ("test_elbo", "test_log_likelihood", "data"):
        assert card[key] == report[key]
    assert (card["latent_dim"], card["event_shape"]) == (2, [28, 28, 1])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(runs, first):
    assert [runs.results[name].returncode for name in ("again", "other")] == [0, 0]
    metrics = {name: (runs.folder / name / "metrics.csv").read_bytes() for name in ("first", "deep/again", "other")}
    assert metrics["first"] == metrics["deep/again"]
    assert metrics["first"].splitlines()[0] == metrics["other"].splitlines()[0]
    assert metrics["first"] != metrics["other"]
    elbo, other = (float(read_metrics(runs.folder / name)[0]["elbo"]) for name in ("first", "other"))
    assert 0 < abs(elbo - other) < 20


# Mistakes that only real work can find.


def test_missing_data_set_is_one_line_and_leaves_no_run_directory(runs):
    error = the_error(runs.results["no_data"])
    folder = runs.folder / "no_data"
    assert error.startswith("error: Data set 'fashion_mnist' cannot be loaded. Looked for a prepared data set")
    assert f"tfds build fashion_mnist --data_dir={folder}" in error
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_run_on_a_folder_of_images_says_what_it_read(runs):
    result = runs.results["own_data"]
    assert result.returncode == 0, result.stderr
    described = read_json(runs.folder / "own" / "report.json")["data"]
    assert (described["shape"], described["class_names"], described["source"]) == (
        [9, 13, 3],
        ["a", "b"],
        "images in pets",
    )
    assert [described[split] for split in ("train", "validation", "test")] == [18, 2, 4]
    assert "1 of 25 images in pets cannot be read: pets/b/broken.png (" in result.stderr
    assert "16 of 24 images resized to 9x13" in result.stderr
    assert read_json(runs.folder / "own" / "config.json")["image_size"] == "9x13"
    assert read_json(runs.folder / "own" / "export" / "model_card.json")["data"] == described


def test_a_broken_image_is_one_line_and_leaves_no_run_directory(runs):
    error = the_error(runs.results["bad_data"])
    assert error.startswith("error: 1 of 25 images in pets cannot be read: pets/b/broken.png (not a PNG, JPEG, BMP,")
    assert not (runs.folder / "bad").exists()


def test_run_directory_that_cannot_be_made_is_one_line(runs):
    error = the_error(runs.results["below_file"])
    assert error.startswith("error: `run_dir` cannot be created: ")
    assert error.endswith("/file is no folder to write to. Received: file/run")
    assert (runs.folder / "file").read_text() == "precious"


def test_wrong_flags_of_the_export_are_one_line(runs):
    assert the_error(runs.results["foo"]) == (
        "error: `variants` must be some of float32, float16, full_int8, dynamic_int8, weight_int8, int8. "
        "Received: float32, foo"
    )


@pytest.mark.parametrize("name", ["truncated", "garbage"])
def test_damaged_model_is_one_line_that_names_the_file(runs, name):
    error = the_error(runs.results[name])
    assert error.startswith(f"error: {name}/model.keras is damaged: it is no zip archive")
    assert [p.name for p in (runs.folder / name).iterdir()] == ["model.keras"]


def test_run_without_model_is_one_line_that_names_it(runs):
    assert the_error(runs.results["empty"]) == "error: RUN_DIR must hold a model.keras. Received: empty"
    assert list((runs.folder / "empty").iterdir()) == []


# Exporting again.


@pytest.fixture(scope="module")
def copy(first, tmp_path_factory):
    """A copy of the run, whose export may be replaced."""
    return pathlib.Path(shutil.copytree(first, tmp_path_factory.mktemp("copy") / "run"))


@pytest.mark.slow  # in Python, test_export.py
def test_export_replaces_an_old_one_only_with_overwrite(copy):
    before = snapshot(copy)
    result = commands.run((*EXPORT[1:], "run"), copy.parent)
    assert the_error(result) == ("error: the export folder must not exist, or pass --overwrite. Received: run/export")
    assert snapshot(copy) == before

    result = commands.run((*EXPORT[1:], "run", "--overwrite", "--num_samples=4", "--batch_size=0"), copy.parent)
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1].endswith("done: see run/export")
    after = snapshot(copy)
    assert set(after) == set(before)
    assert {name for name in before if before[name] != after[name] and not name.startswith("export/")} == set()
    old, new = (json.loads(files["export/model_card.json"]) for files in (before, after))
    assert [card["signatures"]["sample"]["outputs"]["z"]["shape"] for card in (old, new)] == [[16, 2], [4, 2]]
    assert [card["batch_size_in_tflite"] for card in (old, new)] == [1, None]
    assert new["test_elbo"] == old["test_elbo"]


@pytest.mark.slow
def test_variants_are_measured_on_the_test_set_and_written_if_they_hold(first, tmp_path):
    shutil.copytree(first, tmp_path / "run", ignore=shutil.ignore_patterns("export"))
    pytest.importorskip("ai_edge_quantizer")
    result = commands.run((*EXPORT[1:], "run", "--variants=float32,float16,int8"), tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "run" / "export"
    card = read_json(folder / "model_card.json")
    written = {name: figures for name, figures in card["files"].items() if "not_written" not in figures}
    assert {path.name for path in folder.iterdir()} == {*written, "model_card.json", atomic_files.MARKER}
    for file in ("decoder", "encoder", "autoencoder"):
        schemes = {figures["scheme"] for name, figures in card["files"].items() if name.startswith(f"{file}")}
        assert {"float32", "float16", "full_int8"} <= schemes
        exact, half = written[f"{file}.tflite"], written[f"{file}_float16.tflite"]
        assert half["bytes"] < exact["bytes"] == (folder / f"{file}.tflite").stat().st_size
        # float32 costs nothing, but the rounding of sums of 784 terms; half precision little.
        assert abs(exact["log_likelihood_change"]) < 1e-3
        assert abs(half["log_likelihood_change"]) < 0.1
    for name, figures in card["files"].items():
        if name != "saved_model":
            assert figures["measured_on"] == "test images of mnist"
            assert 0 < figures["latency_ms"]["1"] < 1000
            changes = [figures[key] for key in ("elbo_change", "log_likelihood_change") if key in figures]
            assert (min(changes) < -0.5) == ("not_written" in figures)
            assert str(figures.get("not_written", "")) in result.stderr
