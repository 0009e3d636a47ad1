"""What is exported does what the model does, in the runtime it is written for, or is not left behind."""

import json
import pathlib
import re
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from conftest import SHAPE, make_binary, make_vae

import keras_vae as kv
from export import exporter, runtimes, tflite, verification
from export.signatures import Signatures

CONV_SHAPE = (10, 7, 3)
REPORT = {"test_elbo": -20.5, "test_log_likelihood": -19.25, "data": {"name": "prototypes"}}
SEEDS = (7, 0, 1, -1, -7, 2**31 - 1, -(2**31))


class Exported(NamedTuple):
    """A model with its exported files."""

    vae: kv.VAE
    folder: pathlib.Path
    num_samples: int
    runners: dict
    card: dict

    def run(self, file, signature, **inputs):
        """Runs a signature in the runtime of `file`; scalars are given the dtype that the card promises."""
        dtypes = {"seed": np.int32, "temperature": np.float32}
        inputs = {name: np.asarray(value, dtypes.get(name, np.float32)) for name, value in inputs.items()}
        return self.runners[file](signature, **inputs)


def make_conv_vae():
    keras.utils.set_random_seed(1)
    return kv.VAE(
        kv.Encoder(kv.networks.conv_encoder((4, 8), 16), kv.posteriors.DiagonalGaussian(4)),
        kv.Decoder(kv.networks.conv_decoder(CONV_SHAPE, (8, 4), 16), kv.likelihoods.Gaussian(CONV_SHAPE)),
        seed=1,
    )


