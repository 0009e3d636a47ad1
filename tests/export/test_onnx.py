"""The ONNX files do in onnxruntime what the model does in Keras."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_vae, slow_from

import keras_vae as kv
from export import onnx_format, verification
from export.errors import ExportError
from export.signatures import Signatures
from keras_vae.distributions.noise import Noise

onnx = pytest.importorskip("onnx", reason='needs pip install "keras_vae[onnx]"')
onnxruntime = pytest.importorskip("onnxruntime", reason='needs pip install "keras_vae[onnx]"')
pytest.importorskip("tf2onnx", reason='needs pip install "keras_vae[onnx]"')

CONV_SHAPE, NUM_SAMPLES, CLASSES = (10, 7, 3), 4, 3
SEEDS = (0, 7, -1, -(2**31), 2**31 - 1)


def make_conv(likelihood=None, **kwargs):
    """Returns a small convolutional VAE for pictures of odd height and width and three channels."""
    keras.utils.set_random_seed(1)
    return kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(4)),
        kv.Decoder(kv.networks.conv_decoder(CONV_SHAPE, (8, 4), 16), likelihood or kv.likelihoods.Gaussian(CONV_SHAPE)),
        seed=1,
        **kwargs,
    )


def make_conditional():
    keras.utils.set_random_seed(2)
    return kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(3), CLASSES),
        kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli(SHAPE), CLASSES),
        seed=2,
    )


def stirred(vae, seed=0):
    """Returns the model with noise on all its weights: no bias, scale or coupling layer is what it starts as."""
    random = np.random.default_rng(seed)
    for weight in vae.trainable_variables:
        weight.assign_add(0.2 * random.normal(size=weight.shape))
    return vae


MODELS = {
    "dense": make_vae,
    "conv": make_conv,
    "conditional": make_conditional,
    "mixture": lambda: make_vae(prior=kv.priors.MixtureOfGaussians(3, 4)),
    "maf": lambda: make_vae(prior=kv.priors.MAF(3, 2, 8)),
    "deep flow": lambda: make_vae(prior=kv.priors.Flow(3, 2, 8, hidden_layers=2)),
    "vamp": lambda: make_vae(prior=kv.priors.VampPrior(3, SHAPE, 4)),
    "flow": lambda: make_vae(prior=kv.priors.Flow(3, 2, 8)),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Returns name -> (model, folder, figures, runner), each model made and written once."""
    made = {}

    def get(name):
        if name not in made:
            vae, folder = stirred(MODELS[name]()), tmp_path_factory.mktemp(name)
            figures = onnx_format.write(vae, folder, NUM_SAMPLES)
            made[name] = (vae, folder, figures, onnx_format.runner(folder))
        return made[name]

    return get


models = pytest.mark.parametrize("name", slow_from(4, MODELS))


def condition_of(vae, count):
    return verification.conditions(vae, count)


# The files do what the model does.


@models
@pytest.mark.parametrize("seed", SEEDS)
def test_sample_is_that_of_keras(written, name, seed):
    vae, _, _, run = written(name)
    condition = condition_of(vae, NUM_SAMPLES)
    outputs = run("sample", seed=seed, temperature=1.0, **condition)
    expected = vae.sample(NUM_SAMPLES, seed=seed, **condition).numpy()
    z, _ = vae.sample_latent(NUM_SAMPLES, seed=seed)
    # log, sqrt and cos of the noise are each runtime's own.
    np.testing.assert_allclose(outputs["mean"], expected, atol=1e-5)
    np.testing.assert_allclose(outputs["z"], z, atol=1e-5)


@models
@pytest.mark.parametrize("batch", [1, 5])
def test_decode_is_that_of_keras_at_any_batch(written, name, batch):
    vae, _, _, run = written(name)
    z = np.random.default_rng(3).normal(0.0, 2.0, (batch, vae.latent_dim)).astype(np.float32)
    condition = condition_of(vae, batch)
    expected = vae.decode(z, condition.get("condition")).mean().numpy()
    mean = run("decode", z=z, **condition)["mean"]
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_condition_is_an_input_that_matters(written):
    vae, _, _, run = written("conditional")
    z = np.zeros((CLASSES, vae.latent_dim), np.float32)
    mean = run("decode", z=z, condition=np.eye(CLASSES))["mean"]
    np.testing.assert_allclose(mean, vae.decode(z, np.arange(CLASSES)).mean(), rtol=1e-5)
    assert np.abs(mean[0] - mean[1]).max() > 1e-3


