"""What is exported is whole and verified, or is not left behind."""

import errno
import json
import pathlib
import re
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from exporting import NOISE, content_of, skip_saved_model, stirred
from exporting import export as export_and_load
from helpers import SHAPE, make_binary, make_vae, slow_from

import keras_vae as kv
from export import exporter, measuring, runtimes, tflite, verification
from export import precision as export_precision
from export.signatures import FILES, NAMES, Signatures
from keras_vae.engine.precision import dtype_policy, in_float32, precision_of
from keras_vae.utils import atomic_files

# Without TFLite files, for what does not depend on them.
ONLY_SAVED_MODEL = exporter.Options(num_samples=2, files=())


# What is in the folder.


def test_export_leaves_the_documented_files_and_no_temporary_folder(exported):
    assert sorted(p.name for p in exported.folder.iterdir()) == [
        atomic_files.MARKER,
        "autoencoder.tflite",
        "decoder.tflite",
        "encoder.tflite",
        "model_card.json",
        "saved_model",
    ]
    assert [p.name for p in exported.folder.parent.iterdir()] == ["export"]


def test_every_signature_has_one_tflite_file():
    assert sorted(name for names in FILES.values() for name in names) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES) == 8


# Options.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "`num_samples` must be a positive integer. Received: num_samples=0"),
        ({"num_samples": 2.0}, "`num_samples` must be a positive integer"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer or None. Received: batch_size=0"),
        ({"batch_size": -1}, "`batch_size` must be a positive integer"),
        (
            {"files": ("decoder", "encoders")},
            "`files` must be one of 'decoder', 'encoder', 'autoencoder'. .*'encoders'",
        ),
        ({"variants": ("float8",)}, "`variants` must be some of float32, .* Received: float8"),
        ({"max_nats": -0.1}, "`max_nats` must be a number of at least 0. Received: max_nats=-0.1"),
        ({"max_nats": np.nan}, "`max_nats` must be a number of at least 0"),
        ({"web": True, "files": ("encoder",)}, "`web` needs a decoder with a static batch size"),
        ({"web": True, "batch_size": None}, "`web` needs a decoder with a static batch size"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options, message):
    with pytest.raises(ValueError, match=message):
        exporter.Options(**options)


def half(policy):
    """A model that computes in half precision, and x."""
    with dtype_policy(policy):
        vae = make_vae(prior=kv.priors.MixtureOfGaussians(3, 4))
    vae.compile(keras.optimizers.Adam(1e-2))
    x = make_binary(64, SHAPE)
    vae.fit(x, batch_size=16, epochs=3, verbose=0)
    return vae, x


@pytest.mark.parametrize("policy", slow_from(1, ["mixed_bfloat16", "mixed_float16"]))
def test_half_precision_is_exported_in_float32_and_the_card_says_what_that_changes(tmp_path, policy):
    vae, x = half(policy)
    folder = exporter.export_model(vae, tmp_path / "export", exporter.Options(files=("encoder", "decoder")))
    card = json.loads((folder / "model_card.json").read_text())
    facts = card["precision"]
    assert (facts["trained"], facts["measured_on"]) == (policy.removeprefix("mixed_"), "draws of the model")
    assert 0.0 < abs(facts["elbo_change"]) < 0.2
    assert 0.0 < facts["elbo_change_standard_error"] < 0.1
    exact = in_float32(vae)
    assert precision_of(exact) == "float32"
    for weight, value in zip(exact.weights, vae.weights, strict=True):
        np.testing.assert_array_equal(weight, value)
    run = runtimes.litert_runner(folder / "encoder.tflite")
    encoded = run("encode", x=x[:1])["loc"]
    np.testing.assert_allclose(encoded, exact.encode(x[:1]).mean(), atol=1e-5)
    assert np.abs(encoded - vae.encode(x[:1]).mean()).max() > 1e-4
    drawn = runtimes.saved_model_runner(folder / "saved_model")("sample", seed=3, temperature=1.0)
    np.testing.assert_allclose(drawn["mean"], exact.sample(16, seed=3), atol=1e-5)


def test_a_layer_in_half_precision_is_exported_in_float32(tmp_path):
    keras.utils.set_random_seed(0)
    trunk = keras.Sequential([keras.layers.Dense(8, dtype=keras.DTypePolicy("mixed_float16"), name="half")])
    decoder = kv.Decoder(trunk, kv.likelihoods.Bernoulli(SHAPE))
    vae = kv.VAE(kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(3)), decoder, seed=0)
    folder = exporter.export_model(vae, tmp_path / "export", exporter.Options(files=("decoder",)))
    assert json.loads((folder / "model_card.json").read_text())["precision"]["trained"] == "float16"
    assert precision_of(vae) == "float16"  # the model itself stays what it was


