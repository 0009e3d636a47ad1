import dataclasses
import errno
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, slow_from
from PIL import Image
from small_runs import LONG, SETTINGS, interrupted, wait_for_rows

from export import exporter
from keras_vae.data.sources import folder
from keras_vae.engine import compiled_steps
from keras_vae.engine.keras_compat import averages_of
from keras_vae.models.importance import ImportanceSampler
from keras_vae.runs import build, checkpoints, evaluate, figures, optimizer, tables, training
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir, make_run_dir
from keras_vae.runs.safe_loading import load_vae
from keras_vae.utils import atomic_files

REPORTED = ("test_elbo", "test_log_likelihood", "active_units", "parameters")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a small data set."""
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "gray.npy", np.random.default_rng(1).random((300, 6, 6), np.float32))
    np.save(folder / "data.npy", np.random.default_rng(0).integers(0, 2, (300, 6, 6)).astype(np.float32))
    return folder


@pytest.fixture
def here(data, tmp_path, monkeypatch):
    """An empty folder with the data set in it, as the working directory."""
    for path in data.glob("*.npy"):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Has the runs of this process write an empty figure, as drawing takes a second and no test here looks at it."""

    def draw_figures(vae, dataset, history, folder):
        folder.mkdir(exist_ok=True)
        atomic_files.mark(folder)
        (folder / "samples.png").touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "draw_figures", draw_figures)
        yield


