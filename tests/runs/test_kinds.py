"""The whole way of vectors, of series and of counts: training, figures, measures, the Hub's folder and the export."""

import dataclasses
import json

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from helpers import slow_from
from small_runs import SETTINGS

import keras_vae as kv
from export import exporter, runtimes
from keras_vae.integrations import hub
from keras_vae.runs import build, training
from keras_vae.runs.evaluate import evaluate_run
from keras_vae.runs.run_dir import RunDir

SHAPES = {"series": (12, 1), "vectors": (6,), "counts": (6,)}
CHANGES = {
    "vectors": {"likelihood": "bernoulli", "prior": "vamp", "num_components": 3},
    "series": {"data_kind": "series", "conditional": True, "likelihood": "gaussian", "likelihood_scale": "shared"},
    "counts": {"likelihood": "laplace", "likelihood_scale": "per_value"},
}


def make_data(kind, count=120):
    """Returns x of three classes as it lies in a file, and the classes."""
    random = np.random.default_rng(0)
    y = np.arange(count) % 3
    if kind == "series":
        phase = np.linspace(0.0, 6.0, 12) * (1 + y[:, None]) + random.uniform(0.0, 0.5, (count, 1))
        return np.sin(phase), y
    rates = np.array([[0.1, 0.9, 0.9], [0.9, 0.1, 0.9], [0.9, 0.9, 0.1]])[y].repeat(2, axis=1)
    return (random.random(rates.shape) < rates if kind == "vectors" else random.poisson(10 * rates)), y


@pytest.fixture(scope="module", params=slow_from(1, SHAPES))
def finished(request, tmp_path_factory):
    """The kind of the data, and the directory of a run on them."""
    kind, folder = request.param, tmp_path_factory.mktemp("kinds")
    x, y = make_data(kind)
    np.savez(folder / "data.npz", x=x, y=y)
    files = {"dataset": str(folder / "data.npz"), "run_dir": str(folder / "run")}
    config = dataclasses.replace(SETTINGS, **files, epochs=4, image_grid_epochs=2, **CHANGES[kind])
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.logging, "info", lambda text, *values: lines.append(text % values))
        run_dir = training.run(config)
    return kind, run_dir, lines


def test_the_report_says_what_was_measured(finished):
    kind, run_dir, lines = finished
    report = RunDir(run_dir).report
    assert report["data"]["shape"] == list(SHAPES[kind])
    assert report["data"]["binarization"] == report["data"]["dequantization"] == "none"
    assert report["data"]["classes"] == 3
    expected = "probability of binary values" if kind == "vectors" else "density of the values as they are"
    assert report["test_measure"].startswith(expected)
    assert report["test_elbo"] < report["test_log_likelihood"]
    noun = "series" if kind == "series" else "vectors"
    assert f"test set: 3 importance samples for each of 20 {noun}" in lines


def test_all_figures_are_plots(finished):
    _, run_dir, _ = finished
    figures = RunDir(run_dir).figures
    names = {"reconstructions", "samples", "interpolation", "learning_curve", "latent_map"}
    assert {path.stem for path in figures.glob("*.png")} == names
    drawn = {"reconstructions-000002", "reconstructions-000004", "samples-000002", "samples-000004"}
    assert {path.stem for path in (figures / "epochs").glob("*.png")} == drawn
    # Ten plots of an inch in a row, at 150 dots an inch.
    assert matplotlib.image.imread(figures / "samples.png").shape[1] == 1500
    assert matplotlib.image.imread(figures / "samples.png")[..., :3].std() > 0.02


def test_tensorboard_has_the_plots(finished):
    _, run_dir, _ = finished
    (events,) = (RunDir(run_dir).events / "images").glob("events*")
    values = [value for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value]
    assert sorted(value.tag for value in values) == ["reconstructions"] * 2 + ["samples"] * 2
    # The validation set has eight examples, and the samples are ten in a row, each an inch wide at 100 dots an inch.
    widths = {value.tag: tf.io.decode_png(value.tensor.string_val[2]).shape[1] for value in values}
    assert widths == {"reconstructions": 800, "samples": 1000}


def test_a_finished_run_is_measured_again_and_drawn(finished):
    _, run_dir, _ = finished
    folder = evaluate_run(run_dir, 3)
    measured = json.loads((folder / "evaluation.json").read_text())
    assert measured["elbo"] == pytest.approx(RunDir(run_dir).report["test_elbo"])
    assert {path.stem for path in folder.glob("*.png")} >= {"traversal", "neighbors"}
    assert "classifier_frechet" not in measured


def test_the_card_of_the_hub_does_not_speak_of_images(finished):
    kind, run_dir, _ = finished
    text = (hub.save_pretrained(run_dir, run_dir.parent / "hub") / "README.md").read_text()
    assert f"of examples of shape ({' x '.join(map(str, SHAPES[kind]))})" in text
    assert "vae.log_prob(examples" in text
    assert "image" not in text


def test_the_exported_files_compute_what_the_model_computes(finished):
    kind, run_dir, _ = finished
    folder = exporter.export_run(run_dir, exporter.Options(num_samples=4, files=("decoder",)))
    card = json.loads((folder / "model_card.json").read_text())
    assert (card["event_shape"], card["unit"]) == (list(SHAPES[kind]), "nats per example")
    condition = {} if kind != "series" else {"condition": np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]}
    run = runtimes.litert_runner(folder / "decoder.tflite")
    drawn = run("sample", seed=np.int32(7), temperature=np.float32(1.0), **condition)
    expected = RunDir(run_dir).model().sample(4, seed=7, **condition)
    np.testing.assert_allclose(drawn["mean"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", ["conv", "resnet", "tfp", "cvae"])
def test_a_network_of_convolutions_is_refused_before_anything_is_made(tmp_path, network):
    np.save(tmp_path / "x.npy", make_data("series")[0])
    for data_kind, shape in (("vectors", (12,)), ("series", (12, 1))):
        run_dir = tmp_path / "run"
        config = dataclasses.replace(
            SETTINGS, dataset=str(tmp_path / "x.npy"), run_dir=str(run_dir), network=network, data_kind=data_kind
        )
        with pytest.raises(ValueError, match=f"`network` must be mlp for {data_kind}, --network=mlp: {network} is"):
            training.run(config)
        assert not run_dir.exists()
        assert build.load_data(config).event_shape == shape


def test_counts_that_a_bernoulli_cannot_have_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", make_data("counts")[0])
    config = dataclasses.replace(SETTINGS, dataset=str(tmp_path / "x.npy"), run_dir=str(tmp_path / "run"))
    assert build.load_data(config).train.dtype == np.int32
    with pytest.raises(ValueError, match=r"`x` must lie in \[0, 1\].* choose another likelihood"):
        training.run(config)


def test_rows_of_integers_go_into_scikit_learn():
    transformer = kv.VAETransformer(2, epochs=2, random_state=0).fit(make_data("counts")[0])
    assert transformer.transform(make_data("counts")[0]).shape == (120, 2)