def test_a_copy_in_float32_that_is_another_model_is_not_exported(tmp_path, monkeypatch):
    vae, _ = half("mixed_bfloat16")
    other = make_vae(prior=kv.priors.MixtureOfGaussians(3, 4))
    for weight in other.decoder.trainable_weights:
        weight.assign_add(5.0 * np.ones(weight.shape))
    monkeypatch.setattr(export_precision, "in_float32", lambda _: other)
    with pytest.raises(exporter.ExportError, match=r"in float32 the elbo is .* nats from that in bfloat16"):
        exporter.export_model(vae, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_float32_is_exported_as_it_is(exported):
    assert exported.card["precision"] == {"trained": "float32"}


# An export that is not right is not left behind.


@keras.saving.register_keras_serializable(package="test_export")
class Unsupported(keras.layers.Layer):
    """A layer (batch, 16) -> (batch, 16) with an operation that TFLite has no built-in for."""

    def __init__(self, operation, **kwargs):
        super().__init__(**kwargs)
        self.operation = operation

    def call(self, x):
        if self.operation == "Igamma":
            return tf.math.igamma(tf.ones_like(x), tf.nn.softplus(x))
        if self.operation == "Fft":
            return tf.math.real(tf.signal.fft(tf.cast(x, tf.complex64)))
        return x + tf.random.stateless_normal((16,), (1, 2))

    def compute_output_shape(self, input_shape):
        return input_shape


def make_unsupported_vae(operation, part="decoder"):
    trunks = {"encoder": kv.networks.mlp((16,)), "decoder": kv.networks.mlp((16,))}
    trunks[part] = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(16), Unsupported(operation)])
    return kv.VAE(
        kv.Encoder(trunks["encoder"], kv.posteriors.DiagonalGaussian(3)),
        kv.Decoder(trunks["decoder"], kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )


# With Flex the first would convert, and then not run on a device.
@pytest.mark.parametrize(
    ("operation", "part", "file"),
    slow_from(1, [("StatelessRandomNormalV2", "decoder", "decoder"), ("Igamma", "encoder", "autoencoder")]),
)
def test_operation_without_built_in_is_named_and_nothing_is_left(tmp_path, monkeypatch, operation, part, file):
    skip_saved_model(monkeypatch)
    options = exporter.Options(num_samples=2, files=(file,))
    with pytest.raises(exporter.ExportError, match=rf"no built-in for: (\w+, )*{operation}\."):
        exporter.export_model(make_unsupported_vae(operation, part), tmp_path / "export", options)
    assert list(tmp_path.iterdir()) == []


def test_what_must_convert_is_told_from_what_may(vae, monkeypatch):
    def convert(_, names, batch_size):
        assert batch_size == 1
        bad = {"score", "decode"} & set(names)
        if bad:
            raise exporter.ExportError(f"no {min(bad)}")
        return b"+".join(name.encode() for name in names)

    monkeypatch.setattr(tflite, "convert", convert)
    signatures = Signatures(vae, 2)
    assert tflite.convert_what_can_be(signatures, ("encode", "sample"), 1) == (
        b"encode+sample",
        ("encode", "sample"),
        {},
    )
    there = tflite.convert_what_can_be(signatures, ("encode", "score", "sample"), 1, required=("sample",))
    assert there == (b"encode+sample", ("encode", "sample"), {"score": "no score"})
    with pytest.raises(exporter.ExportError, match="no decode"):
        tflite.convert_what_can_be(signatures, ("sample", "decode"), 1, required=("decode",))
    with pytest.raises(exporter.ExportError, match="no score"):
        tflite.convert_what_can_be(signatures, ("score",), 1)


def test_file_that_converts_but_does_not_run_is_an_export_error(tmp_path, monkeypatch):
    skip_saved_model(monkeypatch)
    # The converter writes this one without complaint, and LiteRT then raises RuntimeError at the first call.
    options = exporter.Options(num_samples=2, files=("decoder",))
    with pytest.raises(exporter.ExportError, match=r"decoder\.tflite does not run in LiteRT: \S"):
        exporter.export_model(make_unsupported_vae("Fft"), tmp_path / "export", options)
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_measured_is_an_export_error(tmp_path, vae, monkeypatch):
    def fail(path, _):
        raise RuntimeError(f"{path.name} cannot be measured: killed")

    monkeypatch.setattr(measuring, "measure", fail)
    skip_saved_model(monkeypatch)
    options = exporter.Options(num_samples=2, files=("autoencoder",), variants=("float16",))
    with pytest.raises(exporter.ExportError, match=r"autoencoder\.tflite cannot be measured: killed"):
        exporter.export_model(vae, tmp_path / "export", options)
    assert list(tmp_path.iterdir()) == []


def shifted(run, signature, output, shift):
    """Returns a runner with one output of one signature moved by `shift`."""

    def moved(name, **inputs):
        outputs = dict(run(name, **inputs))
        if name == signature:
            outputs[output] = outputs[output] + np.float32(shift)
        return outputs

    return moved


def shift_runtime(monkeypatch, runtime, *how):
    make_runner = getattr(runtimes, runtime)
    monkeypatch.setattr(runtimes, runtime, lambda path: shifted(make_runner(path), *how))


@pytest.mark.parametrize(
    ("runtime", "signature", "shift"),
    [("saved_model_runner", "decode", 1e-3), ("litert_runner", "reconstruct", np.nan)],
)
def test_mismatch_is_refused_and_nothing_is_left(tmp_path, monkeypatch, vae, runtime, signature, shift):
    shift_runtime(monkeypatch, runtime, signature, "mean", shift)
    if runtime == "litert_runner":
        skip_saved_model(monkeypatch)
    with pytest.raises(exporter.ExportError, match=rf"`{signature}` differs from Keras by (nan|0\.001), "):
        exporter.export_model(vae, tmp_path / "export", exporter.Options(num_samples=2, files=("autoencoder",)))
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing(tmp_path, monkeypatch, vae):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runtimes, "saved_model_runner", interrupt)
    with pytest.raises(KeyboardInterrupt):
        exporter.export_model(vae, tmp_path / "export", ONLY_SAVED_MODEL)
    assert list(tmp_path.iterdir()) == []


