"""The card says what the files are, and enough of the noise to write it again in any language."""

import hashlib
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from exporting import (
    REPORT,
    SEEDS,
    content_of,
    make_mixture_vae,
)

import keras_vae as kv
from export import exporter, model_card, verification
from export.signatures import FILES, NAMES
from keras_vae.distributions.noise import Noise


def test_card_says_what_the_model_is(exported):
    card, vae = exported.card, exported.vae
    assert card["event_shape"] == list(vae.event_shape)
    assert (card["latent_dim"], card["condition_dim"]) == (vae.latent_dim, vae.condition_dim)
    assert card["decoder_latent_dim"] == vae.latent_dim
    assert (card["num_samples"], card["batch_size_in_tflite"]) == (exported.num_samples, exported.batch_size)
    assert {key: card[key] for key in REPORT} == REPORT
    assert (card["keras_vae"], card["unit"]) == (kv.__version__, "nats per image")
    assert (card["posterior"], card["left_out"]) == ("DiagonalGaussian", {})
    of_colors = vae.event_shape[2] == 3
    assert (card["likelihood"], card["value_range"]) == (("Gaussian", None) if of_colors else ("Bernoulli", [0.0, 1.0]))


@pytest.mark.slow
def test_card_names_the_prior(dense, mixture):
    assert (dense.card["prior"], mixture.card["prior"]) == ("StandardNormal", "MixtureOfGaussians")


def test_card_lists_the_files_with_their_sizes_and_hashes(exported):
    listed, content = exported.card["files"], content_of(exported.folder)
    assert set(listed) == {"saved_model", *(f"{file}.tflite" for file in FILES)}
    for file, figures in listed.items():
        assert figures["bytes"] == sum(len(data) for path, data in content.items() if path.split("/")[0] == file)
        if file != "saved_model":
            assert figures["sha256"] == hashlib.sha256(content[file]).hexdigest()
            assert figures["scheme"] == "float32"
        assert "not_written" not in figures


def test_card_gives_the_parity_of_each_signature(exported):
    for file, figures in exported.card["files"].items():
        names = NAMES if file == "saved_model" else FILES[file.split(".")[0]]
        assert set(figures["signatures"]) == set(names)
        for name, figure in figures["signatures"].items():
            if name == "sample_pixels":
                assert 0.0 <= figure["differing_pixels"] <= verification.FLIPS
                continue
            assert 0.0 <= figure["mean_difference"] <= figure["max_difference"] <= 1e-4
            assert figure["psnr"] is None or figure["psnr"] > 80.0
        # Found again: the same measurement on the same file gives the figures on the card.
        parity = verification.Parity(
            exported.runners[file], exported.vae, exported.num_samples, exported.batch_size or 16
        )
        again = parity.check(names[0])
        np.testing.assert_allclose(
            again["max_difference"], figures["signatures"][names[0]]["max_difference"], atol=1e-6
        )


# Signatures.


def described(details, shape_key):
    return {
        key: {"shape": [int(n) for n in detail[shape_key]], "dtype": np.dtype(detail["dtype"]).name}
        for key, detail in details.items()
    }


def without_batch(signature, entry, exported):
    """Returns shapes and dtypes of a signature on the card with the free sizes of a TFLite file in place of "batch"."""
    rows = exported.num_samples if signature == "interpolate" else exported.batch_size
    size = -1 if exported.batch_size is None else rows
    return {key: {**spec, "shape": [size if n == "batch" else n for n in spec["shape"]]} for key, spec in entry.items()}


def test_card_describes_the_signatures_as_the_tflite_files_do(exported):
    signatures = exported.card["signatures"]
    assert set(signatures) == set(NAMES)
    for file, names in FILES.items():
        interpreter = Interpreter(model_path=str(exported.folder / f"{file}.tflite"))
        assert set(interpreter.get_signature_list()) == set(names)
        for name in names:
            assert signatures[name]["files"] == ["saved_model", f"{file}.tflite"]
            runner = interpreter.get_signature_runner(name)
            for details, side in ((runner.get_input_details(), "inputs"), (runner.get_output_details(), "outputs")):
                expected = without_batch(name, signatures[name][side], exported)
                assert described(details, "shape_signature") == expected


