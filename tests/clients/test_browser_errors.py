"""The page with other files than its own: it works with them or says what is wrong, in headless Chromium."""

import contextlib
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from client_models import NUM_SAMPLES, TOLERANCE, make_codes, prepared_folder, relative_difference
from client_pages import drive, serve_all, served

from export import tflite
from export.signatures import Signatures
from keras_vae.distributions.noise import Noise

prepared_folder()


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    with serve_all(tmp_path_factory.mktemp("browser")) as sites:
        yield sites


@pytest.fixture
def altered(sites, tmp_path):
    """Returns a function that serves the dense model's page with other files and tells what the page shows."""
    with contextlib.ExitStack() as stack:

        def show(card=None, task="failure", job=None, **files):
            folder = tmp_path / "site"
            shutil.copytree(sites["dense"].folder, folder, copy_function=os.link)
            if card:
                files["model_card.json"] = json.dumps(card(sites["dense"].model.card())).encode()
            for name, content in files.items():
                (folder / name).unlink()
                if content is not None:
                    (folder / name).write_bytes(content)
            return drive(task, stack.enter_context(served(folder)), **(job or {}))

        yield show


def refuses(result, *parts):
    assert result["disabled"]
    assert result["ready"] == result["error"]
    for part in parts:
        assert part in result["error"]


def test_only_dimensions_that_the_decoder_sees_have_sliders(altered):
    result = altered(card=lambda card: {**card, "decoder_latent_dim": 2}, task="visit")
    assert (result["console"], result["count"]) == ([], "2 dimensions of 3, those that the decoder sees")
    z = Noise(12).normal((NUM_SAMPLES, 3)).numpy()[2, :2]
    # Sliders have steps of 0.01.
    np.testing.assert_allclose(result["chosen"]["z"], z, atol=0.0051)
    np.testing.assert_allclose(result["nudged"], z + 0.3 * Noise(0, stream=1).normal((1, 3))[0, :2], atol=0.0051)


def test_a_card_that_does_not_say_what_the_decoder_sees_has_a_slider_for_each_dimension(altered):
    result = altered(card=lambda card: {k: v for k, v in card.items() if k != "decoder_latent_dim"}, task="visit")
    assert (result["console"], result["count"], len(result["chosen"]["z"])) == ([], "3 dimensions", 3)


def test_missing_decoder(altered):
    refuses(altered(**{"decoder.tflite": None}), "decoder.tflite must lie in the same folder", "HTTP status 404")


def test_truncated_decoder(sites, altered):
    content = sites["dense"].folder.joinpath("decoder.tflite").read_bytes()
    result = altered(**{"decoder.tflite": content[: len(content) // 2]})
    refuses(result, "decoder.tflite is damaged", f"Expected: {len(content)} bytes. Received: {len(content) // 2} bytes")


def test_decoder_that_is_something_else(altered):
    refuses(altered(**{"decoder.tflite": b"<!doctype html><p>Log in"}), "decoder.tflite is no TensorFlow Lite file")


def with_size(content):
    """Returns a change of the card that lets a file of another size pass."""

    def change(card):
        card["files"]["decoder.tflite"]["bytes"] = len(content)
        return card

    return change


def test_damage_that_keeps_the_size(sites, altered):
    content = bytearray(sites["dense"].folder.joinpath("decoder.tflite").read_bytes())
    content[8 : len(content)] = bytes(len(content) - 8)
    refuses(altered(**{"decoder.tflite": bytes(content)}), "decoder.tflite cannot be run by LiteRT.js: it is damaged")


def test_foreign_decoder(altered):
    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32)])
    def double(x):
        return {"y": 2.0 * x}

    module = tf.Module()
    module.double = double
    content = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()], module).convert()
    result = altered(card=with_size(content), **{"decoder.tflite": content})
    refuses(result, "decoder.tflite must have the signatures decode and sample", "Received: serving_default.")


def test_decoder_of_another_export(sites, altered):
    content = sites["mixture"].folder.joinpath("decoder.tflite").read_bytes()
    result = altered(card=with_size(content), **{"decoder.tflite": content})
    refuses(
        result,
        "does not belong to model_card.json: each mean of decode must be 6 x 5 x 1. Received: 5 x 4 x 3",
    )


def with_batch_size(sites, batch_size):
    signatures = Signatures(sites["dense"].model.vae, NUM_SAMPLES)
    return tflite.convert(signatures, ("decode", "sample"), batch_size)


def test_decoder_for_more_codes_at_a_time(sites, altered):
    content = with_batch_size(sites, 4)
    model, job = sites["dense"].model, {"codes": [{"z": z.tolist()} for z in make_codes(sites["dense"].model.vae)]}
    result = altered(card=with_size(content), task="numbers", job=job, **{"decoder.tflite": content})
    expected = model.decoded(make_codes(model.vae))
    assert relative_difference(np.reshape(result["decoded"], expected.shape), expected) < TOLERANCE


def test_decoder_for_any_number_of_codes(sites, altered):
    content = with_batch_size(sites, None)
    result = altered(card=with_size(content), **{"decoder.tflite": content})
    refuses(result, "accepts any number of pictures in decode, which LiteRT.js cannot run", "fixed batch size")


def test_missing_card(altered):
    refuses(altered(**{"model_card.json": None}), "model_card.json must lie in the same folder", "HTTP status 404")


def test_damaged_card(altered):
    refuses(altered(**{"model_card.json": b'{"latent_dim": 3'}), "model_card.json is damaged")


def test_card_of_something_else(altered):
    refuses(altered(card=lambda card: {"latent_dim": 3}), "model_card.json must describe", "no event_shape")


def test_missing_runtime(altered):
    result = altered(**{"litert/core/dist/index.js": None})
    refuses(result, "the LiteRT.js runtime does not start", "in the folder litert beside this page")


def test_missing_runtime_files(altered):
    names = ("litert/core/wasm/litert_wasm_internal.js", "litert/core/wasm/litert_wasm_compat_internal.js")
    refuses(altered(**dict.fromkeys(names)), "the LiteRT.js runtime does not start", "could not be loaded")


def test_opened_as_a_file(sites):
    result = drive("failure", (sites["dense"].folder / "index.html").as_uri())
    assert "This page must come from a server" in result["error"]
    assert result["disabled"]


def test_a_noise_vector_that_does_not_agree_is_said(altered):
    def change(card):
        card["noise"]["test_vectors"][4]["words"][0] ^= 1
        return card

    at = "seed -1, row 1, position 2: expected the words"
    refuses(altered(card=change), "The noise of this browser is not that of keras_vae", at)


def test_a_noise_vector_whose_normal_does_not_agree_is_said(altered):
    def change(card):
        card["noise"]["test_vectors"][0]["normal"] += 1e-4
        return card

    refuses(altered(card=change), "seed 7, row 0, position 0: expected the normal")
