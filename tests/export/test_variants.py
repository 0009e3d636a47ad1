"""Variants are smaller by what they promise, keep the noise, and are written only where they hold."""

import sys

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from exporting import (
    NOISE,
    SEEDS,
    export,
    make_conditional_vae,
    make_conv_vae,
    make_deterministic_vae,
    model_of,
    one_hot,
    skip_saved_model,
    stirred,
)
from helpers import make_vae, slow_from

import keras_vae as kv
from export import exporter, runtimes, tflite, variants
from export.signatures import FILES, Signatures

pytest.importorskip("ai_edge_quantizer", reason='needs pip install "keras_vae[int8]"')

IMAGE = (28, 28, 1)
SCHEMES = ("float16", *variants.INT8_SCHEMES)
# Largest size relative to float32 of a decoder that is large enough: weights in a half and a quarter, and the rest.
SIZES = {"float16": 0.55} | dict.fromkeys(variants.INT8_SCHEMES, 0.32)


def name_of(scheme):
    return "decoder.tflite" if scheme == "float32" else f"decoder_{scheme}.tflite"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A decoder of 28 x 28 pixels with 256 + 256 units in all variants, whatever they cost."""
    vae = stirred(make_vae(IMAGE, units=(256, 256)), scale=0.02)
    folder = tmp_path_factory.mktemp("large") / "export"
    return export(vae, folder, num_samples=4, batch_size=10, files=("decoder",), variants=SCHEMES, max_nats=1e6)


def figures(exported, scheme):
    return exported.card["files"][name_of(scheme)]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_large_decoder_shrinks_by_what_the_scheme_promises(large, scheme):
    sizes = {s: (large.folder / name_of(s)).stat().st_size for s in ("float32", scheme)}
    assert sizes["float32"] > 1e6
    assert 0.2 < sizes[scheme] / sizes["float32"] <= SIZES[scheme]
    assert figures(large, scheme)["bytes"] == sizes[scheme]
    assert figures(large, scheme)["scheme"] == scheme


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_are_stored_as_the_scheme_says(large, scheme):
    def bytes_of(kind):
        model = model_of(large.folder / name_of(scheme))
        used = {t.buffer for graph in model.subgraphs for t in graph.tensors if t.type == kind}
        # Signatures share the bytes of a weight, each by a buffer of its own.
        return sum(map(len, {model.buffers[i].data.tobytes() for i in used if model.buffers[i].data is not None}))

    num_weights = sum(w.size for w in large.vae.decoder.get_weights())
    wide, narrow = (
        bytes_of(kind)
        for kind in (
            schema.TensorType.FLOAT32,
            schema.TensorType.FLOAT16 if scheme == "float16" else schema.TensorType.INT8,
        )
    )
    np.testing.assert_allclose(narrow, num_weights * (2 if scheme == "float16" else 1), rtol=0.02)
    assert wide < 0.02 * num_weights * 4


@pytest.mark.parametrize("scheme", SCHEMES)
def test_inputs_and_outputs_are_those_of_float32(large, scheme):
    of_float32, of_scheme = (
        {
            name: [
                {key: (detail["dtype"], tuple(detail["shape"])) for key, detail in details.items()}
                for details in (runner.get_input_details(), runner.get_output_details())
            ]
            for name in FILES["decoder"]
            for runner in [Interpreter(model_path=str(large.folder / name_of(s))).get_signature_runner(name)]
        }
        for s in ("float32", scheme)
    )
    assert of_scheme == of_float32
    dtypes = {dtype for details in of_scheme.values() for side in details for dtype, _ in side.values()}
    assert dtypes == {np.float32, np.int32}
    assert {dtype for name in of_scheme for dtype, _ in of_scheme[name][1].values()} == {np.float32}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_seed_draws_the_same_codes_from_every_variant(large, scheme):
    for seed in SEEDS:
        outputs = large.run(name_of(scheme), "sample", seed=seed, temperature=1.0)
        np.testing.assert_allclose(outputs["z"], large.vae.sample_latent(4, seed=seed)[0], atol=NOISE)
    assert figures(large, scheme)["signatures"]["sample"]["max_difference_z"] < NOISE


# Largest difference of a probability and smallest PSNR in dB, with room: they depend on the weights drawn above.
QUALITY = {"float16": (5e-3, 70.0), "weight_int8": (5e-2, 45.0), "dynamic_int8": (5e-2, 45.0), "full_int8": (0.5, 25.0)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_figures_of_a_variant_are_what_the_file_does(large, scheme):
    z = np.random.default_rng(4).normal(size=(50, 3)).astype(np.float32)
    expected = large.vae.decode(z).mean().numpy()
    actual = large.batches(name_of(scheme), "decode", z=z)["mean"]
    largest, psnr = QUALITY[scheme]
    assert 0.0 < np.abs(actual - expected).max() < largest
    assert -10 * np.log10(np.mean((actual - expected) ** 2)) > psnr
    listed = figures(large, scheme)
    assert 0.0 < listed["signatures"]["decode"]["max_difference"] < largest
    assert listed["signatures"]["decode"]["psnr"] > psnr
    assert listed["measured_on"] == "draws of the model"
    assert abs(listed["elbo_change"]) < 2.0
    assert 0.0 < listed["latency_ms"]["1"] < 1000.0


def test_the_exact_variants_lose_less_than_the_fast_one(large):
    differences = [
        figures(large, s)["signatures"]["decode"]["mean_difference"]
        for s in ("float32", "float16", "weight_int8", "dynamic_int8", "full_int8")
    ]
    assert differences == sorted(differences)
    assert differences[0] < 1e-6 < differences[1]


# Other models.


def in_every_scheme(vae, signatures, names):
    """Returns scheme -> a TFLite file of the signatures."""
    content = tflite.convert(signatures, names, 1)
    scopes = (vae.encoder.name, vae.decoder.name)
    z = vae.sample_latent(16, seed=1)[0].numpy()
    condition = None if vae.condition_dim is None else one_hot(16)
    x = vae.sample(16, seed=1, output="sample", condition=condition).numpy()
    data = variants.calibration_data(signatures, names, 1, z, x, condition)
    return {"float16": variants.to_float16(content, scopes)} | {
        scheme: variants.quantize(content, scheme, scopes, data) for scheme in variants.INT8_SCHEMES
    }


def make_conditional_mixture_vae():
    return make_conditional_vae(prior=kv.priors.MixtureOfGaussians(3, 4))


MODELS = {"conv": make_conv_vae, "conditional mixture": make_conditional_mixture_vae}


@pytest.mark.parametrize("name", slow_from(1, MODELS))
def test_other_models_run_in_all_variants_and_draw_the_same_codes(name, tmp_path):
    vae, names = stirred(MODELS[name]()), ("sample",)
    signatures, expected = Signatures(vae, 4), vae.sample_latent(4, seed=-7)[0].numpy()
    condition = {} if vae.condition_dim is None else {"condition": one_hot(4)}
    mean = vae.sample(4, seed=-7, **condition).numpy()
    for scheme, content in in_every_scheme(vae, signatures, names).items():
        path = tmp_path / f"{scheme}.tflite"
        path.write_bytes(content)
        outputs = runtimes.litert_runner(path)("sample", seed=-7, temperature=1.0, **condition)
        np.testing.assert_allclose(outputs["z"], expected, atol=NOISE)
        # 8 bits of a range of a few, and a few layers.
        assert np.abs(outputs["mean"] - mean).mean() < 0.02 * np.ptp(mean)


def test_calibration_takes_every_image_whatever_the_batch_size(dense):
    signatures = Signatures(dense.vae, 4)
    z, x = np.arange(30.0).reshape(10, 3), np.arange(300.0).reshape(10, 6, 5, 1)
    for batch_size, count in ((1, 10), (4, 3), (10, 1), (64, 1)):
        data = variants.calibration_data(signatures, ("decode", "log_likelihood", "sample"), batch_size, z, x, None)
        assert {name: len(calls) for name, calls in data.items()} == {
            "decode": count,
            "log_likelihood": count,
            "sample": min(count, 8),
        }
        assert {call["z"].shape for call in data["decode"]} == {(batch_size, 3)}
        assert {tuple(row) for call in data["decode"] for row in call["z"]} == {tuple(row) for row in z}
        for call in data["log_likelihood"]:
            np.testing.assert_array_equal(call["x"].reshape(-1, 30)[:, 0] / 30, call["z"][:, 0] / 3)


@pytest.mark.slow
def test_a_batch_size_above_the_number_of_images_is_measured(tmp_path):
    # 256 rows a call, where there are 200 images and 128 for calibration.
    exported = export(
        make_vae(), tmp_path / "export", files=("autoencoder",), variants=("full_int8",), batch_size=256, max_nats=1e6
    )
    listed = exported.card["files"]["autoencoder_full_int8.tflite"]
    assert abs(listed["log_likelihood_change"]) < 5.0
    assert exported.card["signatures"]["reconstruct"]["files"] == [
        "saved_model",
        "autoencoder.tflite",
        "autoencoder_full_int8.tflite",
    ]


def test_a_file_whose_cost_cannot_be_seen_has_no_variants(tmp_path, monkeypatch):
    skip_saved_model(monkeypatch)
    exported = export(make_deterministic_vae(), tmp_path / "export", files=("encoder",), variants=("float16",))
    assert sorted(path.name for path in exported.folder.glob("*.tflite")) == ["encoder.tflite"]
    listed = exported.card["files"]["encoder_float16.tflite (float16, not written)"]
    assert listed["not_written"] == "its cost in nats cannot be measured: the signature that shows it is left out"


# Which are written.


@pytest.fixture
def export_with_costs(tmp_path, monkeypatch):
    """Returns a function: losses of the schemes in nats, options -> card and names of the files that were written."""

    def run(losses, **options):
        asked = []

        class FakeCost:
            def __init__(self, *_):
                pass

            def of(self, file, run, names, batch_size):
                asked.append(file)
                loss = 0.0 if len(asked) == 1 else losses[len(asked) - 2]  # the first is the float32 file
                return {"log_likelihood_change": -loss, "log_likelihood_change_standard_error": 0.0}

        monkeypatch.setattr(exporter, "Cost", FakeCost)
        monkeypatch.setattr(exporter.measuring, "measure", lambda *_: {"latency_ms": {"1": 1.0, "4": 1.0}})
        skip_saved_model(monkeypatch)
        folder = tmp_path / "export"
        exported = export(make_vae(), folder, num_samples=2, files=("autoencoder",), **options)
        return exported.card["files"], sorted(path.name for path in folder.glob("*.tflite")), len(asked) - 1

    return run


def test_int8_is_the_first_scheme_that_holds_and_a_gain_is_no_loss(export_with_costs, monkeypatch):
    quantize = variants.quantize

    def fail_at_weights(content, scheme, *others):
        if scheme == "weight_int8":
            raise ValueError("no weights to be seen\nin the file")
        return quantize(content, scheme, *others)

    monkeypatch.setattr(variants, "quantize", fail_at_weights)
    files, written, tried = export_with_costs([0.501, 0.5, -0.3], variants=("int8", "float16", "weight_int8"))
    assert written == ["autoencoder.tflite", "autoencoder_float16.tflite", "autoencoder_int8.tflite"]
    assert files["autoencoder_int8.tflite"]["scheme"] == "dynamic_int8"
    refused = files.pop("autoencoder_int8.tflite (full_int8, not written)")
    assert refused["not_written"] == "it costs 0.50 nats an example, more than 0.5"
    assert (refused["scheme"], refused["bytes"] > 0) == ("full_int8", True)
    # What the quantizer cannot do is no reason to write nothing.
    failed = files.pop("autoencoder_weight_int8.tflite (weight_int8, not written)")
    assert (failed["not_written"], failed["bytes"]) == ("it cannot be made: no weights to be seen", 0)
    assert tried == 3
    assert set(files) == {"saved_model", *written}
    assert [name for name, entry in files.items() if "not_written" in entry] == []


def test_without_a_scheme_that_holds_each_is_listed_with_its_reason(export_with_costs):
    files, written, tried = export_with_costs([1.0, 0.25, np.nan, 1e-3], variants=("int8", "float16"), max_nats=0)
    assert written == ["autoencoder.tflite"]
    assert {name: entry["not_written"] for name, entry in files.items() if "not_written" in entry} == {
        "autoencoder_int8.tflite (full_int8, not written)": "it costs 1.00 nats an example, more than 0",
        "autoencoder_int8.tflite (dynamic_int8, not written)": "it costs 0.25 nats an example, more than 0",
        "autoencoder_int8.tflite (weight_int8, not written)": "it costs nan nats an example, more than 0",
        "autoencoder_float16.tflite (float16, not written)": "it costs 0.00 nats an example, more than 0",
    }
    # NaN is no JSON.
    assert files["autoencoder_int8.tflite (weight_int8, not written)"]["log_likelihood_change"] is None
    assert tried == 4


def test_variants_are_taken_once_and_float32_first():
    assert variants.check_variants(["int8", "float16", "int8"]) == ("float32", "int8", "float16")
    assert exporter.Options(variants=("float16",)).variants == ("float32", "float16")
    assert not exporter.Options(variants=("float32",)).measured
    assert exporter.Options(variants=("float32", "weight_int8")).measured


@pytest.mark.parametrize("names", [("foo",), ("float32", "int4"), ("INT8",), ()])
def test_unknown_variants_are_refused(names):
    with pytest.raises(
        ValueError, match=r"`variants` must be some of float32, float16, .*int8. Received: (\w+|.*int4)"
    ):
        exporter.Options(variants=names)


@pytest.mark.parametrize("name", ["int8", *variants.INT8_SCHEMES])
def test_a_missing_quantizer_is_said_before_the_work(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(ValueError, match=r'pip install "keras_vae\[int8\]"') as error:
        exporter.Options(variants=(name,))
    assert "\n" not in str(error.value)
    assert exporter.Options(variants=("float16",)).variants == ("float32", "float16")