def export(vae, folder, num_samples):
    exporter.export_model(vae, folder, num_samples, REPORT)
    runners = {
        "saved_model": runtimes.saved_model_runner(folder / "saved_model"),
        "decoder.tflite": runtimes.litert_runner(folder / "decoder.tflite"),
    }
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    return Exported(vae, folder, num_samples, runners, card)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A trained dense model, 16 pictures a call."""
    vae = make_vae()
    vae.fit(make_binary(200), epochs=5, verbose=0)
    return export(vae, tmp_path_factory.mktemp("dense") / "export", 16)


@pytest.fixture(scope="module")
def conv(tmp_path_factory):
    """A trained convolutional model of pictures with odd height and width and three channels, 4 pictures a call."""
    vae = make_conv_vae()
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(np.random.default_rng(0).normal(1.0, 2.0, (100, *CONV_SHAPE)).astype(np.float32), epochs=2, verbose=0)
    return export(vae, tmp_path_factory.mktemp("conv") / "export", 4)


@pytest.fixture(params=["dense", "conv"])
def exported(request):
    return request.getfixturevalue(request.param)


files = pytest.mark.parametrize("file", ["saved_model", "decoder.tflite"])


def shapes(exported):
    """Returns the documented shapes of all inputs and outputs, None where any batch is accepted."""
    picture, latent_dim, count = exported.vae.event_shape, exported.vae.latent_dim, exported.num_samples
    x, codes = (None, *picture), (None, latent_dim)
    return {
        "encode": ({"x": x}, {"loc": codes, "scale": codes}),
        "decode": ({"z": codes}, {"mean": x}),
        "reconstruct": ({"x": x}, {"mean": x}),
        "sample": ({"seed": (), "temperature": ()}, {"mean": (count, *picture), "z": (count, latent_dim)}),
    }


def dtype_of(name):
    return "int32" if name == "seed" else "float32"


def content_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# What is in the folder.


def test_export_leaves_three_files_and_no_temporary_folder(exported):
    assert sorted(p.name for p in exported.folder.iterdir()) == ["decoder.tflite", "model_card.json", "saved_model"]
    assert [p.name for p in exported.folder.parent.iterdir()] == ["export"]


def test_saved_model_has_the_documented_signatures(exported):
    loaded = tf.saved_model.load(str(exported.folder / "saved_model")).signatures
    assert set(loaded) == {"encode", "decode", "reconstruct", "sample"}
    for signature, (inputs, outputs) in shapes(exported).items():
        function = loaded[signature]
        for specs, documented in (
            (function.structured_input_signature[1], inputs),
            (function.structured_outputs, outputs),
        ):
            found = {name: (tuple(spec.shape.as_list()), spec.dtype.name) for name, spec in specs.items()}
            assert found == {name: (shape, dtype_of(name)) for name, shape in documented.items()}


def test_tflite_has_the_documented_signatures(exported):
    interpreter = Interpreter(model_path=str(exported.folder / "decoder.tflite"))
    documented = {name: io for name, io in shapes(exported).items() if name in ("decode", "sample")}
    listed = interpreter.get_signature_list()
    assert set(listed) == set(documented)
    for signature, (inputs, outputs) in documented.items():
        assert sorted(listed[signature]["inputs"]) == sorted(inputs)
        assert sorted(listed[signature]["outputs"]) == sorted(outputs)
        runner = interpreter.get_signature_runner(signature)
        for details, expected in ((runner.get_input_details(), inputs), (runner.get_output_details(), outputs)):
            found = {
                name: (tuple(detail["shape_signature"]), np.dtype(detail["dtype"]).name)
                for name, detail in details.items()
            }
            # One code a call: the static batch that the card gives as batch_in_tflite.
            static = {name: tuple(1 if size is None else size for size in shape) for name, shape in expected.items()}
            assert found == {name: (shape, dtype_of(name)) for name, shape in static.items()}


def model_of(path):
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def test_tflite_holds_built_in_operators_only(exported):
    model = model_of(exported.folder / "decoder.tflite")
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    used = {names[code.builtinCode] for code in model.operatorCodes}
    assert used >= {"FULLY_CONNECTED", "BITWISE_XOR", "RIGHT_SHIFT", "LOG", "SQRT", "COS"}
    assert "CUSTOM" not in used
    assert [code.customCode for code in model.operatorCodes if code.customCode] == []
    # No generator of the runtime's own, whose seed would be frozen in the file.
    assert not [name for name in used if "RANDOM" in name or name == "MULTINOMIAL"]


def num_bytes(arrays):
    return sum(np.asarray(a).nbytes for a in arrays)


def test_tflite_stores_each_weight_once(exported):
    weights = num_bytes(exported.vae.decoder.get_weights())
    buffers = [b.data.tobytes() for b in model_of(exported.folder / "decoder.tflite").buffers if b.data is not None]
    assert weights <= sum(map(len, buffers)) < weights + 512
    large = [b for b in buffers if len(b) > 64]
    assert len(large) == len(set(large)) > 0


def test_saved_model_stores_each_weight_once(exported):
    content = b"".join(content_of(exported.folder / "saved_model").values())
    kernels = [w.tobytes() for w in exported.vae.get_weights() if w.ndim > 1]
    assert [content.count(kernel) for kernel in kernels] == [1] * len(kernels)


def test_decode_and_sample_share_the_weights_of_a_large_decoder():
    vae = make_vae(units=(512, 512))
    content = tflite.convert(Signatures(vae, 4), ("decode", "sample"), 1)
    weights = num_bytes(vae.decoder.get_weights())
    assert weights > 1e6
    assert weights < len(content) < 1.1 * weights


# The files do what the model does.


@files
@pytest.mark.parametrize("seed", SEEDS)
def test_sample_is_that_of_keras(exported, file, seed):
    outputs = exported.run(file, "sample", seed=seed, temperature=1.0)
    expected = exported.vae.sample(exported.num_samples, seed=seed).numpy()
    z, _ = exported.vae.sample_latent(exported.num_samples, seed=seed)
    # LOG, SQRT and COS of the noise are approximated by each runtime in its own way, hence not 1e-5.
    np.testing.assert_allclose(outputs["mean"], expected, atol=1e-4)
    np.testing.assert_allclose(outputs["z"], z, atol=1e-4)


@files
def test_one_seed_repeats_and_seeds_differ(exported, file):
    pictures = {seed: exported.run(file, "sample", seed=seed, temperature=1.0) for seed in SEEDS}
    again = exported.run(file, "sample", seed=7, temperature=1.0)
    np.testing.assert_array_equal(again["mean"], pictures[7]["mean"])
    np.testing.assert_array_equal(again["z"], pictures[7]["z"])
    for i, first in enumerate(SEEDS):
        for second in SEEDS[i + 1 :]:
            # |z - z'| of independent standard normals has mean 2 / sqrt(pi) = 1.13.
            assert np.abs(pictures[first]["z"] - pictures[second]["z"]).mean() > 0.5


@files
def test_pictures_of_one_call_differ(exported, file):
    z = exported.run(file, "sample", seed=7, temperature=1.0)["z"]
    assert len(np.unique(z.round(4))) == z.size


@files
def test_temperature_zero_draws_decode_of_zero(exported, file):
    outputs = exported.run(file, "sample", seed=7, temperature=0.0)
    mode = exported.vae.decode(np.zeros((1, exported.vae.latent_dim), np.float32)).mean().numpy()
    np.testing.assert_array_equal(outputs["z"], np.zeros_like(outputs["z"]))
    np.testing.assert_allclose(outputs["mean"], np.repeat(mode, exported.num_samples, axis=0), rtol=1e-5, atol=1e-6)


@files
@pytest.mark.parametrize("temperature", [0.25, 2.0])
def test_temperature_multiplies_the_code(exported, file, temperature):
    z = exported.run(file, "sample", seed=7, temperature=1.0)["z"]
    outputs = exported.run(file, "sample", seed=7, temperature=temperature)
    np.testing.assert_allclose(outputs["z"], temperature * z, rtol=1e-6)
    expected = exported.vae.decode(temperature * z).mean().numpy()
    # Sums of float32 in another order: relative to the largest, as a pixel may be near 0.
    np.testing.assert_allclose(outputs["mean"], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@files
def test_decode_is_that_of_keras(exported, file):
    z = np.random.default_rng(3).normal(0.0, 2.0, (5, exported.vae.latent_dim)).astype(np.float32)
    batch = 1 if file == "decoder.tflite" else 5
    means = [exported.run(file, "decode", z=z[i : i + batch])["mean"] for i in range(0, 5, batch)]
    expected = exported.vae.decode(z).mean().numpy()
    np.testing.assert_allclose(np.concatenate(means), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("batch", [1, 5])
def test_encode_and_reconstruct_are_those_of_keras(exported, batch):
    x = np.random.default_rng(3).random((batch, *exported.vae.event_shape), np.float32)
    posterior, encoded = exported.vae.encode(x), exported.run("saved_model", "encode", x=x)
    np.testing.assert_allclose(encoded["loc"], posterior.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(encoded["scale"], posterior.stddev(), rtol=1e-5, atol=1e-6)
    mean = exported.run("saved_model", "reconstruct", x=x)["mean"]
    np.testing.assert_allclose(mean, exported.vae.reconstruct(x), rtol=1e-5, atol=1e-6)


# The model card.


def test_card_says_what_the_model_is(dense, conv):
    for exported, value_range, likelihood in ((dense, [0.0, 1.0], "Bernoulli"), (conv, None, "Gaussian")):
        card = exported.card
        assert card["event_shape"] == list(exported.vae.event_shape)
        assert (card["latent_dim"], card["value_range"]) == (exported.vae.latent_dim, value_range)
        assert (card["likelihood"], card["prior"], card["posterior"]) == (
            likelihood,
            "StandardNormal",
            "DiagonalGaussian",
        )
        assert {key: card[key] for key in REPORT} == REPORT
        assert (card["keras_vae"], card["unit"]) == (kv.__version__, "nats per image")
    pictures = dense.run("decoder.tflite", "sample", seed=7, temperature=1.0)["mean"]
    assert 0.0 <= pictures.min() < 0.5 < pictures.max() <= 1.0


def test_card_describes_the_signatures_of_the_files(exported):
    def described(shape):
        return ["batch" if size is None else size for size in shape]

    signatures = exported.card["signatures"]
    assert set(signatures) == set(shapes(exported))
    for name, (inputs, outputs) in shapes(exported).items():
        assert signatures[name]["outputs"] == {key: described(shape) for key, shape in outputs.items()}
        if name == "sample":
            assert {key: text.split()[:2] for key, text in signatures[name]["inputs"].items()} == {
                "seed": ["int32", "scalar"],
                "temperature": ["float32", "scalar,"],
            }
        else:
            assert signatures[name]["inputs"] == {key: described(shape) for key, shape in inputs.items()}
    interpreter = Interpreter(model_path=str(exported.folder / "decoder.tflite"))
    in_tflite = [name for name, entry in signatures.items() if "decoder.tflite" in entry["files"]]
    assert sorted(in_tflite) == sorted(interpreter.get_signature_list())
    batch = interpreter.get_signature_runner("decode").get_input_details()["z"]["shape"][0]
    assert signatures["decode"]["batch_in_tflite"] == batch


def test_card_gives_sizes_and_parity_of_the_files(exported):
    listed = exported.card["files"]
    of_both = {"bytes", "max_difference_decode", "max_difference_sample"}
    assert set(listed["decoder.tflite"]) == of_both
    assert set(listed["saved_model"]) == of_both | {"max_difference_encode"}
    content = content_of(exported.folder)
    for file, differences in listed.items():
        assert differences["bytes"] == sum(len(data) for path, data in content.items() if path.startswith(file))
        assert all(0.0 <= value <= 1e-4 for key, value in differences.items() if key != "bytes")
        # Found again: the same measurement on the same file gives the figure on the card.
        batch = 1 if file == "decoder.tflite" else verification.NUM_CHECKS
        again = verification.check_decode(exported.runners[file], exported.vae, batch)
        np.testing.assert_allclose(again, differences["max_difference_decode"], rtol=0.5, atol=1e-7)


def rotate(word, bits):
    return ((word << bits) | (word >> (32 - bits))) % 2**32


def threefry(key, counter):
    """Threefry-2x32-20 on Python integers, from Salmon et al. (2011)."""
    keys = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    a, b = (counter[0] + keys[0]) % 2**32, (counter[1] + keys[1]) % 2**32
    for number in range(20):
        a = (a + b) % 2**32
        b = rotate(b, (13, 15, 26, 6, 17, 29, 16, 24)[number % 8]) ^ a
        if number % 4 == 3:
            group = number // 4 + 1
            a, b = (a + keys[group % 3]) % 2**32, (b + keys[(group + 1) % 3] + group) % 2**32
    return a, b


def eps_from_card(seed, count, latent_dim):
    """Standard normal noise as the card words it, in float64."""
    words = np.array([[threefry((seed % 2**32, 0), (i, d)) for d in range(latent_dim)] for i in range(count)])
    u, v = np.moveaxis(((words >> 9) + 0.5) / 2**23, -1, 0)
    return np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * v)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_oracle_gives_the_published_vectors(key, counter, expected):
    # The known answers of Random123, the reference implementation by the authors.
    assert threefry(key, counter) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_is_what_the_card_says_in_words(exported, seed):
    words = exported.card["noise"]
    for phrase in (
        "Threefry-2x32 with 20 rounds on uint32. key = (seed, 0)",
        "for picture i and latent dimension d counter = (i, d)",
        "u = ((a >> 9) + 0.5) / 2^23, v = ((b >> 9) + 0.5) / 2^23, eps = sqrt(-2 ln u) cos(2 pi v)",
        "`temperature` multiplies eps",
    ):
        assert phrase in words
    eps = eps_from_card(seed, exported.num_samples, exported.vae.latent_dim)
    z, _ = exported.vae.sample_latent(exported.num_samples, seed=seed)
    # log, sqrt and cos in float32 against float64.
    np.testing.assert_allclose(z, eps, atol=1e-5)
    z, _ = exported.vae.sample_latent(exported.num_samples, seed=seed, temperature=0.5)
    np.testing.assert_allclose(z, 0.5 * eps, atol=1e-5)


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


def make_unsupported_vae(operation):
    trunk = keras.Sequential([keras.layers.Dense(16), Unsupported(operation)])
    return kv.VAE(
        kv.Encoder(kv.networks.mlp((16,)), kv.posteriors.DiagonalGaussian(3)),
        kv.Decoder(trunk, kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )


# With Flex the second would convert, and then not run on a device.
@pytest.mark.parametrize("operation", ["Igamma", "StatelessRandomNormalV2"])
def test_operation_without_built_in_is_named_and_nothing_is_left(tmp_path, operation):
    with pytest.raises(exporter.ExportError, match=rf"no built-in for: (\w+, )*{operation}\."):
        exporter.export_model(make_unsupported_vae(operation), tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_file_that_converts_but_does_not_run_is_an_export_error(tmp_path):
    # The converter writes this one without complaint, and LiteRT then raises RuntimeError at the first call.
    with pytest.raises(exporter.ExportError):
        exporter.export_model(make_unsupported_vae("Fft"), tmp_path / "export")


def shifted(make_runner, signature, output, shift):
    """Returns `make_runner` with one output of one signature moved by `shift`."""

    def make(*args, **kwargs):
        run = make_runner(*args, **kwargs)

        def moved(name, **inputs):
            outputs = dict(run(name, **inputs))
            if name == signature:
                outputs[output] = outputs[output] + np.float32(shift)
            return outputs

        return moved

    return make


@pytest.mark.parametrize(
    ("runtime", "signature", "output", "shift"),
    [
        ("saved_model_runner", "encode", "loc", 1e-3),
        ("saved_model_runner", "encode", "scale", -1e-3),
        ("saved_model_runner", "reconstruct", "mean", 1e-3),
        ("saved_model_runner", "sample", "mean", np.nan),
        ("litert_runner", "decode", "mean", 1e-3),
        ("litert_runner", "sample", "mean", 1e-3),
    ],
)
def test_mismatch_is_refused_and_nothing_is_left(tmp_path, monkeypatch, vae, runtime, signature, output, shift):
    monkeypatch.setattr(runtimes, runtime, shifted(getattr(runtimes, runtime), signature, output, shift))
    with pytest.raises(exporter.ExportError, match=rf"`{signature}.*` differs from Keras by (nan|0\.00\d+), ") as error:
        exporter.export_model(vae, tmp_path / "export", 2)
    difference = float(re.search(r" by (\S+),", str(error.value))[1])
    # Relative to the largest value where that is above 1, and these are below 4.
    assert np.isnan(difference) if np.isnan(shift) else 2.5e-4 < difference <= 1.01e-3
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing(tmp_path, monkeypatch, vae):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runtimes, "saved_model_runner", interrupt)
    with pytest.raises(KeyboardInterrupt):
        exporter.export_model(vae, tmp_path / "export", 2)
    assert list(tmp_path.iterdir()) == []


class Shifted(NamedTuple):
    """A runner that decodes with Keras and adds `shift`."""

    vae: kv.VAE
    shift: float

    def __call__(self, signature, **inputs):
        return {"mean": self.vae.decode(inputs["z"]).mean().numpy() + np.float32(self.shift)}


def test_check_measures_the_largest_difference(vae):
    # To the spacing of float32 near 1.
    np.testing.assert_allclose(verification.check_decode(Shifted(vae, 9e-5), vae, 64), 9e-5, atol=2e-7)
    with pytest.raises(exporter.ExportError, match=r"differs from Keras by 0\.00011, which is more than 0\.0001"):
        verification.check_decode(Shifted(vae, -1.1e-4), vae, 64)


def test_check_is_relative_to_the_largest_mean_above_one():
    vae = make_vae(likelihood=kv.likelihoods.Gaussian(SHAPE))
    vae.decoder.likelihood.adapt(np.full(SHAPE, 1000.0))
    # 0.09 of about 1000; to the spacing of float32 there.
    np.testing.assert_allclose(verification.check_decode(Shifted(vae, 0.09), vae, 64), 9e-5, rtol=0.02)
    with pytest.raises(exporter.ExportError):
        verification.check_decode(Shifted(vae, 0.12), vae, 64)


def test_check_refuses_noise_that_ignores_the_seed(vae):
    pictures = vae.sample(2, seed=0).numpy()
    with pytest.raises(exporter.ExportError, match="the same pictures for the seeds 0 and 1"):
        verification.check_sample(lambda signature, **_: {"mean": pictures}, vae, 2)


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
    exporter.export_model(dense.vae, tmp_path / "export", num_samples=4, overwrite=True)
    assert sorted(p.name for p in (tmp_path / "export").iterdir()) == sorted(p.name for p in dense.folder.iterdir())
    assert [p.name for p in tmp_path.iterdir()] == ["export"]
    for file, run in (
        ("saved_model", runtimes.saved_model_runner(tmp_path / "export/saved_model")),
        ("decoder.tflite", runtimes.litert_runner(tmp_path / "export/decoder.tflite")),
    ):
        four = run("sample", seed=np.int32(7), temperature=np.float32(1.0))
        sixteen = dense.run(file, "sample", seed=7, temperature=1.0)
        assert (four["mean"].shape[0], sixteen["mean"].shape[0]) == (4, 16)
        for name in ("z", "mean"):
            # Kernels may vectorise 4 and 16 rows differently.
            np.testing.assert_allclose(four[name], sixteen[name][:4], rtol=1e-5, atol=1e-6)


def test_failing_overwrite_keeps_the_old_export(tmp_path, monkeypatch, vae):
    make_old(tmp_path / "export")
    wrong = shifted(runtimes.saved_model_runner, "decode", "mean", 1e-3)
    monkeypatch.setattr(runtimes, "saved_model_runner", wrong)
    with pytest.raises(exporter.ExportError):
        exporter.export_model(vae, tmp_path / "export", 2, overwrite=True)
    assert content_of(tmp_path) == {"export/decoder.tflite": b"old"}


def test_overwrite_that_cannot_be_renamed_keeps_the_old_export(tmp_path, monkeypatch, vae):
    make_old(tmp_path / "export")

    def write(_, folder, *args):
        (folder / "decoder.tflite").write_bytes(b"new")
        return {}

    rename, refused = pathlib.Path.rename, []

    def refuse_once(self, target):
        if target == tmp_path / "export" and not refused:
            refused.append(target)
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(exporter, "_write_and_verify", write)
    monkeypatch.setattr(pathlib.Path, "rename", refuse_once)
    with pytest.raises(OSError, match="no space left"):
        exporter.export_model(vae, tmp_path / "export", 2, overwrite=True)
    assert content_of(tmp_path) == {"export/decoder.tflite": b"old"}


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
    path = tmp_path / "broken.tflite"
    path.write_bytes(damage((dense.folder / "decoder.tflite").read_bytes()))
    with pytest.raises(ValueError, match=r"broken\.tflite cannot be run by LiteRT: \S+"):
        runtimes.litert_runner(path)


def test_missing_file_and_folder_are_errors_that_name_them(tmp_path):
    for path in (tmp_path / "nothing.tflite", tmp_path):
        with pytest.raises(ValueError, match=rf"{path.name} cannot be run by LiteRT: \S+"):
            runtimes.litert_runner(path)


def test_run_without_model_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match=rf"must hold a model\.keras. Received: {tmp_path}"):
        exporter.export_run(tmp_path)
    assert list(tmp_path.iterdir()) == []