# The comparison with Keras itself.


def parity(exported, run, batch_size=None, tolerance=verification.TOLERANCE):
    return verification.Parity(
        run, exported.vae, exported.num_samples, batch_size or exported.size("tflite"), tolerance
    )


OUTPUTS = [
    ("decode", "mean"),
    ("sample", "mean"),
    ("sample", "z"),
    ("interpolate", "mean"),
    ("log_likelihood", "log_likelihood"),
    ("encode", "loc"),
    ("encode", "scale"),
    ("score", "elbo"),
    ("score", "log_likelihood"),
    ("reconstruct", "mean"),
]


@pytest.mark.parametrize(("signature", "output"), OUTPUTS)
@pytest.mark.parametrize("shift", [0.01, -0.01, np.nan])
def test_check_finds_a_shift_in_every_output(dense, signature, output, shift):
    run = dense.runners["saved_model"]
    if shift > 0.0:  # once for each output
        parity(dense, run).check(signature)
    with pytest.raises(exporter.ExportError, match=rf"`{signature}.*` differs from Keras by (nan|0\.0\d+), ") as error:
        parity(dense, shifted(run, signature, output, shift)).check(signature)
    difference = float(re.search(r" by (\S+),", str(error.value))[1])
    # Relative to the largest value where that is above 1, and log likelihoods are below 100.
    assert np.isnan(difference) if np.isnan(shift) else 1e-4 < difference <= 0.0101