@models
def test_one_seed_repeats_and_seeds_differ(written, name):
    vae, _, _, run = written(name)
    condition = condition_of(vae, NUM_SAMPLES)
    drawn = [run("sample", seed=seed, temperature=1.0, **condition) for seed in (*SEEDS, *SEEDS)]
    for i in range(len(SEEDS)):
        np.testing.assert_array_equal(drawn[i]["z"], drawn[i + len(SEEDS)]["z"])
        np.testing.assert_array_equal(drawn[i]["mean"], drawn[i + len(SEEDS)]["mean"])
        for j in range(i):
            assert np.abs(drawn[i]["z"] - drawn[j]["z"]).max() > 0.1


def test_temperature_multiplies_the_code(written):
    run = written("dense")[3]
    z = {t: run("sample", seed=7, temperature=t)["z"] for t in (0.0, 0.5, 1.0)}
    np.testing.assert_array_equal(z[0.0], 0.0 * z[1.0])
    np.testing.assert_allclose(z[0.5], 0.5 * z[1.0], rtol=1e-6)


class Words:
    """Stands for `Signatures`, with the words of the noise themselves."""

    def concrete(self, names, batch_size):
        def words(seed):
            noise = Noise(seed, stream=2**31)
            noise.words((5, 3))
            return dict(zip("ab", noise.words((64, 9)), strict=True))

        seed = tf.TensorSpec((), tf.int32, name="seed")
        return {"words": tf.function(words, autograph=False).get_concrete_function(seed=seed)}


def test_words_of_the_noise_are_the_same_integers():
    session = onnxruntime.InferenceSession(onnx_format.convert(Words(), "words"))
    for seed in SEEDS:
        noise = Noise(seed, stream=2**31)
        noise.words((5, 3))
        words = session.run(["a", "b"], {"seed": np.array(seed, np.int32)})
        assert words[0].dtype == np.uint32
        np.testing.assert_array_equal(words, noise.words((64, 9)))


def test_another_runtime_draws_the_same_pictures(written):
    # The reference evaluator of ONNX is written in NumPy and shares nothing with onnxruntime.
    vae, folder, _, _ = written("dense")
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator(str(folder / "sampler.onnx"))
    for seed in SEEDS:
        mean, _ = evaluator.run(["mean", "z"], {"seed": np.int32(seed), "temperature": np.float32(1)})
        np.testing.assert_allclose(mean, vae.sample(NUM_SAMPLES, seed=seed), atol=1e-5)


def largest_difference(figures):
    parities = [parity for entry in figures.values() for parity in entry["signatures"].values()]
    return max(parity["max_difference"] for parity in parities)


@pytest.mark.slow
def test_a_trained_model_stays_within_the_tolerance(tmp_path):
    vae = make_vae()
    vae.fit(make_binary(200), epochs=5, verbose=0)
    assert largest_difference(onnx_format.write(vae, tmp_path, 16)) < 1e-5


LIKELIHOODS = {
    "bernoulli": kv.likelihoods.Bernoulli,
    "continuous_bernoulli": kv.likelihoods.ContinuousBernoulli,
    "gaussian": lambda shape: kv.likelihoods.Gaussian(shape, scale="per_value"),
    "laplace": lambda shape: kv.likelihoods.Laplace(shape, scale="shared"),
    "categorical": lambda shape: kv.likelihoods.Categorical(shape, num_levels=4),
    "logistic_mixture": lambda shape: kv.likelihoods.DiscretizedLogisticMixture(shape, num_components=2),
}


@pytest.mark.parametrize("trunk", slow_from(1, ["mlp", "conv"]))
@pytest.mark.parametrize("likelihood", slow_from(1, LIKELIHOODS))
def test_every_likelihood_converts(likelihood, trunk, tmp_path):
    make, shape = (make_vae, SHAPE) if trunk == "mlp" else (make_conv, CONV_SHAPE)
    figures = onnx_format.write(stirred(make(likelihood=LIKELIHOODS[likelihood](shape))), tmp_path, 2)
    # The mean of a continuous Bernoulli is the difference of two numbers of up to 20.
    bound = 1e-4 if likelihood == "continuous_bernoulli" else 1e-5
    assert largest_difference(figures) < bound


