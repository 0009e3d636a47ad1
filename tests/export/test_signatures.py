"""Every signature does in every file what the model does in Keras; no input, however wrong, ends the process."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from combinations import LIKELIHOODS, POSTERIORS, PRIORS
from combinations import make as make_combination
from exporting import NOISE, SEEDS, export, home, make_deterministic_vae, stirred
from helpers import SHAPE, make_vae, slow_from

import keras_vae as kv
from export import runtimes, tflite, verification
from export.packing import pack
from export.signatures import FILES, NAMES, NUM_SCORE_SAMPLES, Signatures
from keras_vae.distributions.sampling import center
from keras_vae.measure.latent import interpolate

files = pytest.mark.parametrize("file", ["saved_model", "tflite"])


def close(actual, expected, tolerance=1e-5):
    """Asserts equality relative to the largest value, as another may be near 0, or to 1."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max()))


def codes_of(exported, count=8, scale=2.0):
    return np.random.default_rng(3).normal(0.0, scale, (count, exported.vae.latent_dim)).astype(np.float32)


def images_of(exported, count=8):
    """Returns images that the likelihood can have drawn, and their conditions."""
    condition = exported.condition(count)
    return exported.vae.sample(count, seed=5, output="sample", **condition).numpy(), condition


# Drawing from the prior.


def draws(exported, file, signature="sample", seed=7, temperature=1.0):
    condition = exported.condition(exported.num_samples)
    return exported.run(file, signature, seed=seed, temperature=temperature, **condition)


@files
def test_sample_is_that_of_keras(exported, file):
    condition = exported.condition(exported.num_samples)
    for seed in SEEDS:
        outputs = draws(exported, file, seed=seed)
        close(outputs["mean"], exported.vae.sample(exported.num_samples, seed=seed, **condition), NOISE)
        close(outputs["z"], exported.vae.sample_latent(exported.num_samples, seed=seed)[0], NOISE)


@files
def test_sample_pixels_draws_the_codes_of_sample_and_the_pixels_of_keras(exported, file):
    condition, differing = exported.condition(exported.num_samples), []
    for seed in SEEDS:
        outputs = draws(exported, file, "sample_pixels", seed)
        np.testing.assert_allclose(outputs["z"], draws(exported, file, seed=seed)["z"], rtol=1e-6)
        expected = exported.vae.sample(exported.num_samples, seed=seed, output="sample", **condition).numpy()
        assert not np.allclose(expected, exported.vae.sample(exported.num_samples, seed=seed, **condition), atol=0.1)
        differing.append(np.abs(outputs["x"] - expected) > NOISE * max(1.0, np.abs(expected).max()))
        if exported.card["likelihood"] == "Bernoulli":
            assert set(np.unique(outputs["x"])) == {0.0, 1.0}
    # A binary pixel flips where its uniform falls as close to its probability as runtimes differ.
    assert np.mean(differing) <= verification.FLIPS


@files
def test_one_seed_repeats_and_seeds_differ(exported, file):
    pictures = {seed: draws(exported, file, seed=seed) for seed in SEEDS}
    again = draws(exported, file, seed=7)
    np.testing.assert_array_equal(again["mean"], pictures[7]["mean"])
    np.testing.assert_array_equal(again["z"], pictures[7]["z"])
    for i, first in enumerate(SEEDS):
        for second in SEEDS[i + 1 :]:
            # |z - z'| of independent standard normals has mean 2 / sqrt(pi) = 1.13.
            assert np.abs(pictures[first]["z"] - pictures[second]["z"]).mean() > 0.4


@files
def test_pictures_of_one_call_differ(exported, file):
    z = draws(exported, file)["z"]
    assert len(np.unique(z.round(4))) == z.size


@files
def test_temperature_zero_draws_the_modes_of_the_prior(exported, file):
    outputs = draws(exported, file, temperature=0.0)
    z = exported.vae.sample_latent(exported.num_samples, seed=7, temperature=0.0)[0].numpy()
    np.testing.assert_allclose(outputs["z"], z, rtol=1e-6)
    if exported.card["prior"] == "StandardNormal":
        np.testing.assert_array_equal(z, np.zeros_like(z))
    close(outputs["mean"], exported.vae.decode(z, **exported.condition(len(z))).mean())


@files
@pytest.mark.parametrize("temperature", [0.25, 2.0])
def test_temperature_multiplies_the_noise_of_the_code(exported, file, temperature):
    mode, z = (draws(exported, file, temperature=t)["z"] for t in (0.0, 1.0))
    outputs = draws(exported, file, temperature=temperature)
    close(outputs["z"], mode + temperature * (z - mode))
    close(outputs["mean"], exported.vae.decode(outputs["z"], **exported.condition(len(z))).mean())


