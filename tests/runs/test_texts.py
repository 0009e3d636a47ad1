"""The whole way of texts by command: training, the page of texts, measures, the Hub's folder and the export."""

import dataclasses
import json

import numpy as np
import pytest
from small_runs import SETTINGS

import keras_vae as kv
from export import runtimes
from keras_vae.integrations import hub
from keras_vae.runs import build, text_pages, training
from keras_vae.runs.config import Config
from keras_vae.runs.evaluate import evaluate_run
from keras_vae.runs.run_dir import RunDir

ANIMALS, VERBS = ("cat", "dog", "bird", "fish"), ("eats", "sleeps", "sings", "sees it", "runs")
LINES = [f"{article} {animal} {verb}" for article in ("a", "the", "no") for animal in ANIMALS for verb in VERBS] * 2
CHANGES = {
    "hidden_units": (512, 512),
    "tokens": "words",
    "text_units": 8,
    "embedding_dim": 4,
    "word_dropout": 0.2,
    "epochs": 3,
}


def settings(folder, **changes):
    """Returns the settings of a small run on texts."""
    (folder / "texts.txt").write_text("\n".join(LINES) + "\n")
    defaults = {name: getattr(Config(), name) for name in ("network", "likelihood", "binarization")}
    files = {"dataset": str(folder / "texts.txt"), "run_dir": str(folder / "run")}
    return dataclasses.replace(SETTINGS, **{**defaults, **files, **CHANGES, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a run on texts, and what it logged."""
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.logging, "info", lambda text, *values: lines.append(text % values))
        run_dir = training.run(settings(tmp_path_factory.mktemp("texts")))
    return RunDir(run_dir), lines


def test_the_report_says_what_was_measured(finished):
    run, lines = finished
    report = run.report
    assert report["test_measure"] == "probability of texts"
    assert report["data"]["tokens"] == "words"
    assert report["data"]["vocabulary"] == len({word for line in LINES for word in line.split()})
    assert "test_reconstruction_error" not in report
    assert 0 < report["test_token_accuracy"] <= 1
    assert 0 <= report["test_exact_match"] <= 1
    assert "test set: 3 importance samples for each of 20 texts" in lines
    share = f"{100 * report['test_token_accuracy']:.1f}% of the tokens"
    assert any(line.startswith(f"test reconstructions with {share}") for line in lines)


def test_the_page_of_texts_is_that_of_the_model(finished):
    run, _ = finished
    page = (run.figures / "texts.txt").read_text(encoding="utf-8")
    vae, dataset = run.model(), run.dataset()
    assert page == text_pages.of_training(vae, dataset)
    assert "\n".join(vae.generate(20, seed=0)) in page
    texts = dataset.tokenizer.decode(dataset.validation.values[:10])
    told = dataset.tokenizer.decode(vae.reconstruct(texts))
    assert f"{texts[3]}\n  {told[3]}\n" in page
    path = page.split("\n")[-8:-1]
    assert (path[0], path[-1]) == (told[0], told[-1])
    assert {file.name for file in run.figures.iterdir() if file.suffix in (".png", ".txt")} == {
        *("texts.txt", "learning_curve.png"),
    }


@pytest.mark.slow
def test_it_is_evaluated_published_and_exported(finished, tmp_path):
    run, _ = finished
    folder = evaluate_run(run.path, 3)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["exact_match"] == run.report["test_exact_match"]
    page = (folder / "texts.txt").read_text(encoding="utf-8").split("\n")
    vae, dataset = run.model(), run.dataset()
    drawn = vae.generate(10, seed=0)
    assert page[2 : 2 + 4 * 10 : 4] == drawn
    # The training text whose code is nearest, of the second sample.
    distances = np.square(kv.measure.posterior_centers(vae, dataset.train) - vae.encode(drawn).mean()[1]).sum(axis=1)
    assert page[7] == "  " + vae.tokenizer.decode(dataset.train.values[[distances.argmin()]])[0]
    busiest = np.argmax(evaluation["kl_per_dimension"])
    code = vae.encode(dataset.test[:1]).mean().numpy()[0]
    walk = vae.texts_of(kv.measure.latent.traverse(code, int(busiest), np.linspace(-3.0, 3.0, 7)))
    title = f"Dimension {busiest} of the code of {vae.tokenizer.decode(dataset.test.values[:1])[0]!r}, from -3 to 3"
    assert page[page.index(title) + 2 :][:7] == walk
    hub.save_pretrained(run.path, tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    assert f"| share of tokens reconstructed | {run.report['test_token_accuracy']:.2f} |" in card
    from export import exporter

    exporter.export_run(run.path)
    draw = runtimes.litert_runner(run.export / "decoder.tflite")
    drawn = draw("generate", seed=5, temperature=1.0, token_temperature=1.0)["tokens"]
    assert vae.tokenizer.decode(drawn) == vae.generate(len(drawn), seed=5)


@pytest.mark.parametrize("network", ["gru", "lstm", "transformer", "conv"])
def test_the_settings_of_texts_reach_the_model(tmp_path, network):
    options = {"dilation_rates": (1, 3)} if network == "conv" else {"text_encoder": network}
    config = settings(tmp_path, text_network=network, max_length=3, max_vocabulary=4, on_long_text="drop", **options)
    dataset = build.load_data(config)
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 4 * len(LINES) // 5
    vae = build.build_model(config, dataset)
    assert (vae.event_shape, vae.tokenizer.size) == ((3,), 2 + 4)
    causal = vae.decoder.likelihood.network
    names = {"gru": "CausalGRU", "lstm": "CausalLSTM", "transformer": "CausalTransformer", "conv": "CausalConv1D"}
    assert type(causal).__name__ == names[network]
    assert (causal.word_dropout, causal.seed) == (0.2, 0)
    assert causal.embedding_dim == (8 if network == "transformer" else 4)
    parts = {type(layer).__name__ for layer in vae.encoder.trunk._flatten_layers()}
    of_encoder = {"gru": "GRU", "lstm": "LSTM", "transformer": "_TransformerEncoder", "conv": "GRU"}
    assert parts & set(of_encoder.values()) == {of_encoder[network]}
    if network == "conv":
        assert (causal.filters, causal.kernel_size, causal.dilation_rates) == (8, 3, (1, 3))
    else:
        assert causal.units == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "conv"}, r"`network` must be left at its default, 'mlp', for texts. Received: network='conv'"),
        ({"likelihood": "gaussian"}, "`likelihood` must be left at its default"),
        ({"conditional": True}, "`conditional` must be left at its default, False, for texts"),
        ({"image_grid_epochs": 1}, "`image_grid_epochs` must be left at its default"),
        ({"prior": "vamp"}, "`prior` must not be made of the encoder .* for a likelihood of integers"),
        ({"dataset": "mnist"}, "`tokens` must be left at its default, 'characters', for data that are no texts"),
        ({"text_column": "text"}, "`text_column` must be empty for a .txt file"),
        ({"dataset": "no_such_set", "text_column": "text"}, "Looked for a prepared data set 'no_such_set'"),
    ],
)
def test_what_does_not_go_with_texts_is_one_error(tmp_path, changes, words):
    config = settings(tmp_path, **changes)
    with pytest.raises(ValueError, match=words):
        build.build_model(config, build.load_data(config))


@pytest.mark.slow
def test_a_killed_run_ends_with_the_numbers_of_one_that_was_not(tmp_path, monkeypatch, finished):
    whole, _ = finished
    page = lambda *arguments: (arguments[-1].mkdir(), (arguments[-1] / "texts.txt").touch())  # noqa: E731
    monkeypatch.setattr(training, "draw_figures", page)

    class Killed(Exception):
        """Ends a run after an epoch."""

    def die(self, epoch, logs=None):
        if epoch == 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(kv.callbacks.NaNGuard, "on_epoch_end", die)
        with pytest.raises(Killed):
            training.run(settings(tmp_path), checkpoint_seconds=0.0)
    again = RunDir(training.run(settings(tmp_path), resume=True))
    assert again.metrics_file.read_text() == whole.metrics_file.read_text()
    assert again.report["test_log_likelihood"] == whole.report["test_log_likelihood"]


@pytest.mark.slow
def test_the_report_has_the_same_model_without_z(tmp_path):
    changes = {"baseline": True, "objective": "free_bits", "free_bits": 0.2, "kl_warmup": 0.2, "epochs": 2}
    run = RunDir(training.run(settings(tmp_path, **changes)))
    without = RunDir(run.baseline)
    vae, report = without.model(), without.report
    assert run.report["test_log_likelihood_without_z"] == report["test_log_likelihood"]
    assert run.report["test_log_likelihood_standard_error_without_z"] == report["test_log_likelihood_standard_error"]
    texts = run.dataset().test
    exact = vae.decode(np.full((len(texts), *vae.latent_shape), 7.0)).log_prob(texts.values)
    assert report["test_log_likelihood"] == pytest.approx(np.mean(exact), rel=1e-5)
    assert report["test_elbo"] == pytest.approx(np.mean(exact), abs=1e-3)
    plain = without.config
    assert (plain.objective, plain.free_bits, plain.kl_warmup, plain.word_dropout) == ("elbo", 0.1, 0.2, 0.0)
    assert (plain.epochs, plain.text_units, plain.latent_dim) == (2, 8, run.config.latent_dim)
    assert not plain.without_effect()


def test_rates_are_those_of_the_characters_and_words(finished):
    run, _ = finished
    report, dataset = run.report, run.dataset()
    texts, ends = dataset.tokenizer.decode(dataset.test.values), (dataset.test.values == 0).any(axis=1)
    nats = -report["test_log_likelihood"] * len(texts)
    assert report["test_nats_per_character"] == pytest.approx(nats / (sum(map(len, texts)) + ends.sum()))
    assert report["test_bits_per_character"] == pytest.approx(report["test_nats_per_character"] / np.log(2))
    words = sum(len(text.split()) for text in texts) + ends.sum()
    assert report["test_perplexity_per_word"] == pytest.approx(np.exp(nats / words))


def test_a_model_without_z_has_no_settings_of_z():
    assert Config(without_z=True, latent_dim=3).without_z
    for name, value in (("prior", "flow"), ("posterior", "full"), ("conditional", True), ("upper_latent_dims", (2,))):
        with pytest.raises(ValueError, match="`without_z` needs the defaults of conditional, posterior, prior"):
            Config(without_z=True, **{name: value})
    for changes in ({"conditional": True}, {"without_z": True}):
        with pytest.raises(ValueError, match="`baseline` must be False for a model that is conditional or has no z"):
            Config(baseline=True, **changes)