def test_check_finds_drawn_pixels_of_another_seed(dense):
    run = dense.runners["saved_model"]
    assert parity(dense, run).check("sample_pixels") == {"differing_pixels": 0.0}

    def other(name, seed, **inputs):
        return run(name, seed=seed + np.int32(1), **inputs)

    with pytest.raises(exporter.ExportError, match=r"`sample_pixels` differs from Keras in \d\d\.\d\d% of the pixels"):
        parity(dense, other).check("sample_pixels")
    share = parity(dense, other, tolerance=None).check("sample_pixels")["differing_pixels"]
    # Two independent draws of pixels near 1/2 differ in half of them.
    assert 0.2 < share < 0.6


def test_the_default_signature_of_the_saved_model_reconstructs(dense):
    x = np.random.default_rng(5).integers(0, 2, (3, 6, 5, 1)).astype(np.float32)
    loaded = tf.saved_model.load(str(dense.folder / "saved_model"))
    served = loaded.signatures["serving_default"](x=tf.constant(x))
    np.testing.assert_allclose(served["mean"], dense.vae.reconstruct(x), atol=1e-6)


def test_check_finds_another_number_of_rows(dense):
    run = dense.runners["saved_model"]

    def longer(name, **inputs):
        return {key: np.concatenate([value, value[:1]]) for key, value in run(name, **inputs).items()}

    with pytest.raises(exporter.ExportError, match=r"`decode` has shape \(16, 6, 5, 1\), Keras has \(8, 6, 5, 1\)"):
        parity(dense, longer).check("decode")


class Shifted(NamedTuple):
    """A runner that decodes with Keras and adds `shift`."""

    vae: kv.VAE
    shift: float

    def __call__(self, signature, **inputs):
        return {"mean": self.vae.decode(inputs["z"]).mean().numpy() + np.float32(self.shift)}


def check_decode(vae, shift, tolerance=verification.TOLERANCE):
    return verification.Parity(Shifted(vae, shift), vae, 2, 64, tolerance).check("decode")


def test_check_measures_largest_and_mean_difference_and_psnr(vae):
    figures = check_decode(vae, 9e-5)
    # To the spacing of float32 near 1.
    np.testing.assert_allclose([figures["max_difference"], figures["mean_difference"]], 9e-5, atol=2e-7)
    # Of a uniform error: 20 log10(range / error).
    z = np.random.default_rng(0).normal(0.0, 2.0, (64, 3)).astype(np.float32)
    spread = np.ptp(vae.decode(z).mean().numpy())
    np.testing.assert_allclose(figures["psnr"], 20 * np.log10(spread / 9e-5), rtol=1e-3)
    with pytest.raises(exporter.ExportError, match=r"differs from Keras by 0\.00011, which is more than 0\.0001"):
        check_decode(vae, -1.1e-4)
    # To measure only: the variants, which are not exact.
    np.testing.assert_allclose(check_decode(vae, 0.25, None)["max_difference"], 0.25, atol=2e-7)


def test_what_is_equal_has_no_finite_psnr(vae):
    assert check_decode(vae, 0.0) == {"max_difference": 0.0, "mean_difference": 0.0, "psnr": None}


def test_check_is_relative_to_the_largest_mean_above_one():
    vae = make_vae(likelihood=kv.likelihoods.Gaussian(SHAPE))
    vae.decoder.likelihood.adapt(np.full(SHAPE, 1000.0))
    # 0.09 of about 1000; to the spacing of float32 there.
    np.testing.assert_allclose(check_decode(vae, 0.09)["max_difference"], 9e-5, rtol=0.02)
    with pytest.raises(exporter.ExportError):
        check_decode(vae, 0.12)


def test_check_refuses_noise_that_ignores_the_seed(vae):
    pictures = {"mean": vae.sample(2, seed=0).numpy(), "z": vae.sample_latent(2, seed=0)[0].numpy()}
    with pytest.raises(exporter.ExportError, match="the same pictures for the seeds 0 and 1"):
        verification.Parity(lambda signature, **_: pictures, vae, 2, 1).check("sample")