# Decoding.


@files
def test_decode_is_that_of_keras(exported, file):
    z, condition = codes_of(exported), exported.condition(8)
    means = exported.batches(file, "decode", z=z, **condition)["mean"]
    close(means, exported.vae.decode(z, **condition).mean())


def path_of(exported, file, steps):
    z0, z1 = codes_of(exported, 2)[:, None]
    return exported.run(file, "interpolate", z0=z0, z1=z1, steps=steps, **exported.condition(1))["mean"]


def keras_path(exported, steps):
    path = interpolate(*codes_of(exported, 2), steps)
    rows = {key: np.repeat(value, steps, axis=0) for key, value in exported.condition(1).items()}
    return exported.vae.decode(path, **rows).mean().numpy()


@files
@pytest.mark.parametrize("steps", [2, 3, 4, 40])
def test_interpolate_decodes_the_line_with_both_its_ends(exported, file, steps):
    means, ends = path_of(exported, file, steps), keras_path(exported, 2)
    close(means[0], ends[0])
    close(means[-1], ends[1])
    if file == "saved_model" or exported.batch_size is None:
        assert len(means) == steps
        close(means, keras_path(exported, steps))
        return
    # A static file returns as many as `sample`: the last one again where the line is shorter, and no longer line.
    assert len(means) == exported.num_samples
    steps = min(steps, exported.num_samples)
    close(means[:steps], keras_path(exported, steps))
    np.testing.assert_array_equal(means[steps:], np.repeat(means[steps - 1 : steps], len(means) - steps, axis=0))


@files
def test_log_likelihood_is_that_of_keras(exported, file):
    x, condition = images_of(exported)
    z = codes_of(exported)
    values = exported.batches(file, "log_likelihood", x=x, z=z, **condition)["log_likelihood"]
    expected = exported.vae.decode(z, **condition).log_prob(x).numpy()
    assert values.shape == (8,)
    assert np.ptp(expected) > 1.0
    np.testing.assert_allclose(values, expected, rtol=1e-5)


# Encoding.


@files
def test_encode_is_that_of_keras(exported, file):
    x, condition = images_of(exported)
    posterior, encoded = exported.vae.encode(x, **condition), exported.batches(file, "encode", x=x, **condition)
    close(encoded["loc"], posterior.mean())
    close(encoded["scale"], posterior.stddev())


@files
@pytest.mark.parametrize("seed", [0, 3, -1, -(2**31)])
def test_score_is_the_bounds_of_keras(exported, file, seed):
    x, condition = images_of(exported)
    scores = exported.batches(file, "score", x=x, seed=seed, **condition)
    size = exported.size(file)
    # Noise follows the place in the batch, so Keras gets the same batches.
    parts = [
        exported.vae.bounds(
            x[i : i + size], NUM_SCORE_SAMPLES, seed, **{k: v[i : i + size] for k, v in condition.items()}
        )
        for i in range(0, len(x), size)
    ]
    elbo, bound = (np.concatenate(values) for values in zip(*parts, strict=True))
    close(scores["elbo"], elbo, NOISE)
    close(scores["log_likelihood"], bound, NOISE)
    # Jensen's inequality, strict because the eight weights differ.
    assert (scores["elbo"] < scores["log_likelihood"]).all()


