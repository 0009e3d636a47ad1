"""`keras-vae evaluate RUN_DIR` as a user types it."""

import json
import re
import sys

import commands
import matplotlib.image
import numpy as np
import pytest

from keras_vae.cli import evaluate as evaluate_command
from keras_vae.measure import evaluation
from keras_vae.measure.disentanglement import disentanglement_scores
from keras_vae.runs import build, evaluate, figures, training
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir, make_run_dir
from keras_vae.utils.json_files import write_json

TINY = {"epochs": 1, "hidden_units": (16,), "latent_dim": 4, "num_importance_samples": 2, "batch_size": 500}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A short run on the sprites, whose factors are known."""
    return training.run(Config(dataset="sprites", run_dir=str(tmp_path_factory.mktemp("runs") / "sprites"), **TINY))


@pytest.fixture(scope="module")
def evaluated(run_dir):
    """The run directory after the command, and what it printed."""
    result = commands.run(("-m", "keras_vae.cli", "evaluate", str(run_dir), "--num_importance_samples=3"))
    assert result.returncode == 0, result.stderr
    # The log of the program, and nothing else.
    lines = result.stderr.splitlines()
    assert [line for line in lines if not re.match(r"I\d{4} .* (evaluate|disentanglement|frechet)\.py:", line)] == []
    path = run_dir / "evaluation/evaluation.json"
    assert f"done: see {path}" in result.stderr
    report = json.loads(path.read_text(encoding="utf-8"))
    assert f"ELBO {report['elbo']:.2f}, log likelihood {report['log_likelihood']:.2f}" in result.stderr
    assert f"active units {report['active_units']}" in result.stderr
    assert f"MIG {report['disentanglement']['mig']:.3f}, SAP " in result.stderr
    return report


def test_it_measures_the_test_set_of_the_run(run_dir, evaluated):
    vae, dataset = RunDir(run_dir).model(), build.load_data(RunDir(run_dir).config)
    expected = evaluation.evaluate(vae, dataset.test, 3, seed=0)
    for name in ("elbo", "log_likelihood", "reconstruction_error", "kl_per_dimension"):
        np.testing.assert_allclose(evaluated[name], expected[name], rtol=1e-5)
    assert (evaluated["num_examples"], evaluated["num_importance_samples"]) == (768, 3)
    assert not RunDir(run_dir).evaluation_bounds_file.exists()  # it has ended
    # Gray sprites under a Bernoulli: the report must not sell that as a likelihood.
    assert evaluated["measure"].startswith("none: a Bernoulli of values between 0 and 1")
    assert evaluated["bits_per_dimension"] is None


def test_it_splits_the_kl_and_names_the_classifier_of_the_frechet_distance(evaluated):
    split = evaluated["kl_split"]
    np.testing.assert_allclose(split["mutual_information"] + split["marginal_kl"], split["kl"], rtol=1e-4)
    quality = evaluated["classifier_frechet"]
    assert 0.5 < quality["classifier_accuracy"] <= 1.0
    assert quality["frechet_distance"] > quality["frechet_distance_of_real_halves"] > 0.0


@pytest.mark.slow
def test_it_scores_the_codes_of_all_examples_against_the_known_factors(run_dir, evaluated):
    vae, dataset = RunDir(run_dir).model(), build.load_data(RunDir(run_dir).config)
    parts = (dataset.train, dataset.validation, dataset.test)
    codes = np.concatenate([vae.encode(part.numpy()).mean().numpy() for part in parts])
    expected = disentanglement_scores(codes, np.concatenate([part.factors for part in parts]), categorical=(0,))
    scores = evaluated["disentanglement"]
    assert (scores["num_examples"], scores["factors"]) == (4608, ["shape", "scale", "orientation", "x", "y"])
    for name, value in expected.items():
        # Votes and splits of trees that stand on an edge may fall otherwise by the last bit of a code.
        np.testing.assert_allclose(scores[name], value, atol=0.01)


def test_it_draws_its_figures(run_dir, evaluated):
    for name in ("traversal", "neighbors", "kl_per_dimension"):
        picture = matplotlib.image.imread(run_dir / "evaluation" / f"{name}.png")
        assert min(picture.shape[:2]) > 100
        assert picture[..., :3].std() > 0.02


def test_mistakes_are_one_line_and_nothing_is_replaced(run_dir, evaluated, tmp_path, capsys):
    before = (run_dir / "evaluation/evaluation.json").read_bytes()
    for arguments, message in (
        ([str(run_dir)], "the evaluation folder must not exist, or pass --overwrite"),
        ([], "the following arguments are required: RUN_DIR"),
        ([str(run_dir), "--samples=3"], "unrecognized arguments: --samples=3"),
        (
            [str(run_dir), "--num_importance_samples=x"],
            "argument --num_importance_samples: `num_importance_samples` must be an integer from 1 to",
        ),
        ([str(tmp_path)], "`run_dir` must hold a model.keras"),
        (
            [str(run_dir), "--num_importance_samples=0"],
            "argument --num_importance_samples: `num_importance_samples` must",
        ),
    ):
        with pytest.raises(SystemExit) as end:
            evaluate_command.main(arguments)
        error = capsys.readouterr().err.strip()
        assert end.value.code == 2
        assert error.startswith(f"error: {message}")
        assert "\n" not in error
    assert (run_dir / "evaluation/evaluation.json").read_bytes() == before


def test_without_scikit_learn_the_way_to_get_it_is_said_before_the_work(run_dir, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    monkeypatch.setattr(evaluate, "measure", lambda *_: pytest.fail("measured first"))
    with pytest.raises(SystemExit):
        evaluate_command.main([str(run_dir), "--overwrite"])
    assert 'pip install "keras_vae[eval]"' in capsys.readouterr().err


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Trains on pictures of 4 x 4 with some labels, by settings, and measures the run; returns the report."""
    monkeypatch.chdir(tmp_path)

    def make(train, test, **settings):
        random = np.random.default_rng(0)
        values = [random.integers(0, 256, (len(y), 4, 4), np.uint8) for y in (train, test)]
        np.savez("data.npz", x_train=values[0], x_test=values[1], y_train=train, y_test=test)
        config = Config(dataset="data.npz", hidden_units=(4,), latent_dim=2, epochs=1, run_dir="run", **settings)
        make_run_dir(Config(run_dir=str(tmp_path / "run")))
        dataset = build.load_data(config)
        vae = training.build_model(config, dataset)
        figures.draw_figures(vae, dataset, {"elbo": [-9.0], "val_elbo": [-9.0]}, tmp_path / "run" / "figures")
        vae.save(tmp_path / "run" / "model.keras")
        write_json(tmp_path / "run" / "config.json", config.to_dict())
        folder = evaluate.evaluate_run(tmp_path / "run", 2)
        assert {path.stem for path in folder.glob("*.png")} == {"traversal", "neighbors", "kl_per_dimension"}
        return json.loads((folder / "evaluation.json").read_text())

    return make


@pytest.mark.slow
def test_a_conditional_run_with_three_test_images_is_measured(tiny):
    report = tiny([0, 1, 0, 1, 1], [1, 0, 1], conditional=True)
    assert (report["num_examples"], report["kl_split"]["num_examples"]) == (3, 3)
    assert "classifier_frechet" not in report


@pytest.mark.slow
def test_a_class_that_only_the_test_set_has_is_measured(tiny):
    # Two classes to learn, a third to meet; four test images, which is what the distance takes.
    report = tiny([0, 1] * 10, [0, 1, 2, 1])
    assert report["classifier_frechet"]["num_real"] == 4
    assert report["classifier_frechet"]["classifier_accuracy"] in (0.0, 0.25, 0.5, 0.75)


@pytest.mark.slow
def test_one_test_image_of_one_class_and_two_training_images_are_measured(tiny):
    report = tiny([0, 0, 0], [0])
    assert (report["num_examples"], report["elbo_standard_error"]) == (1, 0.0)
    assert report["kl_split"]["mutual_information"] == 0.0  # log 1