def test_check_of_the_score_takes_batches_of_more_than_keras_does(vae):
    # `VAE.bounds` works in batches of 100, and noise follows the place in a batch.
    function = Signatures(vae, 2).concrete(["score"], 128)["score"]

    def run(_, **inputs):
        outputs = function(**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    assert verification.Parity(run, vae, 2, 128).check("score")["max_difference"] < 1e-5
    with pytest.raises(exporter.ExportError, match="`score"):
        verification.Parity(shifted(run, "score", "elbo", 0.01), vae, 2, 128).check("score")


# An existing export.


def make_old(folder):
    folder.mkdir()
    (folder / "decoder.tflite").write_bytes(b"old")


def test_existing_export_is_not_touched_without_overwrite(tmp_path, vae):
    make_old(tmp_path / "export")
    with pytest.raises(ValueError, match=r"must not exist, or pass --overwrite.*export"):
        exporter.export_model(vae, tmp_path / "export")
    assert content_of(tmp_path) == {"export/decoder.tflite": b"old"}


def test_overwrite_replaces_the_folder_and_pictures_do_not_depend_on_their_number(tmp_path, dense):
    make_old(tmp_path / "export")
    (tmp_path / "export" / "stale").write_text("of the old export")
    options = exporter.Options(num_samples=4, files=("decoder",))
    exporter.export_model(dense.vae, tmp_path / "export", options, overwrite=True)
    names = {p.name for p in (tmp_path / "export").iterdir()}
    assert names == {atomic_files.MARKER, "saved_model", "decoder.tflite", "model_card.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["export"]
    for file, run in (
        ("saved_model", runtimes.saved_model_runner(tmp_path / "export/saved_model")),
        ("tflite", runtimes.litert_runner(tmp_path / "export/decoder.tflite")),
    ):
        four = run("sample", seed=np.int32(7), temperature=np.float32(1.0))
        sixteen = dense.run(file, "sample", seed=7, temperature=1.0)
        assert (four["mean"].shape[0], sixteen["mean"].shape[0]) == (4, 16)
        for name in ("z", "mean"):
            # Kernels may vectorize 4 and 16 rows differently.
            np.testing.assert_allclose(four[name], sixteen[name][:4], rtol=1e-5, atol=1e-6)


def test_failing_overwrite_keeps_the_old_export(tmp_path, monkeypatch, vae):
    make_old(tmp_path / "export")
    shift_runtime(monkeypatch, "saved_model_runner", "decode", "mean", 1e-3)
    with pytest.raises(exporter.ExportError):
        exporter.export_model(vae, tmp_path / "export", ONLY_SAVED_MODEL, overwrite=True)
    assert content_of(tmp_path) == {"export/decoder.tflite": b"old"}


def test_overwrite_that_cannot_be_renamed_keeps_the_old_export(tmp_path, monkeypatch, vae):
    make_old(tmp_path / "export")
    rename, refused = pathlib.Path.rename, []

    def refuse_once(self, target):
        if target == tmp_path / "export" and not refused:
            refused.append(target)
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", refuse_once)
    skip_saved_model(monkeypatch)
    with pytest.raises(OSError, match="no space left"):
        exporter.export_model(vae, tmp_path / "export", ONLY_SAVED_MODEL, overwrite=True)
    assert content_of(tmp_path) == {"export/decoder.tflite": b"old"}


def test_folder_that_cannot_be_made_is_one_error_that_names_it(tmp_path, vae):
    (tmp_path / "file").write_text("precious")
    for folder in (tmp_path / "file" / "export", tmp_path / "file" / "deep" / "export"):
        with pytest.raises(ValueError, match=rf"the export folder cannot be created. Received: {folder} \(.+\)"):
            exporter.export_model(vae, folder)
    with pytest.raises(ValueError, match=rf"the export folder must not be a file. Received: {tmp_path}/file"):
        exporter.export_model(vae, tmp_path / "file", overwrite=True)
    assert content_of(tmp_path) == {"file": b"precious"}


def test_folder_that_cannot_be_written_is_one_error_that_names_it(tmp_path, monkeypatch, vae):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    # The superuser writes to any folder, so the file system refuses.
    monkeypatch.setattr(pathlib.Path, "mkdir", read_only)
    with pytest.raises(ValueError, match=r"cannot be created. Received: .*export \(Read-only file system\)"):
        exporter.export_model(vae, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


# Runs.


def test_run_without_model_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match=rf"must hold a model\.keras. Received: {tmp_path}"):
        exporter.export_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_model_saved_by_other_means_exports_without_report_and_data(tmp_path):
    vae = stirred(make_vae())
    vae.save(tmp_path / "model.keras")
    exporter.export_run(tmp_path, exporter.Options(num_samples=2, files=("autoencoder",), variants=("float16",)))
    card = json.loads((tmp_path / "export/model_card.json").read_text(encoding="utf-8"))
    assert (card["test_elbo"], card["data"]) == (None, None)
    figures = card["files"]["autoencoder_float16.tflite"]
    assert figures["measured_on"] == "draws of the model"
    assert abs(figures["log_likelihood_change"]) < 0.01
    run = runtimes.saved_model_runner(tmp_path / "export/saved_model")
    z = np.ones((1, 3), np.float32)
    np.testing.assert_allclose(run("decode", z=z)["mean"], vae.decode(z).mean(), rtol=1e-5)


def test_damaged_report_is_an_error_that_names_it(tmp_path, vae):
    vae.save(tmp_path / "model.keras")
    (tmp_path / "report.json").write_text('{"test_elbo": ')
    with pytest.raises(ValueError, match=r"report\.json is damaged: .*Remove it, or run the training again"):
        exporter.export_run(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.keras", "report.json"]


# Files that are none.


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:8] + bytes(5000),
        lambda content: b"",
        lambda content: b"\x89PNG\r\n\x1a\n" + content,
        lambda content: b"this is not a model\n" * 500,
    ],
    ids=["half", "last byte missing", "head only", "empty", "png", "text"],
)
def test_damaged_file_is_an_error_that_names_it(tmp_path, dense, damage):
    for file in FILES:
        path = tmp_path / f"broken_{file}.tflite"
        path.write_bytes(damage((dense.folder / f"{file}.tflite").read_bytes()))
        with pytest.raises(ValueError, match=rf"broken_{file}\.tflite cannot be run.*: \S+"):
            runtimes.litert_runner(path)