@pytest.fixture(scope="module")
def whole(data):
    """A run that nobody interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(data)
        return data / training.run(SETTINGS)


AVERAGED = dataclasses.replace(SETTINGS, epochs=3, ema=0.99)


@pytest.fixture(scope="module")
def whole_with_averages(data):
    """A short run with averages of the weights that nobody interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(data)
        return data / training.run(dataclasses.replace(AVERAGED, run_dir="averages"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def assert_same_run(run_dir, whole):
    """The interrupted run ended as the whole one: every metric of every epoch to the bit, weights and report."""
    assert (run_dir / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    for a, b in zip(RunDir(run_dir).model().weights, RunDir(whole).model().weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [read(run_dir / "report.json")[key] for key in REPORTED] == [
        read(whole / "report.json")[key] for key in REPORTED
    ]
    assert not (run_dir / "checkpoints").exists()


@pytest.fixture(scope="module")
def ended_early(data, tmp_path_factory):
    """A run of 12 epochs that ended in epoch 7, and is only to be copied."""
    folder = tmp_path_factory.mktemp("ended_early")
    (folder / "data.npy").symlink_to(data / "data.npy")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder / interrupted(patch, 7)


@pytest.fixture
def stopped(ended_early, here):
    """The folder "run" here, of a run that ended in epoch 7 and may go on."""
    return pathlib.Path(shutil.copytree(ended_early, here / "run")).relative_to(here)


def test_an_interrupted_run_ends_with_the_numbers_of_a_whole_one(stopped, whole):
    assert checkpoints.epochs_saved(stopped / "checkpoints") == [7, 6]
    before = tables.read(stopped / "seconds.csv")["seconds"]
    # The kill came while a line was written.
    with (stopped / "metrics.csv").open("a") as file:
        file.write("7,0.1")
    assert_same_run(training.run(SETTINGS, resume=True), whole)
    after = tables.read(stopped / "seconds.csv")
    assert after["epoch"] == list(range(12))
    assert after["seconds"][:7] == before[:7]
    assert (np.diff(after["seconds"]) > 0).all()
    assert read(stopped / "report.json")["train_seconds"] == after["seconds"][-1]


@pytest.mark.parametrize(
    "changes",
    slow_from(
        1,
        [
            {
                "dataset": "gray.npy",
                "binarization": "dynamic",
                "prior": "vamp",
                "num_components": 4,
                "kl_warmup_steps": 60,
            },
            {"ema": 0.99, "weight_decay": 1e-2, "clip_norm": 1.0, "kl_warmup": 0.5, "beta_2": 0.99},
            {"objective": "iwae", "num_samples": 2},
            {"posterior": "full"},
            {"precision": "bfloat16", "ema": 0.99},
            {"precision": "float16"},
        ],
    ),
)
@pytest.mark.slow
def test_schedules_priors_and_draws_go_on_where_they_were(here, monkeypatch, changes):
    settings = dataclasses.replace(SETTINGS, epochs=6, **changes)
    whole = training.run(dataclasses.replace(settings, run_dir="whole"))
    interrupted(monkeypatch, 3, settings)
    assert_same_run(training.run(settings, resume=True), whole)


@pytest.mark.slow
def test_a_run_killed_after_training_is_only_measured(here, whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training.evaluation, "evaluate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            training.run(SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", lambda *_: pytest.fail("trained again"))
        assert_same_run(training.run(SETTINGS, resume=True), whole)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1e6, 0])
def test_a_run_killed_when_its_averages_were_no_weights_yet_ends_with_the_averages(
    here, whole_with_averages, monkeypatch, seconds
):
    with monkeypatch.context() as patch:
        patch.setattr(training, "draw_figures", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            training.run(AVERAGED, checkpoint_seconds=seconds)
    # After its last epoch a run has a checkpoint from before or after `fit` has put the averages in place.
    model = load_vae(checkpoints.path_of(pathlib.Path("run/checkpoints"), 3))
    pairs = [(weight.numpy(), average.numpy()) for weight, average in averages_of(model.optimizer)]
    assert any((weight != average).any() for weight, average in pairs) == (seconds == 0)
    assert_same_run(training.run(AVERAGED, resume=True), whole_with_averages)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:1000] + bytes(3000) + data[4000:]],
)
def test_a_damaged_checkpoint_is_passed_over(stopped, monkeypatch, damage):
    newest = checkpoints.path_of(stopped / "checkpoints", 7)
    newest.write_bytes(damage(newest.read_bytes()))
    said = []
    monkeypatch.setattr(checkpoints.logging, "warning", lambda text, *values: said.append(text % values))
    vae, epochs = checkpoints.restore(stopped / "checkpoints", load_vae, rename=True)
    assert (int(vae.train_steps.numpy()), epochs) == (6 * 8, 6)
    assert said[0].startswith("this checkpoint is passed over: run/checkpoints/epoch-000007.keras is damaged")


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(stopped, whole, monkeypatch):
    checkpoints.path_of(stopped / "checkpoints", 7).write_bytes(b"")
    # The last event of TensorBoard is cut short as well.
    for path in (stopped / "tensorboard").rglob("events.*"):
        path.write_bytes(path.read_bytes()[:-3])
    said = []
    monkeypatch.setattr(checkpoints.logging, "info", lambda text, *values: said.append(text % values))
    assert_same_run(training.run(SETTINGS, resume=True), whole)
    assert said[0] == "going on with run after 6 of 12 epochs"
    assert events(stopped) == events(whole)
    assert len(events(whole)) == len(set(events(whole))) > 100


@pytest.mark.slow
def test_a_part_of_a_run_is_compiled_as_the_whole(here, monkeypatch):
    # 12 epochs of 8 steps pay for XLA, the 5 that are left would not.
    monkeypatch.setattr(compiled_steps, "MIN_STEPS_FOR_XLA", 80)
    whole = training.run(dataclasses.replace(SETTINGS, run_dir="whole"))
    interrupted(monkeypatch, 7)
    assert_same_run(training.run(SETTINGS, resume=True), whole)


def test_damaged_checkpoints_are_one_error_and_stay(stopped):
    run_dir = stopped
    metrics = (run_dir / "metrics.csv").read_bytes()
    for epoch in (6, 7):
        checkpoints.path_of(run_dir / "checkpoints", epoch).write_bytes(b"")
    with pytest.raises(ValueError, match="must hold a checkpoint that can be read"):
        training.run(SETTINGS, resume=True)
    assert checkpoints.epochs_saved(run_dir / "checkpoints") == [7, 6]
    assert (run_dir / "metrics.csv").read_bytes() == metrics


