"""Measures of texts."""

import numpy as np
import pytest
from absl import logging
from helpers import make_vae
from texts import all_texts, make_text_vae

import keras_vae as kv

X = all_texts(4, 5)[::13]


def test_accuracy_counts_the_places_up_to_the_end_and_matches_count_whole_texts():
    vae = make_text_vae(4, 5)
    told = vae.reconstruct(X).numpy()
    places, texts = [], []
    for x, other in zip(X, told, strict=True):
        length = min(4, int((x > 0).sum()) + 1)
        places += list(x[:length] == other[:length])
        texts.append((x[:length] == other[:length]).all())
    expected = {"token_accuracy": np.mean(places), "exact_match": np.mean(texts)}
    assert kv.measure.text_measures(vae, X) == pytest.approx(expected)
    assert kv.measure.text_measures(vae, told)["exact_match"] <= 1.0


def test_a_report_of_texts_has_them_and_bits_for_each_token():
    vae = make_text_vae(4, 5)
    report = kv.measure.evaluate(vae, X, 3)
    assert "reconstruction_error" not in report
    assert report["measure"] == "probability of texts"
    tokens = np.minimum((X > 0).sum(axis=1) + 1, 4).mean()
    assert report["bits_per_dimension"] == pytest.approx(-report["log_likelihood"] / np.log(2) / tokens)
    assert {name: report[name] for name in ("token_accuracy", "exact_match")} == kv.measure.text_measures(vae, X)


def test_a_text_without_an_end_is_charged_none(monkeypatch):
    said = []
    monkeypatch.setattr(logging, "info", lambda text, *values: said.append(text % values))
    tokenizer = kv.data.Tokenizer(["to", "be", "or"], "words", max_length=3)
    vae = make_text_vae(tokenizer=tokenizer)
    # The first two texts have an end, and the other two, of which one was cut, have none.
    x = tokenizer.encode(["to be", "or", "to be or", "be or to be to"])
    rates = kv.measure.texts.rates(vae, kv.data.Examples(x), -6.0)
    assert rates["nats_per_character"] == pytest.approx(4 * 6.0 / (5 + 1 + 2 + 1 + 8 + 8))
    assert rates["bits_per_character"] == pytest.approx(rates["nats_per_character"] / np.log(2.0))
    assert rates["perplexity_per_word"] == pytest.approx(np.exp(4 * 6.0 / (2 + 1 + 1 + 1 + 3 + 3)))
    assert said == ["2 of 4 texts fill their row of 3 words: they are cut or just as long, and have no end that counts"]
    said.clear()
    kv.measure.texts.rates(vae, kv.data.Examples(x[:2]), -6.0)
    assert said == []


def test_other_data_are_one_error(binary):
    with pytest.raises(ValueError, match="`vae` must have a likelihood of texts"):
        kv.measure.text_measures(make_vae(), binary)