def test_missing_file_and_folder_are_errors_that_name_them(tmp_path):
    for path in (tmp_path / "nothing.tflite", tmp_path):
        with pytest.raises(ValueError, match=rf"{path.name} cannot be run by LiteRT: \S+"):
            runtimes.litert_runner(path)


def test_file_without_signatures_is_an_error_that_names_it(tmp_path):
    function = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec((1,)))
    content = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    (tmp_path / "foreign.tflite").write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign\.tflite cannot be run: it has no signatures"):
        runtimes.litert_runner(tmp_path / "foreign.tflite")


@pytest.mark.parametrize("seed", [2**33, 1.5, np.nan])
def test_a_seed_that_is_no_int32_is_an_error_and_not_another_seed(dense, seed):
    with pytest.raises(ValueError, match=r"`seed` must be of type int32. Received: seed="):
        dense.runners["decoder.tflite"]("sample", seed=seed, temperature=1.0)


@pytest.mark.slow
def test_a_temperature_reaches_a_laplace_prior_in_every_file(tmp_path):
    class LaplacePrior(kv.priors.Prior):
        def distribution(self):
            loc = tf.constant([0.5, -1.0, 2.0])
            return tfp.distributions.Independent(
                tfp.distributions.Laplace(loc, [1.0, 2.0, 0.5]), reinterpreted_batch_ndims=1
            )

    exported = export_and_load(make_vae(prior=LaplacePrior(3)), tmp_path / "export", num_samples=8, files=("decoder",))
    for file in ("tflite", "saved_model"):
        z = {t: exported.run(file, "sample", seed=7, temperature=t)["z"] for t in (0.0, 0.5, 1.0)}
        np.testing.assert_array_equal(z[0.0], np.tile([0.5, -1.0, 2.0], (8, 1)).astype(np.float32))
        assert np.abs(z[1.0] - z[0.0]).min() > 0
        np.testing.assert_allclose(z[0.5], z[0.0] + 0.5 * (z[1.0] - z[0.0]), rtol=1e-5, atol=1e-6)
        for t, codes in z.items():
            np.testing.assert_allclose(codes, exported.vae.sample_latent(8, 7, t)[0], rtol=0, atol=NOISE)