def test_card_describes_the_signatures_as_the_saved_model_does(exported):
    loaded = tf.saved_model.load(str(exported.folder / "saved_model")).signatures
    assert set(loaded) == {*NAMES, "serving_default"}
    for name, entry in exported.card["signatures"].items():
        for specs, side in (
            (loaded[name].structured_input_signature[1], "inputs"),
            (loaded[name].structured_outputs, "outputs"),
        ):
            found = {
                key: {"shape": ["batch" if n is None else n for n in spec.shape.as_list()], "dtype": spec.dtype.name}
                for key, spec in specs.items()
            }
            assert found == entry[side]


def test_inputs_and_outputs_are_the_documented_ones(dense, conditional):
    code, picture, batch = [3], [6, 5, 1], ["batch"]
    documented = {
        "decode": ({"z": batch + code}, {"mean": batch + picture}),
        "sample": ({"seed": [], "temperature": []}, {"mean": [16, *picture], "z": [16, *code]}),
        "sample_pixels": ({"seed": [], "temperature": []}, {"x": [16, *picture], "z": [16, *code]}),
        "interpolate": ({"z0": [1, *code], "z1": [1, *code], "steps": []}, {"mean": batch + picture}),
        "log_likelihood": ({"x": batch + picture, "z": batch + code}, {"log_likelihood": batch}),
        "encode": ({"x": batch + picture}, {"loc": batch + code, "scale": batch + code}),
        "score": ({"x": batch + picture, "seed": []}, {"elbo": batch, "log_likelihood": batch}),
        "reconstruct": ({"x": batch + picture}, {"mean": batch + picture, "log_likelihood": batch}),
    }
    for name, (inputs, outputs) in documented.items():
        entry = dense.card["signatures"][name]
        assert {key: spec["shape"] for key, spec in entry["inputs"].items()} == inputs
        assert {key: spec["shape"] for key, spec in entry["outputs"].items()} == outputs
        integers = {key for key, spec in entry["inputs"].items() if spec["dtype"] == "int32"}
        assert integers == {"seed", "steps"} & set(inputs)
        assert {spec["dtype"] for spec in entry["outputs"].values()} == {"float32"}
        rows = {"sample": 5, "sample_pixels": 5, "interpolate": 1}.get(name, "batch")
        condition = conditional.card["signatures"][name]["inputs"]["condition"]
        assert condition == {"shape": [rows, 3], "dtype": "float32"}


# The noise, in plain Python integers as the card words it.


def rotl(word, bits):
    return ((word << bits) | (word >> (32 - bits))) % 2**32


def threefry(key, counter):
    """Threefry-2x32-20 on Python integers, line by line from the card."""
    k = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    a, b = (counter[0] + k[0]) % 2**32, (counter[1] + k[1]) % 2**32
    for g in range(5):
        for r in (13, 15, 26, 6) if g in (0, 2, 4) else (17, 29, 16, 24):
            a = (a + b) % 2**32
            b = rotl(b, r) ^ a
        a = (a + k[(g + 1) % 3]) % 2**32
        b = (b + k[(g + 2) % 3] + g + 1) % 2**32
    return a, b


def words_of(seed, row, position):
    return threefry((seed % 2**32, 0), (row, position))


def uniforms_of(seed, row, position):
    return [((word >> 9) + 0.5) / 2**23 for word in words_of(seed, row, position)]


def normal_of(seed, row, position):
    u, v = uniforms_of(seed, row, position)
    return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_lines_of_the_card_give_the_published_vectors(key, counter, expected):
    # The known answers of Random123, the reference implementation by the authors.
    assert threefry(key, counter) == expected


