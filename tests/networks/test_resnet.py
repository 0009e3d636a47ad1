"""Residual trunks: their arithmetic, their sizes, and what the exported files make of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from exporting import OPERATORS, model_of
from helpers import make_binary

import keras_vae as kv
from export import exporter, onnx_format, runtimes
from keras_vae import networks
from keras_vae.networks.resnet import DepthToSpace, ResidualBlock


def silu(x):
    return x / (1.0 + np.exp(-x))


def convolved(x, kernel, bias):
    """Returns a 3x3 convolution with zeros around the image, in float64."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    return bias + sum(
        padded[:, i : i + height, j : j + width] @ np.float64(kernel[i, j]) for i in range(3) for j in range(3)
    )


def test_a_block_adds_two_convolutions_of_activations():
    block = ResidualBlock()
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    block.build(x.shape)
    block.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in block.get_weights()])
    first, first_bias, second, second_bias = block.get_weights()
    hidden = silu(convolved(silu(np.float64(x)), first, first_bias))
    np.testing.assert_allclose(block(x), x + convolved(hidden, second, second_bias), rtol=1e-4, atol=1e-4)


def test_the_last_convolution_of_a_block_starts_at_three_tenths_of_its_usual_scale():
    keras.utils.set_random_seed(0)
    block = ResidualBlock()
    block.build((None, 4, 4, 64))
    # Both are uniform, from 9 * 64 inputs to 9 * 64 outputs.
    usual = np.sqrt(6.0 / (2 * 9 * 64))
    limits = [np.abs(kernel).max() for kernel in block.get_weights()[::2]]
    np.testing.assert_allclose(limits, [usual, 0.3 * usual], rtol=1e-3)


def test_depth_becomes_rows_and_columns():
    x = np.arange(2 * 3 * 8, dtype=np.float32).reshape(1, 2, 3, 8)
    y = DepthToSpace()(x).numpy()
    assert y.shape == DepthToSpace().compute_output_shape(x.shape) == (1, 4, 6, 2)
    for i, j, a, b in np.ndindex(2, 3, 2, 2):
        np.testing.assert_array_equal(y[0, 2 * i + a, 2 * j + b], x[0, i, j, 2 * (2 * a + b) :][:2])


@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 10, 3), (1, 1, 1), (5, 33, 2)])
def test_trunks_take_and_make_any_size(shape):
    encoder = networks.resnet_encoder([4, 3], units=8)
    decoder = networks.resnet_decoder(shape, filters=[3, 4, 2], units=8)
    features = encoder(np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32))
    assert features.shape == (2, 8)
    assert decoder(features).shape == (2, *shape[:2], 2)


def blocks_of(decoder):
    return sum(isinstance(layer, ResidualBlock) for layer in decoder.layers)


@pytest.mark.parametrize(("blocks", "count"), [(2, 6), (np.int64(2), 6), ((1, 2, 0), 3), ([0, 0, 0], 0)], ids=str)
def test_a_decoder_takes_one_number_of_blocks_or_one_for_each_size(blocks, count):
    assert blocks_of(networks.resnet_decoder((8, 8, 1), [4, 3, 2], blocks, units=8)) == count


@pytest.mark.parametrize("blocks", [(), (1, 2), (1, 1, 1, 1)], ids=str)
def test_blocks_of_another_length_are_one_error(blocks):
    with pytest.raises(ValueError, match=r"^`blocks` must be one number, or one for each of the 3 sizes"):
        networks.resnet_decoder((8, 8, 1), [4, 3, 2], blocks, units=8)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_trunks_count_their_parameters(blocks):
    encoder = networks.resnet_encoder([4, 3], blocks, units=8)
    encoder.build((None, 7, 10, 3))
    block = {c: 2 * (9 * c * c + c) for c in (2, 3, 4)}
    maps = 2 * 3 * 3  # 7 x 10 halved twice, rounding up, three filters
    expected = (75 * 4 + 4) + (36 * 3 + 3) + (maps * 8 + 8) + blocks * (block[4] + block[3])
    assert encoder.count_params() == expected
    decoder = networks.resnet_decoder((7, 10, 3), [3, 4, 2], blocks, units=8)
    decoder.build((None, 6))
    expected = (6 * 8 + 8) + (8 * maps + maps) + (3 * 16 + 16) + (4 * 8 + 8) + blocks * (block[3] + block[4] + block[2])
    assert decoder.count_params() == expected


@pytest.mark.parametrize("make", [networks.resnet_encoder, lambda **k: networks.resnet_decoder((4, 4, 1), **k)])
def test_gated_activations_are_refused(make):
    with pytest.raises(ValueError, match=r"^`activation` must not be glu for residual blocks"):
        make(activation="glu")


def test_a_decoder_without_filters_is_refused():
    with pytest.raises(ValueError, match=r"`filters` must hold at least one number"):
        networks.resnet_decoder((4, 4, 1), [])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_trunks_reload_from_a_file(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        trunk = networks.resnet_decoder((7, 10, 3), [4, 3, 2], units=8, activation="relu")
        z = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
        expected = trunk(z)
        trunk.save(tmp_path / "trunk.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert expected.dtype == ("float32" if policy == "float32" else "bfloat16")
    copy = keras.saving.load_model(tmp_path / "trunk.keras")
    np.testing.assert_array_equal(tf.cast(copy(z), tf.float32), tf.cast(expected, tf.float32))


def make_resnet_vae(shape):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(networks.resnet_encoder((4, 6), units=8), kv.posteriors.DiagonalGaussian(3)),
        kv.Decoder(networks.resnet_decoder(shape, (6, 4, 4), units=8), kv.likelihoods.Bernoulli(shape)),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


@pytest.mark.slow
def test_a_model_learns_and_its_files_agree_with_it(tmp_path):
    shape = (10, 7, 2)
    vae, x = make_resnet_vae(shape), make_binary(60, shape)
    history = vae.fit(x, batch_size=20, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    # The exporter refuses all operations that are no built-in ones of TensorFlow Lite.
    exporter.export_model(vae, tmp_path / "export", exporter.Options(num_samples=4, files=("decoder",), onnx=True))
    runners = {
        "TFLite": runtimes.litert_runner(tmp_path / "export" / "decoder.tflite"),
        "ONNX": onnx_format.runner(tmp_path / "export"),
        "SavedModel": runtimes.saved_model_runner(tmp_path / "export" / "saved_model"),
    }
    expected = vae.sample(4, seed=7)
    for name, run in runners.items():
        drawn = run("sample", seed=np.int32(7), temperature=np.float32(1.0))["mean"]
        np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4, err_msg=name)
    graph = model_of((tmp_path / "export" / "decoder.tflite").read_bytes())
    assert "DEPTH_TO_SPACE" in {OPERATORS[code.builtinCode] for code in graph.operatorCodes}
