"""Exported models of texts draw the tokens that the model draws."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from ai_edge_litert.interpreter import Interpreter
from helpers import make_vae, slow_from
from texts import ENCODERS, NETWORKS, make_text_vae
from trained_tokenizers import PIECES, TRAINED

import keras_vae as kv
from export import exporter, onnx_format, runtimes, verification, vocabulary

TEXTS = ["a cat", "a dog", "the cat", "the dog", "no"]


@pytest.fixture(scope="module", params=slow_from(1, NETWORKS))
def exported(request, tmp_path_factory):
    """A model of texts and the folder of its files."""
    encoder = request.param if request.param in ENCODERS else "gru"
    vae = make_text_vae(network=request.param, tokenizer=kv.data.Tokenizer.of(TEXTS), encoder=encoder)
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(TEXTS * 8, batch_size=8, verbose=0)
    folder = tmp_path_factory.mktemp("texts") / "export"
    exporter.export_model(vae, folder)
    return vae, folder


@pytest.mark.parametrize("file", slow_from(1, ["decoder.tflite", "saved_model"]))
def test_a_seed_draws_the_same_texts_everywhere(exported, file):
    vae, folder = exported
    run = (runtimes.saved_model_runner if file == "saved_model" else runtimes.litert_runner)(folder / file)
    other = count = 0
    for seed in range(50):
        drawn = run("generate", seed=seed, temperature=1.0, token_temperature=1.0)["tokens"]
        assert drawn.dtype == np.int32
        expected = vae.sample(len(drawn), seed=seed, output="sample").numpy()
        other += (drawn != expected).any(axis=1).sum()
        count += len(drawn)
        if seed == 7:
            assert vae.tokenizer.decode(drawn) == vae.generate(len(drawn), seed=seed)
    for temperature, token_temperature in ((1.0, 0.5), (0.7, 0.0)):
        drawn = run("generate", seed=3, temperature=temperature, token_temperature=token_temperature)
        texts = vae.generate(len(drawn["tokens"]), 3, temperature, token_temperature)
        assert vae.tokenizer.decode(drawn["tokens"]) == texts
        np.testing.assert_allclose(drawn["z"], vae.sample_latent(len(texts), 3, temperature)[0], atol=1e-5)
    # A token is another one where its uniform falls as close to a cumulative probability as runtimes differ, about
    # 1e-6, and a text has some ten tokens.
    assert other <= 1, f"{other} of {count} texts"
    tokens = run("sample", seed=7, temperature=1.0)["tokens"]
    np.testing.assert_array_equal(tokens, vae.sample(len(tokens), seed=7))


@pytest.mark.slow
def test_onnx_files_draw_the_texts_of_a_seed(exported, tmp_path):
    for library in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(library, reason='needs pip install "keras_vae[onnx]"')
    vae, _ = exported
    figures = onnx_format.write(vae, tmp_path, 16)
    assert {file: list(entry["signatures"]) for file, entry in figures.items()} == {
        "decoder.onnx": ["decode"],
        "sampler.onnx": ["generate"],
    }
    run, other = onnx_format.runner(tmp_path), 0
    for seed in range(20):
        drawn = run("generate", seed=seed, temperature=1.0, token_temperature=1.0)["tokens"]
        other += (drawn != vae.sample(16, seed=seed, output="sample").numpy()).any(axis=1).sum()
    assert other <= 1, f"{other} of 320 texts"
    for temperature, token_temperature in ((1.0, 0.5), (0.7, 0.0)):
        drawn = run("generate", seed=3, temperature=temperature, token_temperature=token_temperature)["tokens"]
        assert vae.tokenizer.decode(drawn) == vae.generate(16, 3, temperature, token_temperature)
    z = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(run("decode", z=z)["tokens"], vae.decode(z).mean())


def test_the_card_has_the_vocabulary(exported):
    vae, folder = exported
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    assert kv.data.Tokenizer(**card["tokenizer"]).get_config() == vae.tokenizer.get_config()
    assert not card["is_factorized"]
    assert card["vocabulary"] == "vocabulary.json"


def test_the_vocabulary_has_a_file_of_its_own(exported):
    vae, folder = exported
    content = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    assert content["tokens"] == ["", "\N{REPLACEMENT CHARACTER}", *vae.tokenizer.vocabulary]
    assert (content["split"], content["join"]) == ("characters", "")
    assert (content["end"], content["unknown"], content["max_length"]) == (0, 1, 7)
    tokens = vae.sample(50, seed=0, output="sample").numpy()
    assert [vocabulary.text_of(content, row) for row in tokens] == vae.tokenizer.decode(tokens)


def test_the_vocabulary_of_words_and_of_numbers():
    words = kv.data.Tokenizer(["a", "b"], "words", 3)
    content = vocabulary.vocabulary(make_text_vae(network=None, tokenizer=words))
    assert (content["tokens"], content["split"], content["join"]) == (["", "<unk>", "a", "b"], "words", " ")
    assert vocabulary.text_of(content, [3, 1, 2]) == words.decode([[3, 1, 2]])[0] == "b <unk> a"
    # A model of tokens alone writes their numbers, all of which are known.
    content = vocabulary.vocabulary(make_text_vae(3, 4, network=None))
    assert (content["tokens"], content["unknown"]) == (["", "1", "2", "3"], None)
    assert vocabulary.file_of(make_vae()) is None


@pytest.mark.parametrize("name", TRAINED)
def test_a_client_makes_the_texts_of_a_trained_tokenizer(name, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    pieces = kv.data.SubwordTokenizer(TRAINED[name](), max_length=60)
    vocabulary.write(make_text_vae(network=None, tokenizer=pieces), tmp_path)
    content = json.loads((tmp_path / "vocabulary.json").read_text(encoding="utf-8"))
    rows = pieces.encode([*PIECES[:4], "the zebra \N{UMBRELLA} sees it"]).tolist()
    texts = [vocabulary.text_of(content, row) for row in rows]
    if name == "without_a_rule":
        assert not content["exact"]
        assert texts[0] == " ".join(pieces.names[token] for token in rows[0] if token)
        assert said == [
            "vocabulary.json has no rule that makes the texts of the tokenizer: the page and apps show its pieces apart"
        ]
        return
    assert (content["exact"], said) == (True, [])
    assert texts == [text.strip(" ") for text in pieces.decode(rows)]
    if name != "bpe_no_decoder":  # its library puts spaces between the pieces
        assert texts[2] == PIECES[2]
    assert content["bytes"] == (name in ("byte_level", "sentencepiece_bytes"))
    random = np.random.default_rng(1).integers(1, pieces.size, (50, 9)).tolist()
    expected = pieces.decode(random)
    whole = [(row, text) for row, text in zip(random, expected, strict=True) if "\N{REPLACEMENT CHARACTER}" not in text]
    assert [vocabulary.text_of(content, row) for row, _ in whole] == [text.strip(" ") for _, text in whole]


def test_what_continues_a_word_has_no_space_and_keeps_its_mark_at_the_beginning():
    pieces = kv.data.SubwordTokenizer(TRAINED["word_piece"](), max_length=60)
    content = vocabulary.vocabulary(make_text_vae(network=None, tokenizer=pieces))
    number = {name: token for token, name in enumerate(pieces.names)}
    row = [number[name] for name in ("##a", "[PAD]", "the", "c", "##a", "##t", ".")]
    assert vocabulary.text_of(content, row) == "##a the cat." == pieces.decode([row])[0]
    assert vocabulary.text_of(content, [1, number["[UNK]"], 0, number["the"]]) == "[UNK]"


def test_inputs_and_outputs_of_texts_are_called_tokens(exported):
    vae, folder = exported
    batch, z, tokens = ["batch"], [2], [vae.tokenizer.max_length]
    temperatures = {"temperature": [], "token_temperature": []}
    documented = {
        "decode": ({"z": batch + z}, {"tokens": batch + tokens}),
        "sample": ({"seed": [], "temperature": []}, {"tokens": [16, *tokens], "z": [16, *z]}),
        "generate": ({"seed": [], **temperatures}, {"tokens": [16, *tokens], "z": [16, *z]}),
        "interpolate": ({"z0": [1, *z], "z1": [1, *z], "steps": []}, {"tokens": batch + tokens}),
        "log_likelihood": ({"tokens": batch + tokens, "z": batch + z}, {"log_likelihood": batch}),
        "encode": ({"tokens": batch + tokens}, {"loc": batch + z, "scale": batch + z}),
        "score": ({"tokens": batch + tokens, "seed": []}, {"elbo": batch, "log_likelihood": batch}),
        "reconstruct": ({"tokens": batch + tokens}, {"tokens": batch + tokens, "log_likelihood": batch}),
    }
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    assert set(card["signatures"]) == set(documented)
    for name, sides in documented.items():
        for side, expected in zip(("inputs", "outputs"), sides, strict=True):
            specs = card["signatures"][name][side]
            assert {key: spec["shape"] for key, spec in specs.items()} == expected
            assert all(spec["dtype"] == "int32" for key, spec in specs.items() if key in ("tokens", "seed", "steps"))
    files = Interpreter(str(folder / "decoder.tflite")).get_signature_list()
    assert files["generate"] == {"inputs": ["seed", "temperature", "token_temperature"], "outputs": ["tokens", "z"]}


def altered(run, count):
    """Returns a runner whose first `count` texts are others."""

    def other(name, **inputs):
        outputs = dict(run(name, **inputs))
        outputs["tokens"] = outputs["tokens"].copy()
        outputs["tokens"][:count, 0] += 1
        return outputs

    return other


@pytest.mark.parametrize("name", ["decode", "generate"])
def test_few_texts_may_be_others_and_are_counted(exported, monkeypatch, name):
    vae, folder = exported
    monkeypatch.setattr(verification, "NUM_CHECKS", 16)
    monkeypatch.setattr(verification, "NUM_FEW_CHECKS", 1)
    run = runtimes.saved_model_runner(folder / "saved_model")
    check = lambda count, **options: verification.Parity(altered(run, count), vae, 16, 16, **options).check(name)  # noqa: E731
    assert check(0) == {"differing_tokens": 0.0, "other_texts": 0}
    assert check(1) == {"differing_tokens": 1 / (16 * vae.tokenizer.max_length), "other_texts": 1}
    with pytest.raises(exporter.ExportError, match=f"`{name}` differs from Keras in 2 of 16 texts"):
        check(2)
    assert check(16, tolerance=None)["other_texts"] == 16
    if name == "generate":
        # All numbers are near to a step in this sense, and such texts are counted but no error.
        monkeypatch.setattr(verification, "NEAR_A_STEP", 1.0)
        assert check(16)["other_texts"] == 16


@pytest.mark.parametrize("network", [None, "gru"])
def test_the_distance_from_a_step_is_that_of_the_uniform_number(network):
    vae = make_text_vae(network=network)
    parity = verification.Parity(None, vae, 1, 1)
    z = np.zeros((1, 2), np.float32)
    text = np.array([[2, 1, 0]], np.int32)
    given = vae.decode(z) if network is None else vae.decode(z).factors.conditional(text)
    steps = np.cumsum(tf.nn.softmax(given.logits[0, 1] / 0.5).numpy())
    u = np.full((1, 3), 0.3)
    for token, expected in ((0, abs(steps[0] - 0.3)), (2, abs(steps[1] - 0.3))):
        other = np.array([[2, token, 0]], np.int32)
        np.testing.assert_allclose(parity._distance_from_step(z, u, text, other, 0.5), expected, atol=1e-6)


def test_texts_are_scored_as_by_the_model(exported):
    vae, folder = exported
    run = runtimes.saved_model_runner(folder / "saved_model")
    x = vae.tokenizer.encode(TEXTS)
    z = np.random.default_rng(0).normal(size=(len(x), 2)).astype(np.float32)
    np.testing.assert_allclose(
        run("log_likelihood", tokens=x, z=z)["log_likelihood"], vae.decode(z).log_prob(x), rtol=1e-5
    )
    np.testing.assert_allclose(run("encode", tokens=x)["loc"], vae.encode(x).mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(run("reconstruct", tokens=x)["tokens"], vae.reconstruct(x))