def test_missing_rows_are_one_error(stopped):
    (stopped / "seconds.csv").write_text("epoch,seconds\n0,1.0\n")
    with pytest.raises(ValueError, match=r"must have a row for each of 7 epochs\. Received: 1"):
        training.run(SETTINGS, resume=True)


def test_two_processes_do_not_write_to_one_folder(stopped):
    with checkpoints.lock_run_dir(stopped), pytest.raises(ValueError, match="another process is training in run"):
        training.run(SETTINGS, resume=True)


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_again(stopped, whole):
    for path in (stopped / "checkpoints").iterdir():
        path.unlink()
    assert_same_run(training.run(SETTINGS, resume=True), whole)


def test_an_empty_folder_is_a_run_killed_before_it_wrote_anything(here):
    pathlib.Path("run").mkdir()
    RunDir("run").check_free(SETTINGS, resume=True)


def test_a_damaged_row_is_one_error_that_names_it(stopped):
    run_dir = stopped
    path = run_dir / "metrics.csv"
    path.write_bytes(path.read_bytes().replace(b"\n3,", b"\n3,,"))
    kept = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"run/metrics\.csv must have epoch 3 and 10 more numbers in row 4, .*'3,,"):
        training.run(SETTINGS, resume=True)
    assert kept == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


def test_a_run_does_not_go_on_with_other_data(stopped, here, whole):
    run_dir = stopped
    kept = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    rows = np.load("data.npy")
    pathlib.Path("data.npy").unlink()
    np.save("data.npy", rows[:100])
    with pytest.raises(ValueError, match=r"as it was when run began.*changed since in train count \(229, now 76\)"):
        training.run(SETTINGS, resume=True)
    assert kept == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    shutil.rmtree(run_dir)
    with pytest.raises(
        ValueError,
        match=r"`dataset` must be as it was when .*run began\. Received: .data\.npy., changed since in train count",
    ):
        evaluate.evaluate_run(copy_of(whole, here))
    assert not (run_dir / "evaluation").exists()
    # Its own figures would be measured on other data: draws of the model take their place.
    assert exporter._dataset(RunDir(run_dir)) is None
    np.save("data.npy", rows)
    assert len(RunDir(run_dir).dataset(SETTINGS).train) == 229
    (run_dir / "data.json").write_text("[]")
    with pytest.raises(ValueError, match=r"run/data\.json is damaged: "):
        RunDir(run_dir).dataset(SETTINGS)


def photos(folder):
    """Writes 40 gray pictures of two classes of 8 x 8 pixels."""
    for i, pixels in enumerate(np.random.default_rng(2).integers(0, 256, (40, 8, 8), np.uint8)):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


PHOTOS = dataclasses.replace(SETTINGS, dataset=".", image_size="8", epochs=2, image_grid_epochs=1, run_dir="a/run")


@pytest.mark.slow
def test_a_run_inside_of_its_data_is_no_part_of_them(tmp_path, monkeypatch):
    monkeypatch.chdir(photos(tmp_path / "photos"))
    said, before = [], build.load_data(PHOTOS)
    monkeypatch.setattr(training.logging, "info", lambda text, *values: said.append(text % values))
    run_dir = interrupted(monkeypatch, 1, PHOTOS)
    assert (run_dir / "figures/epochs/samples-000001.png").is_file()
    assert f"{run_dir} lies inside of the data set .; a run is never read as data" in said
    for now in (build.load_data(PHOTOS), build.load_data(dataclasses.replace(PHOTOS, run_dir="other"))):
        assert now.describe() == before.describe()
        for name in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(now, name).values, getattr(before, name).values)
            np.testing.assert_array_equal(getattr(now, name).labels, getattr(before, name).labels)
    described = read(training.run(PHOTOS, resume=True) / "report.json")["data"]
    assert described["class_names"] == ["a", "b"]
    assert [described[part] for part in ("train", "validation", "test")] == [30, 3, 7]
    # Copies of the parts of a run are no data either.
    shutil.copytree(run_dir / "figures", "b/figures")
    assert len(folder.find(pathlib.Path("."))[0]) == 40


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"epochs": 13}, "epochs=12, now 13"), ({"hidden_units": (9,)}, r"hidden_units=\[8\], now \[9\]")],
)
def test_other_settings_do_not_go_on(stopped, changes, expected):
    run_dir = stopped
    kept = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"`run_dir` .* begun with {expected}"):
        training.run(dataclasses.replace(SETTINGS, **changes), resume=True)
    assert kept == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