@pytest.mark.parametrize("activation", ["elu", "gelu", "relu", "selu", "silu", "softplus", "tanh", "leaky_relu"])
def test_every_usual_activation_converts(activation):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(3)),
        kv.Decoder(kv.networks.mlp((16,), activation), kv.likelihoods.Bernoulli(SHAPE)),
    )
    z = np.random.default_rng(0).normal(0.0, 5.0, (50, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_format.convert(Signatures(stirred(vae), 1), "decode"))
    np.testing.assert_allclose(session.run(None, {"z": z})[0], vae.decode(z).mean(), rtol=1e-5, atol=1e-6)


# What is in the files.


@models
def test_files_have_the_documented_inputs_and_outputs(written, name):
    vae, folder, figures, _ = written(name)
    picture, latent_dim = list(vae.event_shape), vae.latent_dim
    documented = {
        "decoder.onnx": (
            {"z": ("tensor(float)", ["batch", latent_dim])},
            {"mean": ("tensor(float)", ["batch", *picture])},
        ),
        "sampler.onnx": (
            {"seed": ("tensor(int32)", []), "temperature": ("tensor(float)", [])},
            {"mean": ("tensor(float)", [NUM_SAMPLES, *picture]), "z": ("tensor(float)", [NUM_SAMPLES, latent_dim])},
        ),
    }
    assert sorted(path.name for path in folder.iterdir()) == sorted(documented) == sorted(figures)
    for file, (inputs, outputs) in documented.items():
        if vae.condition_dim is not None:
            inputs["condition"] = ("tensor(float)", ["batch" if "decoder" in file else NUM_SAMPLES, CLASSES])
        session = onnxruntime.InferenceSession(folder / file)
        assert {node.name: (node.type, node.shape) for node in session.get_inputs()} == inputs
        assert {node.name: (node.type, node.shape) for node in session.get_outputs()} == outputs


@models
def test_files_are_valid_and_of_one_operator_set(written, name):
    folder = written(name)[1]
    for file in onnx_format.FILES:
        model = onnx.load(folder / file)
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {""}
        assert {entry.domain: entry.version for entry in model.opset_import}[""] == onnx_format.OPSET


def test_figures_are_sizes_and_differences(written):
    _, folder, figures, _ = written("conv")
    assert {file: list(entry["signatures"]) for file, entry in figures.items()} == {
        "decoder.onnx": ["decode"],
        "sampler.onnx": ["sample"],
    }
    assert all(entry["bytes"] == (folder / file).stat().st_size for file, entry in figures.items())
    assert 0.0 <= largest_difference(figures) < 1e-5


@pytest.mark.parametrize("make", [make_vae, make_conv])
def test_the_exact_gelu_is_one_operation_in_onnxruntime(make, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(onnx_format.convert(Signatures(stirred(make()), 1), "decode"), options)
    operations = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operations.count("Gelu") == (1 if make is make_vae else 4)
    assert "Erf" not in operations


# A file that is not right, or is none.


@keras.saving.register_keras_serializable(package="test_onnx")
class Unsupported(keras.layers.Layer):
    """A layer (batch, 16) -> (batch, 16) with an operation that ONNX does not have."""

    def call(self, x):
        return tf.math.igamma(tf.ones_like(x), tf.nn.softplus(x))


def test_operation_that_onnx_does_not_have_is_named(tmp_path):
    trunk = keras.Sequential([keras.layers.Dense(16), Unsupported()])
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((16,)), kv.posteriors.DiagonalGaussian(3)),
        kv.Decoder(trunk, kv.likelihoods.Bernoulli(SHAPE)),
    )
    with pytest.raises(ExportError, match=r"operations that ONNX does not have: Igamma\. "):
        onnx_format.write(vae, tmp_path, 2)


@pytest.mark.parametrize("signature", ["decode", "sample"])
def test_file_that_differs_from_keras_is_refused(tmp_path, monkeypatch, vae, signature):
    make_runner = onnx_format.runner

    def runner(folder):
        run = make_runner(folder)
        shift = np.float32(1e-3)
        return lambda name, **inputs: {k: v + shift * (name == signature) for k, v in run(name, **inputs).items()}

    monkeypatch.setattr(onnx_format, "runner", runner)
    with pytest.raises(ExportError, match=rf"`{signature}.*` differs from Keras by 0\.00[01]\d*, "):
        onnx_format.write(vae, tmp_path, 2)


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "last byte missing": lambda content: content[:-1],
    "empty": lambda content: b"",
    "png": lambda content: b"\x89PNG\r\n\x1a\n" + content,
    "text": lambda content: b"this is not a model\n" * 500,
}


@pytest.mark.parametrize("file", onnx_format.FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_an_error_that_names_it(tmp_path, written, damage, file):
    folder = written("dense")[1]
    for name in onnx_format.FILES:
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(damage(content) if name == file else content)
    with pytest.raises(ValueError, match=rf"{file} cannot be run by onnxruntime: \S+") as error:
        onnx_format.runner(tmp_path)
    assert "\n" not in str(error.value)


def test_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match=r"decoder\.onnx cannot be run by onnxruntime: .*No such file"):
        onnx_format.runner(tmp_path)


def test_inputs_of_a_wrong_shape_are_an_error_that_names_the_file(written):
    with pytest.raises(RuntimeError, match=r"decoder\.onnx does not run in onnxruntime: \S+"):
        written("dense")[3]("decode", z=np.zeros((1, 5)))


def test_missing_extra_is_one_error(tmp_path, monkeypatch, vae):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "keras_vae\[onnx\]"'):
        onnx_format.write(vae, tmp_path, 2)
    assert list(tmp_path.iterdir()) == []
