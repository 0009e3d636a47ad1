"""Autoregressive models in exported files: pictures drawn value by value are those of Python."""

import json

import keras
import numpy as np
import pytest
from helpers import make_binary, slow_from

import keras_vae as kv
from export import exporter, runtimes, verification

SHAPE = (5, 4, 1)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(
            kv.networks.conv_decoder(SHAPE, (4,), 8),
            kv.likelihoods.Autoregressive(kv.likelihoods.Bernoulli(SHAPE), kv.networks.CausalConv(4, 1)),
        ),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    x = make_binary(100, SHAPE)
    vae.adapt(x)
    vae.fit(x, epochs=10, batch_size=20, verbose=0)
    return vae


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The folder of an export of the decoder, of four pictures and one row in a call."""
    options = exporter.Options(num_samples=4, files=("decoder",))
    return exporter.export_model(trained, tmp_path_factory.mktemp("autoregressive") / "export", options)


@pytest.mark.parametrize("batch_size", slow_from(1, [1, None]))
def test_seeds_draw_the_pictures_of_python(trained, tmp_path, request, batch_size):
    if batch_size == 1:
        folder = request.getfixturevalue("exported")
    else:
        options = exporter.Options(num_samples=4, files=("decoder",), batch_size=batch_size)
        folder = exporter.export_model(trained, tmp_path / "export", options)
    for make, file in ((runtimes.saved_model_runner, "saved_model"), (runtimes.litert_runner, "decoder.tflite")):
        run, other = make(folder / file), 0
        for seed in range(25):
            drawn = run("sample_pixels", seed=np.int32(seed), temperature=np.float32(1.0))["x"]
            expected = trained.sample(4, seed=seed, output="sample").numpy()
            assert 0.0 < expected.mean() < 1.0
            other += int((drawn != expected).any(axis=(1, 2, 3)).sum())
        # A uniform number may lie within rounding of a probability, in one picture of many.
        assert other <= 1


def altered(run, count):
    """Returns a runner whose first `count` pictures of `decode` are others."""

    def other(name, **inputs):
        outputs = dict(run(name, **inputs))
        if name == "decode":
            outputs["mean"] = np.concatenate([1.0 - outputs["mean"][:count], outputs["mean"][count:]])
        return outputs

    return other


def test_few_pictures_may_be_others_and_are_counted(trained, exported, monkeypatch):
    monkeypatch.setattr(verification, "NUM_CHECKS", 100)
    run = runtimes.saved_model_runner(exported / "saved_model")
    check = lambda count: verification.Parity(altered(run, count), trained, 4, 100).check("decode")  # noqa: E731
    assert check(0)["other_pictures"] == 0
    assert check(2)["other_pictures"] == 2
    with pytest.raises(exporter.ExportError, match="`decode` differs from Keras by"):
        check(3)


@pytest.mark.slow
def test_variants_draw_the_codes_of_python_and_say_what_they_cost(trained, tmp_path):
    variants = ("float32", "float16", "full_int8", "weight_int8")
    options = exporter.Options(num_samples=4, files=("decoder",), variants=variants)
    folder = exporter.export_model(trained, tmp_path / "export", options)
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    reason = card["files"]["decoder_full_int8.tflite (full_int8, not written)"]["not_written"]
    assert "cannot be calibrated inside of a loop" in reason
    for variant in ("float16", "weight_int8"):
        assert abs(card["files"][f"decoder_{variant}.tflite"]["log_likelihood_change"]) < 0.05
        z = runtimes.litert_runner(folder / f"decoder_{variant}.tflite")(
            "sample_pixels", seed=np.int32(3), temperature=np.float32(1.0)
        )["z"]
        np.testing.assert_allclose(z, trained.sample_latent(4, 3)[0], atol=1e-5)


@pytest.mark.slow
def test_onnx_draws_the_pictures_of_python(trained, tmp_path):
    options = exporter.Options(num_samples=2, files=(), onnx=True)
    folder = exporter.export_model(trained, tmp_path / "export", options)
    # The export runs the file in onnxruntime, compares it with Keras, and leaves nothing that differs.
    assert sorted(path.name for path in folder.glob("*.onnx")) == ["decoder.onnx", "sampler.onnx"]