@files
def test_reconstruct_is_that_of_keras_and_says_how_likely(exported, file):
    x, condition = images_of(exported)
    outputs = exported.batches(file, "reconstruct", x=x, **condition)
    z = center(exported.vae.encode(x, **condition))
    likelihood = exported.vae.decode(z, **condition)
    close(outputs["mean"], likelihood.mean())
    close(outputs["mean"], exported.vae.reconstruct(x, **condition))
    np.testing.assert_allclose(outputs["log_likelihood"], likelihood.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize("count", [1, 5])
def test_a_file_of_any_batch_size_takes_one_and_five(conditional, count):
    (x, condition), z = images_of(conditional, count), codes_of(conditional, count)
    likelihood = conditional.vae.decode(z, **condition)
    close(conditional.run("tflite", "decode", z=z, **condition)["mean"], likelihood.mean())
    values = conditional.run("tflite", "log_likelihood", x=x, z=z, **condition)["log_likelihood"]
    np.testing.assert_allclose(values, likelihood.log_prob(x), rtol=1e-5)
    posterior = conditional.vae.encode(x, **condition)
    close(conditional.run("tflite", "encode", x=x, **condition)["loc"], posterior.mean())
    reconstruction = conditional.vae.reconstruct(x, **condition)
    close(conditional.run("tflite", "reconstruct", x=x, **condition)["mean"], reconstruction)
    score = conditional.run("tflite", "score", x=x, seed=3, **condition)["elbo"]
    close(score, conditional.vae.bounds(x, NUM_SCORE_SAMPLES, 3, **condition)[0], NOISE)


@pytest.mark.slow
def test_a_file_of_a_static_batch_size_gives_each_row_its_own_result(conv):
    z = codes_of(conv, 4)
    together = conv.run("tflite", "decode", z=z)["mean"]
    for i in range(4):
        close(conv.run("tflite", "decode", z=np.roll(z, -i, axis=0))["mean"][0], together[i])


# Every part of the package.

EVERY_PART = (
    ("iaf", "maf", "autoregressive"),
    ("flow", "mixture", "logistic_mixture"),
    ("isotropic", "flow", "continuous_bernoulli"),
    ("laplace", "deep_flow", "categorical"),
)
# Of the models above and below, which did not export without all their signatures.
EXPORTED = {"diagonal", "full", "normal", "mixture", "vamp", "bernoulli", "gaussian", "laplace"}


def test_every_part_is_exported():
    assert set().union(EXPORTED, *EVERY_PART) == {*POSTERIORS, *PRIORS, *LIKELIHOODS}


@pytest.mark.parametrize(("posterior", "prior", "likelihood"), EVERY_PART)
@pytest.mark.slow
def test_every_part_exports_with_all_signatures(posterior, prior, likelihood, tmp_path):
    vae = stirred(make_combination(posterior, prior, likelihood))
    signatures = Signatures(vae, 4)
    for file, names in FILES.items():
        (tmp_path / file).write_bytes(pack(tflite.convert(signatures, names, 1)))
        parity = verification.Parity(runtimes.litert_runner(tmp_path / file), vae, 4, 1)
        for name in names:
            assert parity.check(name).get("max_difference", 0.0) < 1e-4


@pytest.mark.slow
def test_a_saved_model_of_autoregressive_flows_has_all_signatures(tmp_path):
    vae = stirred(make_combination(*EVERY_PART[0]))
    Signatures(vae, 4).save(tmp_path / "saved_model", NAMES, None)
    parity = verification.Parity(runtimes.saved_model_runner(tmp_path / "saved_model"), vae, 4, 3)
    for name in NAMES:
        assert parity.check(name).get("max_difference", 0.0) < 1e-4


def make_full_vae():
    return make_combination("full", "vamp", "laplace")


@pytest.mark.parametrize(
    ("make", "reason", "saved"),
    slow_from(
        1,
        [
            # TFLite has no built-in that solves a triangular system; TensorFlow has.
            (make_full_vae, "no built-in for: MatrixDiagPartV3, MatrixTriangularSolve.", True),
            (make_deterministic_vae, "the posterior Deterministic has no density", False),
        ],
    ),
)
def test_a_score_that_cannot_be_is_left_out_and_the_card_says_why(tmp_path, make, reason, saved):
    exported = export(stirred(make()), tmp_path / "export", num_samples=4, files=("encoder", "autoencoder"))
    ((place, why),) = exported.card["left_out"].items()
    assert place == "encoder.tflite: score"
    assert reason in why
    listed = {name: entry["files"] for name, entry in exported.card["signatures"].items()}
    assert listed.pop("score", None) == (["saved_model"] if saved else None)
    assert listed == {
        name: ["saved_model", *([] if home(name) == "decoder" else [f"{home(name)}.tflite"])]
        for name in NAMES
        if name != "score"
    }
    x = exported.vae.sample(1, seed=1, output="sample").numpy()
    encoded, outputs = exported.run("tflite", "encode", x=x), exported.run("tflite", "reconstruct", x=x)
    posterior = exported.vae.encode(x)
    close(encoded["loc"], posterior.mean())
    close(encoded["scale"], posterior.stddev())
    assert (encoded["scale"] > 0.0).all() == saved
    close(outputs["mean"], exported.vae.reconstruct(x))
    np.testing.assert_allclose(outputs["log_likelihood"], exported.vae.decode(encoded["loc"]).log_prob(x), rtol=1e-5)


# Numbers at the edge.


def with_parameters(likelihood, value):
    """Returns a model whose likelihood has the parameters `value` (num_parameters,) at every z."""
    vae = make_vae(likelihood=likelihood)
    projection = vae.decoder.likelihood._projection
    projection.kernel.assign(np.zeros(projection.kernel.shape))
    projection.bias.assign(np.resize(np.float32(value), projection.bias.shape))
    return vae


def log_likelihood_in_tflite(vae, x, tmp_path):
    (tmp_path / "file.tflite").write_bytes(pack(tflite.convert(Signatures(vae, 1), ("log_likelihood",), 1)))
    z = np.zeros((1, vae.latent_dim), np.float32)
    return runtimes.litert_runner(tmp_path / "file.tflite")("log_likelihood", x=x, z=z)["log_likelihood"]


def test_logits_of_a_hundred_have_a_finite_log_likelihood(tmp_path):
    # Pixels with the logits 100, -100, 100, -100, ...
    vae = with_parameters(kv.likelihoods.Bernoulli(SHAPE), [100.0, -100.0])
    x = np.zeros((1, *SHAPE), np.float32)
    x.ravel()[:20] = 1.0
    # Of the 20 ones ten, and of the 10 zeros five, are against a logit of size 100, which costs log(1 + e^100) = 100.
    np.testing.assert_allclose(log_likelihood_in_tflite(vae, x, tmp_path), [-1500.0], rtol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "value"),
    [
        (kv.likelihoods.ContinuousBernoulli(SHAPE), [100.0, -100.0]),
        (kv.likelihoods.Gaussian(SHAPE, scale="per_value"), [0.0, 100.0, 0.0, -100.0]),
        (kv.likelihoods.DiscretizedLogisticMixture(SHAPE, 4, 2), [100.0, -100.0, 100.0, -100.0, 100.0, -100.0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_of_a_hundred_have_a_finite_log_likelihood(tmp_path, likelihood, value):
    vae = with_parameters(likelihood, value)
    x = np.resize(np.float32([0.0, 1 / 3, 1.0]), (1, *SHAPE))
    expected = vae.decode(np.zeros((1, 3), np.float32)).log_prob(x).numpy()
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(log_likelihood_in_tflite(vae, x, tmp_path), expected, rtol=1e-5)


def test_a_code_that_is_no_number_is_a_picture_of_none(exported):
    z = np.full((exported.size("tflite"), exported.vae.latent_dim), np.nan, np.float32)
    condition = exported.condition(len(z))
    for file in ("saved_model", "tflite"):
        assert np.isnan(exported.run(file, "decode", z=z, **condition)["mean"]).all()
        path = exported.run(file, "interpolate", z0=z[:1], z1=z[:1], steps=3, **exported.condition(1))["mean"]
        assert np.isnan(path).all()
        x = np.zeros((len(z), *exported.vae.event_shape), np.float32)
        assert np.isnan(exported.run(file, "log_likelihood", x=x, z=z, **condition)["log_likelihood"]).all()
        # The picture after it is not touched.
        z0 = np.zeros_like(z)
        close(exported.run(file, "decode", z=z0, **condition)["mean"], exported.vae.decode(z0, **condition).mean())


def test_a_temperature_that_is_no_number_is_a_picture_of_none(dense):
    for file in ("saved_model", "tflite"):
        outputs = draws(dense, file, temperature=np.nan)
        assert np.isnan(outputs["mean"]).all()
        assert np.isnan(outputs["z"]).all()


# What an app may hand over by mistake, to the runtimes as they are: (signature, inputs).
ZEROS, PICTURE = np.zeros((1, 3), np.float32), np.zeros((1, *SHAPE), np.float32)
ONE, SEED = np.float32(1.0), np.int32(1)
RIGHT = {
    "sample": {"seed": SEED, "temperature": ONE},
    "decode": {"z": ZEROS},
    "interpolate": {"z0": ZEROS, "z1": ZEROS, "steps": np.int32(3)},
    "log_likelihood": {"x": PICTURE, "z": ZEROS},
    "encode": {"x": PICTURE},
    "reconstruct": {"x": PICTURE},
}
MISTAKES = {
    "seed above int32": ("sample", {"seed": np.int64(2**31), "temperature": ONE}),
    "seed of uint32": ("sample", {"seed": np.uint32(7), "temperature": ONE}),
    "float seed": ("sample", {"seed": np.float32(7.0), "temperature": ONE}),
    "two seeds": ("sample", {"seed": np.array([1, 2], np.int32), "temperature": ONE}),
    "whole temperature": ("sample", {"seed": SEED, "temperature": np.int32(1)}),
    "no temperature": ("sample", {"seed": SEED}),
    "code too short": ("decode", {"z": ZEROS[:, :2]}),
    "code too long": ("decode", {"z": np.zeros((1, 4), np.float32)}),
    "code of doubles": ("decode", {"z": ZEROS.astype(np.float64)}),
    "code of integers": ("decode", {"z": ZEROS.astype(np.int32)}),
    "code of text": ("decode", {"z": np.array([["a", "b", "c"]])}),
    "another name": ("decode", {"code": ZEROS}),
    "one input more": ("decode", {"z": ZEROS, "x": ZEROS}),
    "steps that are float": ("interpolate", {"z0": ZEROS, "z1": ZEROS, "steps": np.float32(3.0)}),
    "picture on its side": ("log_likelihood", {"x": np.zeros((1, 5, 6, 1), np.float32), "z": ZEROS}),
    "picture too large": ("encode", {"x": np.zeros((1, 7, 5, 1), np.float32)}),
    "no channels": ("reconstruct", {"x": np.zeros((1, 6, 5), np.float32)}),
}
# In the TFLite runtime an unknown name is a KeyError and another dtype or missing input a ValueError.
ERRORS = (ValueError, RuntimeError, TypeError, KeyError, tf.errors.OpError)


@pytest.fixture(scope="module")
def loaded(dense):
    """The SavedModel of the dense model as TensorFlow loads it."""
    return tf.saved_model.load(str(dense.folder / "saved_model"))


@files
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_an_error_and_the_next_call_is_right(dense, loaded, file, mistake):
    signature, inputs = MISTAKES[mistake]
    if file == "saved_model":
        function = loaded.signatures[signature]

        def call(**inputs):
            return function(**{name: tf.constant(value) for name, value in inputs.items()})

    else:
        call = Interpreter(model_path=str(dense.folder / f"{home(signature)}.tflite")).get_signature_runner(signature)
    with pytest.raises(ERRORS, match=r"\w"):
        call(**inputs)
    outputs, expected = call(**RIGHT[signature]), dense.run(file, signature, **RIGHT[signature])
    for name, value in expected.items():
        np.testing.assert_array_equal(outputs[name], value)


@pytest.mark.parametrize("steps", [1, 0, -3, -(2**31)])
def test_steps_below_two_are_two(exported, steps):
    for file in ("saved_model", "tflite"):
        np.testing.assert_array_equal(path_of(exported, file, steps), path_of(exported, file, 2))


# A SavedModel needs TensorFlow and nothing else.

ALONE = """
import sys
import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
sample = loaded.signatures["sample"](seed=tf.constant(7), temperature=tf.constant(1.0))
x = tf.constant(np.load(sys.argv[2]))
score = loaded.signatures["score"](x=x, seed=tf.constant(3))
assert not {"keras", "keras_vae", "tensorflow_probability", "tf_keras"} & set(sys.modules)
np.savez(sys.argv[3], mean=sample["mean"], z=sample["z"], elbo=score["elbo"])
"""


def run_python(arguments, *first_on_path):
    path = os.pathsep.join(map(str, first_on_path))
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}
    result = subprocess.run([sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_saved_model_runs_where_the_package_and_keras_cannot_be_imported(dense, tmp_path):
    # Found, as TensorFlow looks for Keras when it starts, but not importable.
    for name in ("keras", "keras_vae", "export", "tensorflow_probability", "tf_keras"):
        (tmp_path / "poison" / name).mkdir(parents=True)
        (tmp_path / "poison" / name / "__init__.py").write_text(f"raise ImportError('{name} was imported')\n")
    x, _ = images_of(dense)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "alone.py").write_text(ALONE)
    out = tmp_path / "out.npz"
    run_python((tmp_path / "alone.py", dense.folder / "saved_model", tmp_path / "x.npy", out), tmp_path / "poison")
    outputs = np.load(out)
    close(outputs["mean"], dense.vae.sample(16, seed=7), NOISE)
    close(outputs["z"], dense.vae.sample_latent(16, seed=7)[0], NOISE)
    close(outputs["elbo"], dense.vae.bounds(x, NUM_SCORE_SAMPLES, 3)[0], NOISE)


@pytest.mark.slow
def test_saved_model_cli_runs_a_signature(dense, tmp_path):
    np.save(tmp_path / "seed.npy", np.int32(-7))
    np.save(tmp_path / "temperature.npy", np.float32(1.0))
    inputs = f"seed={tmp_path}/seed.npy;temperature={tmp_path}/temperature.npy"
    command = ("-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", dense.folder / "saved_model")
    options = ("--tag_set", "serve", "--signature_def", "sample", "--inputs", inputs, "--outdir", tmp_path / "out")
    run_python((*command, *options))
    close(np.load(tmp_path / "out/mean.npy"), dense.vae.sample(16, seed=-7), NOISE)
    close(np.load(tmp_path / "out/z.npy"), dense.vae.sample_latent(16, seed=-7)[0], NOISE)
