"""Exported models of texts draw the tokens that the model draws."""

import json

import keras
import numpy as np
import pytest
from helpers import slow_from
from texts import NETWORKS, make_text_vae

import keras_vae as kv
from export import exporter, runtimes

TEXTS = ["a cat", "a dog", "the cat", "the dog", "no"]


@pytest.fixture(scope="module", params=slow_from(1, NETWORKS))
def exported(request, tmp_path_factory):
    """A model of texts and the folder of its files."""
    vae = make_text_vae(network=request.param, tokenizer=kv.data.Tokenizer.of(TEXTS))
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(TEXTS * 8, batch_size=8, verbose=0)
    folder = tmp_path_factory.mktemp("texts") / "export"
    exporter.export_model(vae, folder)
    return vae, folder


@pytest.mark.parametrize("file", ["saved_model", "decoder.tflite"])
def test_a_seed_draws_the_same_texts_everywhere(exported, file):
    vae, folder = exported
    run = (runtimes.saved_model_runner if file == "saved_model" else runtimes.litert_runner)(folder / file)
    other = count = 0
    for seed in range(50):
        drawn = run("sample_pixels", seed=seed, temperature=1.0)["x"]
        assert drawn.dtype == np.int32
        expected = vae.sample(len(drawn), seed=seed, output="sample").numpy()
        other += (drawn != expected).any(axis=1).sum()
        count += len(drawn)
        if seed == 7:
            assert vae.tokenizer.decode(drawn) == vae.generate(len(drawn), seed=seed)
    # A token is another one where its uniform falls as close to a cumulative probability as runtimes differ, about
    # 1e-6, and a text has some ten tokens.
    assert other <= 1, f"{other} of {count} texts"
    tokens = run("sample", seed=7, temperature=1.0)["mean"]
    np.testing.assert_array_equal(tokens, vae.sample(len(tokens), seed=7))


def test_the_card_has_the_vocabulary(exported):
    vae, folder = exported
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    assert kv.data.Tokenizer(**card["tokenizer"]).get_config() == vae.tokenizer.get_config()
    assert not card["is_factorized"]


def test_texts_are_scored_as_by_the_model(exported):
    vae, folder = exported
    run = runtimes.saved_model_runner(folder / "saved_model")
    x = vae.tokenizer.encode(TEXTS)
    z = np.random.default_rng(0).normal(size=(len(x), 2)).astype(np.float32)
    np.testing.assert_allclose(run("log_likelihood", x=x, z=z)["log_likelihood"], vae.decode(z).log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(run("encode", x=x)["loc"], vae.encode(x).mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(run("reconstruct", x=x)["mean"], vae.reconstruct(x))