def test_a_run_that_has_ended_is_never_touched(whole, data, monkeypatch):
    monkeypatch.chdir(data)
    with pytest.raises(ValueError, match="`run_dir` must not hold a run that has ended"):
        training.run(SETTINGS, resume=True)
    with pytest.raises(ValueError, match="`run_dir` must not exist"):
        training.run(SETTINGS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, r"hold a readable config\.json") for text in ("", "{", "[]", '{"no_setting": 1}', '{"epochs": -1}')),
        # What is not in the file was the default.
        *((text, "not exist, or hold a run of the same settings") for text in ("{}", '{"epochs": 12}')),
    ],
)
def test_a_damaged_config_is_one_error(here, text, message):
    pathlib.Path("run").mkdir()
    pathlib.Path("run/config.json").write_text(text)
    with pytest.raises(ValueError, match=f"`run_dir` must {message}"):
        training.run(SETTINGS, resume=True)
    assert [path.name for path in pathlib.Path("run").iterdir()] == ["config.json"]


def test_no_checkpoint_holds_weights_that_are_not_finite(here, monkeypatch):
    message = r"training diverged in epoch 1, by step [0-9]+: log_likelihood and kl not finite. Lower --learning_rate"
    # No user may ask for such a rate, but it diverges for sure.
    monkeypatch.setattr(optimizer, "learning_rate", lambda *_: 1e30)
    with pytest.raises(ValueError, match=message):
        training.run(SETTINGS, checkpoint_seconds=0)
    assert not checkpoints.epochs_saved(pathlib.Path("run/checkpoints"))


# The command.


def command(*flags):
    given = ["--dataset=data.npy", "--hidden_units=8,8", "--latent_dim=2", "--batch_size=32", "--warmup_steps=3"]
    given += ["--learning_rate=0.01", "--num_importance_samples=3", "--noexport", "--run_dir=run"]
    return [sys.executable, str(ROOT / "train.py"), *given, *flags]


def start(*flags, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command(*flags), env=environment, stderr=subprocess.PIPE, text=True, **options)


PART = """
from keras_vae.runs import training
from small_runs import LONG
training.run(LONG, resume=True, checkpoint_seconds=0)
"""


@pytest.mark.slow
def test_kill_at_a_random_moment_and_the_same_command_again(here):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    whole = training.run(dataclasses.replace(LONG, run_dir="whole"))
    process = subprocess.Popen([sys.executable, "-c", PART], env=environment)
    wait_for_rows(here / "run" / "metrics.csv", random.randrange(5, 45))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert not (here / "run" / "report.json").exists()
    again = start("--epochs=60", "--hidden_units=8")
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert re.search("going on with run after [1-9]", errors)
    assert_same_run(here / "run", whole)


@pytest.mark.parametrize("number", slow_from(1, [signal.SIGTERM, signal.SIGINT]))
def test_a_signal_ends_the_run_with_one_line(here, number):
    process = commands.Command(command("--epochs=20000")[1:])
    wait_for_rows(here / "run" / "metrics.csv", 3)
    process.send_signal(number)
    result = process.result(timeout=60)
    assert result.returncode == 128 + number
    advice = "The same command with --run_dir=run goes on from the last checkpoint, if there is one"
    message = f"stopped by {number.name}. {advice}"
    assert result.stderr.splitlines()[-1] == message
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_later(here, whole):
    # A limit on the size of a file: the checkpoint does not fit, the metrics do.
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))  # noqa: E731
    process = start("--epochs=12", "--hidden_units=8", preexec_fn=limit)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("error: ")
    assert "goes on from the last checkpoint" in errors.splitlines()[-1]
    assert not [path for path in (here / "run").rglob("*.keras")]
    assert_same_run(training.run(SETTINGS, resume=True), whole)


