"""Trunks for any size of image."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import likelihoods, networks, posteriors
from keras_vae.measure import frechet
from keras_vae.networks.conv import default_filters


def test_mlp_is_its_matrix_products():
    trunk = networks.mlp([4, 3], activation="relu")
    x = np.random.default_rng(0).normal(size=(5, 2, 2, 1)).astype(np.float32)
    trunk.build(x.shape)
    first, first_bias, second, second_bias = trunk.get_weights()
    hidden = np.maximum(x.reshape(5, 4) @ first + first_bias, 0)
    np.testing.assert_allclose(trunk(x), np.maximum(hidden @ second + second_bias, 0), rtol=1e-5, atol=1e-6)


def test_mlp_without_layers_flattens():
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2, 1)
    np.testing.assert_array_equal(networks.mlp([])(x), x.reshape(2, 6))


@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 10, 3), (1, 1, 1), (5, 33, 2)])
def test_conv_decoder_makes_maps_of_the_images_size(shape):
    trunk = networks.conv_decoder(shape, filters=[4, 3], units=8)
    assert trunk(tf.zeros((2, 6))).shape == (2, *shape[:2], 3)


@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 10, 3), (1, 1, 1)])
def test_conv_encoder_takes_any_size(shape):
    trunk = networks.conv_encoder(filters=[4, 3], units=8)
    assert trunk(tf.zeros((2, *shape))).shape == (2, 8)


@pytest.mark.parametrize(
    ("sides", "filters", "left"),
    [
        ((1, 1), (32, 64), 1),
        ((28, 28), (32, 64), 7),
        ((32, 20), (32, 64), 8),
        ((33, 9), (32, 64, 128), 5),
        ((48, 64), (32, 64, 128), 8),
        ((256, 256), (32, 64, 128, 256, 256), 8),
    ],
)
def test_the_depth_follows_the_size_of_the_image(sides, filters, left):
    assert default_filters((*sides, 3)) == filters
    assert -(-max(sides) // 2 ** len(filters)) == left


def test_conv_encoder_counts_its_parameters():
    trunk = networks.conv_encoder(filters=[4, 3], units=8)
    trunk.build((None, 7, 10, 3))
    maps = 2 * 3 * 3  # 7 x 10 halved twice, rounding up, three filters
    assert trunk.count_params() == (27 * 4 + 4) + (36 * 3 + 3) + (maps * 8 + 8)


def test_the_networks_of_the_examples_have_their_layers():
    """Parameters layer by layer, as the sizes of kernels and strides say."""
    counts = []
    for trunk, shape in (
        (networks.tfp_encoder((28, 28, 1)), (None, 28, 28, 1)),
        (networks.tfp_decoder((28, 28, 1)), (None, 16)),
        (networks.cvae_encoder(), (None, 28, 28, 1)),
        (networks.cvae_decoder((28, 28, 1)), (None, 2)),
    ):
        trunk.build(shape)
        counts.append([layer.count_params() for layer in trunk.layers if layer.count_params()])
    assert counts == [
        [25 * 32 + 32, 25 * 32 * 32 + 32, 25 * 32 * 64 + 64, 25 * 64 * 64 + 64, 49 * 64 * 64 + 64],
        [49 * 16 * 64 + 64, *(2 * [25 * 64 * 64 + 64]), 25 * 64 * 32 + 32, *(2 * [25 * 32 * 32 + 32])],
        [9 * 32 + 32, 9 * 32 * 64 + 64],
        [2 * 1568 + 1568, 9 * 32 * 64 + 64, 9 * 64 * 32 + 32],
    ]


@pytest.mark.parametrize(
    ("encoder", "decoder", "features", "maps"),
    [
        (networks.tfp_encoder((8, 12, 3), depth=2, units=5), networks.tfp_decoder((8, 12, 3), depth=2), (1, 1, 5), 2),
        (networks.cvae_encoder(), networks.cvae_decoder((8, 12, 3)), (128,), 32),
    ],
)
def test_the_networks_of_the_examples_take_images_of_any_size_they_can_halve_twice(encoder, decoder, features, maps):
    assert encoder(tf.zeros((2, 8, 12, 3))).shape == (2, *features)
    assert decoder(tf.zeros((2, 6))).shape == (2, 8, 12, maps)


@pytest.mark.parametrize("shape", [(28, 30, 1), (27, 28, 1), (28, 28), (784,)])
@pytest.mark.parametrize("make", [networks.tfp_encoder, networks.tfp_decoder, networks.cvae_decoder])
def test_a_shape_a_network_cannot_draw_is_named(make, shape):
    with pytest.raises(ValueError, match=re.escape(f"Received: {shape}") + "|" + re.escape(f"event_shape={shape}")):
        make(shape)


def test_a_conv_decoder_wants_the_shape_of_an_image():
    with pytest.raises(ValueError, match=r"`event_shape` must be \(height, width, channels\). Received: .*\(784,\)"):
        networks.conv_decoder((784,))


@pytest.mark.parametrize("units", [[0], [-3], [2.5], ["a"]])
def test_a_bad_width_is_named(units):
    with pytest.raises(ValueError, match="`hidden_units` must be a sequence of positive integers"):
        networks.mlp(units)


@pytest.mark.parametrize("activation", ["gelu", "glu"])
def test_trunks_reload_from_their_config(activation):
    trunk = networks.conv_decoder((7, 10, 3), filters=[4, 3], units=8, activation=activation)
    trunk.build((None, 6))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(trunk))
    copy.set_weights(trunk.get_weights())
    z = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    np.testing.assert_array_equal(copy(z), trunk(z))


def test_gated_layers_multiply_one_half_by_the_sigmoid_of_the_other():
    trunk = networks.mlp((3,), "glu")
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    trunk.build((None, 5))
    kernel, bias = (np.float64(weight) for weight in trunk.get_weights())
    h, g = np.split(x @ kernel + bias, 2, axis=1)
    np.testing.assert_allclose(trunk(x), h / (1.0 + np.exp(-g)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (networks.conv_encoder, (1, 9, 7, 2)),
        (functools.partial(networks.conv_decoder, (9, 7, 2)), (1, 3)),
        (functools.partial(networks.tfp_encoder, (8, 12, 2), 4, 6), (1, 8, 12, 2)),
        (functools.partial(networks.tfp_decoder, (8, 12, 2), 4), (1, 3)),
        (networks.cvae_encoder, (1, 9, 7, 2)),
        (functools.partial(networks.cvae_decoder, (8, 12, 2)), (1, 3)),
    ],
)
def test_gated_convolutions_have_as_many_filters_as_plain_ones(make, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    plain, gated = make(activation="relu"), make(activation="glu")
    assert gated(x).shape == plain(x).shape
    assert gated.count_params() > 1.9 * plain.count_params()


def causal(shape):
    return likelihoods.Autoregressive(likelihoods.Bernoulli(shape), networks.CausalConv(4, 1))


def network(name):
    """Returns a trunk and the shape of one input."""
    return {
        "mlp": lambda: (networks.mlp([4]), (6, 5, 3)),
        "conv_encoder": lambda: (networks.conv_encoder((4, 3), 8), (7, 10, 3)),
        "conv_decoder": lambda: (networks.conv_decoder((7, 10, 3), (4, 3), 8), (2,)),
        "gated": lambda: (networks.conv_encoder((4, 3), 8, "glu"), (7, 10, 3)),
        "tfp_encoder": lambda: (networks.tfp_encoder((8, 12, 3), 2, 4), (8, 12, 3)),
        "tfp_decoder": lambda: (networks.tfp_decoder((8, 12, 3), 2), (2,)),
        "resnet_encoder": lambda: (networks.resnet_encoder((4, 3), 1, 8), (7, 10, 3)),
        "resnet_decoder": lambda: (networks.resnet_decoder((7, 10, 3), (4, 3, 2), 1, 8), (2,)),
        "cvae_encoder": lambda: (networks.cvae_encoder(), (8, 9, 3)),
        "cvae_decoder": lambda: (networks.cvae_decoder((8, 12, 3)), (2,)),
        "sequence_encoder": lambda: (networks.sequence_encoder(9, 4, 3), (5,)),
        "transformer_encoder": lambda: (networks.transformer_encoder(9, 4, 2, 1), (5,)),
        "posterior": lambda: (posteriors.DiagonalGaussian(2), (6, 5, 3)),
        "likelihood of maps": lambda: (likelihoods.Bernoulli((6, 5, 1)), (6, 5, 3)),
        "likelihood of features": lambda: (likelihoods.Bernoulli((4, 4, 1)), (6, 5, 3)),
        "autoregressive likelihood of maps": lambda: (causal((6, 5, 1)), (6, 5, 3)),
        "autoregressive likelihood of features": lambda: (causal((6, 5, 1)), (4, 4, 3)),
        "classifier of the Frechet distance": lambda: (frechet.ClassifierFeatures((8, 9, 3), 2)._classifier, (8, 9, 3)),
    }[name]()


@pytest.fixture
def image_data_format():
    """The setting of `keras.config`, set back afterwards."""
    yield keras.config.set_image_data_format
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in networks.__all__ if name[0].islower()),  # the classes are no trunks
        *("gated", "posterior", "likelihood of maps", "likelihood of features"),
        *("autoregressive likelihood of maps", "autoregressive likelihood of features"),
        "classifier of the Frechet distance",
    ],
)
def test_pictures_are_channels_last_whatever_keras_is_set_to(name, image_data_format):
    outputs = []
    for setting in ("channels_last", "channels_first"):
        image_data_format(setting)
        keras.utils.set_random_seed(0)
        layer, shape = network(name)
        x = np.abs(np.random.default_rng(0).normal(size=(2, *shape))).astype(np.float32)  # tokens are not negative
        output = layer(x) if "likelihood" not in name and name != "posterior" else layer(x).mean()
        assert {getattr(part, "data_format", "channels_last") for part in layer._flatten_layers()} == {"channels_last"}
        outputs.append(output)
    np.testing.assert_array_equal(*outputs)