def test_algorithm_is_ten_lines_that_name_every_number(dense):
    lines = dense.card["noise"]["algorithm"]
    assert len(lines) == 10
    text = " ".join(lines)
    for phrase in (
        "Threefry-2x32 with 20 rounds: key k0 = seed, k1 = 0, k2 = k0 xor k1 xor 0x1BD11BDA; a negative seed wraps",
        "a = row + k0, b = position + k1",
        "a = a + b, then b = rotl(b, r) xor a",
        "13, 15, 26, 6 in the groups 0, 2, 4 and 17, 29, 16, 24 in the groups 1, 3",
        "after group g: a = a + k[(g + 1) mod 3], b = b + k[(g + 2) mod 3] + g + 1",
        "u = ((a >> 9) + 0.5) / 2^23, v = ((b >> 9) + 0.5) / 2^23",
        "eps = sqrt(-2 ln u) cos(2 pi v)",
        "`temperature` multiplies eps",
    ):
        assert phrase in text


def test_vectors_of_the_card_are_what_its_lines_give(exported):
    vectors = exported.card["noise"]["test_vectors"]
    assert len(vectors) == len(model_card.VECTORS) >= 7
    assert {vector["seed"] for vector in vectors} >= {0, 7, -1, 2**31 - 1, -(2**31)}
    for vector in vectors:
        place = vector["seed"], vector["row"], vector["position"]
        assert vector["words"] == list(words_of(*place))
        # float32 against doubles; the largest normal here is below 2.
        assert abs(vector["normal"] - normal_of(*place)) < 1e-6


def test_codes_of_the_files_are_what_the_lines_give(dense, conditional):
    for exported in (dense, conditional):
        shape = exported.num_samples, exported.vae.latent_dim
        condition = exported.condition(exported.num_samples)
        for seed in SEEDS:
            eps = [[normal_of(seed, i, d) for d in range(shape[1])] for i in range(shape[0])]
            for file, tolerance in (("saved_model", 1e-5), ("tflite", 1e-4)):
                z = exported.run(file, "sample", seed=seed, temperature=0.5, **condition)["z"]
                # log, sqrt and cos in float32, as each runtime approximates them, against doubles.
                np.testing.assert_allclose(z, 0.5 * np.array(eps), atol=tolerance)


@pytest.mark.slow
def test_a_learned_prior_says_in_which_order_it_draws_and_does(mixture):
    lines = mixture.card["noise"]["algorithm"]
    assert len(lines) == 11
    assert "first, for a mixture, one uniform a component, to pick one, then the normals" in lines[-1]
    prior, latent_dim = mixture.vae.prior, mixture.vae.latent_dim
    components = prior.distribution().components_distribution.distribution
    loc, scale, logits = components.loc.numpy(), components.scale.numpy(), prior.logits.numpy()
    seed = 7
    z = mixture.run("tflite", "sample", seed=seed, temperature=1.0)["z"]
    for row in range(mixture.num_samples):
        # The Gumbel-max trick on one uniform a component at the positions 0..3, then a normal a dimension.
        gumbel = [-math.log(-math.log(uniforms_of(seed, row, k)[0])) for k in range(4)]
        k = int(np.argmax(logits + gumbel))
        eps = [normal_of(seed, row, 4 + d) for d in range(latent_dim)]
        np.testing.assert_allclose(z[row], loc[k] + scale[k] * eps, atol=1e-4)


def test_vectors_are_those_of_the_package():
    for vector in model_card.test_vectors():
        a, b = Noise(vector["seed"]).words((vector["row"] + 1, vector["position"] + 1))
        assert [int(a[-1, -1]), int(b[-1, -1])] == vector["words"]


def test_card_is_standard_json_without_files_and_report(tmp_path):
    exporter.export_model(make_mixture_vae(), tmp_path / "export", exporter.Options(files=()))

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "export" / "model_card.json").read_text(encoding="utf-8")
    card = json.loads(text, parse_constant=refuse)
    assert {entry["files"][0] for entry in card["signatures"].values()} == {"saved_model"}
    assert {len(entry["files"]) for entry in card["signatures"].values()} == {1}
    assert (card["test_elbo"], card["test_log_likelihood"], card["data"]) == (None, None, None)