def test_a_run_is_not_resumed_against_the_users_will(stopped):
    process = start("--epochs=12", "--hidden_units=8", "--noresume")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2
    assert errors.startswith("error: `run_dir` must not exist")


def struck(place, number, argv, main):
    """Runs a command that is struck by a signal in a function, "module:function"; returns what became of it."""
    module, name = place.split(":")
    text = f"""
import os, sys
from unittest import mock
import {module}
def strike(*_, **__):
    os.kill(os.getpid(), {int(number)})
    raise AssertionError("the signal did nothing")
sys.argv = {argv}
with mock.patch("{module}.{name}", strike):
    {main}
"""
    result = commands.run(("-c", text), timeout=200)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def flags(*more):
    return command("--epochs=12", "--hidden_units=8", *more)[1:]


@pytest.mark.slow
def test_a_signal_in_the_test_likelihood_leaves_a_model_and_the_same_command_ends_the_run(here, whole, monkeypatch):
    result = struck("keras_vae.measure.evaluation:mean_kl", signal.SIGTERM, flags(), "import train; train.cli()")
    assert result.returncode == 128 + signal.SIGTERM, result.stderr
    assert checkpoints.epochs_saved(here / "run" / "checkpoints")[0] == 12
    assert RunDir(here / "run").model().latent_dim == 2
    # The likelihood takes hours for some models. What is done of it is kept until the report is written.
    assert RunDir(here / "run").bounds_file.is_file()
    monkeypatch.setattr(training, "draw_figures", figures.draw_figures)  # those of the command are drawn again
    monkeypatch.setattr(ImportanceSampler, "_compute", lambda *_, **__: pytest.fail("it is computed again"))
    assert_same_run(training.run(SETTINGS, resume=True), whole)
    assert not RunDir(here / "run").bounds_file.exists()


def copy_of(whole, here):
    return pathlib.Path(shutil.copytree(whole, here / "run"))


@pytest.mark.slow
def test_a_kill_in_the_export_and_the_same_command_again_exports(here, whole):
    run_dir = copy_of(whole, here)
    (run_dir / ".unfinished-export").mkdir()
    (run_dir / ".unfinished-export" / "decoder.tflite").write_bytes(b"half")
    before = {path: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    command = [word for word in flags() if word != "--noexport"]
    text = f"""
import sys
from unittest import mock
sys.argv = {command}
from keras_vae.runs import training
from export import exporter
options = exporter.Options(num_samples=2, files=())
once = lambda run_dir, export=exporter.export_run: export(run_dir, options)
with mock.patch.object(exporter, "export_run", once), mock.patch.object(training, "run"):
    import train
    train.cli()
"""
    result = commands.run(("-c", text))
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1].endswith("done: see run")
    assert before == {path: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    assert {path.name for path in run_dir.iterdir() if path.is_dir()} == {"export", "figures", "tensorboard"}
    assert read(run_dir / "export/model_card.json")["test_elbo"] == read(run_dir / "report.json")["test_elbo"]


EXPORT = ("export.exporter:_Export.tflite", ["export", "run"], "from export import __main__ as m; m.cli()", "export")
EVALUATE = (
    "keras_vae.runs.training:evaluation.evaluate",
    ["evaluate", "run"],
    "from keras_vae.cli import evaluate; evaluate.main()",
    "evaluation",
)


@pytest.mark.parametrize(
    ("place", "argv", "main", "made", "number"),
    slow_from(1, [(*EXPORT, signal.SIGKILL), (*EXPORT, signal.SIGTERM), (*EVALUATE, signal.SIGTERM)]),
)
@pytest.mark.slow
def test_a_signal_in_a_command_on_a_run_leaves_the_run_as_it_was(here, whole, place, argv, main, made, number):
    run_dir = copy_of(whole, here)
    before = {path.relative_to(run_dir): path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    result = struck(place, number, argv, main)
    assert result.returncode == (128 + number if number == signal.SIGTERM else -number), result.stderr
    assert not (run_dir / made).exists()
    left = {path.relative_to(run_dir): path for path in run_dir.rglob("*") if path.is_file()}
    assert {name: left[name].read_bytes() for name in before} == before
    # A process that is killed cannot clear up: a hidden folder stays until the next time.
    unfinished = {name.parts[0] for name in left if name not in before}
    assert unfinished == ({f".unfinished-{made}"} if number == signal.SIGKILL else set())
    if made == "export":
        exporter.export_run(run_dir, exporter.Options(num_samples=2, files=()))
        assert (run_dir / "export" / "model_card.json").is_file()
    else:
        assert (evaluate.evaluate_run(run_dir, 2) / "evaluation.json").is_file()
    assert {path.name for path in run_dir.iterdir()} == {*(name.parts[0] for name in before), made}


@pytest.mark.parametrize("command", slow_from(1, ["export", "evaluate"]))
@pytest.mark.slow
def test_a_full_disk_in_a_command_on_a_run_is_one_line_and_leaves_nothing(here, whole, command):
    run_dir = copy_of(whole, here)
    before = sorted(run_dir.rglob("*"))
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))  # noqa: E731
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-m", "keras_vae.cli", command, "run"],
        env=environment,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert sorted(run_dir.rglob("*")) == before


@pytest.mark.parametrize("closed", [".", "run"])
def test_a_folder_that_may_not_be_written_to_is_one_error(stopped, here, monkeypatch, closed):
    kept = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    # The superuser may write anywhere; so the system says what it would say to others.
    monkeypatch.setattr(os, "access", lambda path, mode: pathlib.Path(path).resolve() != (here / closed).resolve())
    settings = SETTINGS if closed == "run" else dataclasses.replace(SETTINGS, run_dir="other")
    with pytest.raises(ValueError, match=r"`run_dir` cannot be created: .* is no folder to write to"):
        training.run(settings, resume=True)
    assert kept == {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}


def test_a_file_system_that_became_read_only_is_one_error(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(pathlib.Path, "mkdir", read_only)
    with pytest.raises(ValueError, match=r"`run_dir` cannot be created\. Received: .*run \(Read-only file system\)"):
        make_run_dir(Config(run_dir=str(tmp_path / "run")))


def events(run_dir):
    """Returns the points in the files of TensorBoard: (split, tag, step), as often as they are there."""
    return sorted(
        (path.parent.name, value.tag, event.step)
        for path in (run_dir / "tensorboard").rglob("events.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag.startswith(("epoch_", "evaluation_"))
    )


def test_what_a_kill_left_of_a_checkpoint_goes_with_the_next(tmp_path):
    (tmp_path / ".unfinished-epoch-000007.keras").write_bytes(b"half")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    checkpoints.save(model, tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000008.keras"]


def test_two_files_can_be_written_at_once_in_a_folder(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    with atomic_files.file_written_whole(first) as work, atomic_files.file_written_whole(second) as other:
        work.write_text("1")
        other.write_text("2")
    assert (first.read_text(), second.read_text()) == ("1", "2")


def test_what_is_written_whole_is_there_or_not(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(IsADirectoryError), atomic_files.file_written_whole(path) as work:
        (work.write_text("half"), tmp_path.read_text())
    assert list(tmp_path.iterdir()) == []
    for text in ("one", "two"):
        with atomic_files.file_written_whole(path) as work:
            work.write_text(text)
            assert path.exists() == (text == "two")
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
