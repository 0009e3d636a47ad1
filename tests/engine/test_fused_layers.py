import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_vae as kv
from keras_vae.engine import compiled_steps
from keras_vae.engine.fused_layers import FUSED, fused_layers, narrow_convolution
from keras_vae.engine.keras_compat import layers_of


@pytest.mark.parametrize("plain", FUSED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_value_and_gradient_are_those_of_keras(plain, dtype):
    x = tf.cast(np.linspace(-30, 30, 601).reshape(1, 601), dtype)
    upstream = tf.cast(np.linspace(0.5, 2, 601).reshape(1, 601), dtype)

    def value_and_gradient(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, tape.gradient(y, x, upstream)

    # Keras's gelu of float64 has a square root of two in float32. Ours of float32 differs by 1e-7 |x|, up to |x| = 30.
    of_float32 = 4e-6 if plain is keras.activations.gelu else 2e-6
    tolerance = {"float64": 1e-6, "float32": of_float32, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    for ours, theirs in zip(value_and_gradient(FUSED[plain]), value_and_gradient(plain), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(tf.cast(ours, "float64"), tf.cast(theirs, "float64"), tolerance, tolerance)


def test_gelu_differs_from_the_exact_one_by_a_rounding_error_of_x():
    x = np.linspace(-12, 8, 2001).astype("float32")
    exact = np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.astype(float)])
    gelu = FUSED[keras.activations.gelu]
    error = np.abs(np.asarray(gelu(tf.constant(x)), float) - exact)
    assert (error <= 1.2e-7 * np.abs(x) + 3e-7 * np.abs(exact)).all()
    # Computed in half precision the tail would have no digit left.
    x = np.linspace(-6, -3, 301).astype("float16")
    exact = [value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.astype(float)]
    np.testing.assert_allclose(np.asarray(gelu(tf.constant(x)), float), exact, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("size", [(3, 3, 1), (3, 3, 3), (5, 5, 1), (2, 3, 1), (1, 4, 2)])
def test_a_narrow_convolution_and_its_gradients_are_those_of_tensorflow(size):
    random, (height, width, filters) = np.random.default_rng(0), size
    x, kernel, upstream = (
        tf.constant(random.normal(size=shape), tf.float32)
        for shape in ((2, 6, 7, 9), (height, width, 9, filters), (2, 6, 7, filters))
    )

    def value_and_gradients(function):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = function(x, kernel)
        return y, *tape.gradient(y, [x, kernel], upstream)

    # Compiled for a batch of any size, as a layer may have lost it.
    unknown = tf.TensorSpec((None, *x.shape[1:])), tf.TensorSpec(kernel.shape)
    assert tf.function(narrow_convolution, unknown)(x, kernel).shape == upstream.shape
    expected = value_and_gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))
    for actual, value in zip(value_and_gradients(narrow_convolution), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-4)


def test_maps_of_unknown_size_are_convolved_by_tensorflow():
    x, kernel = tf.ones((1, 5, 6, 9)), tf.ones((3, 3, 9, 1))
    maps = tf.function(narrow_convolution, (tf.TensorSpec((None, None, None, 9)), tf.TensorSpec(kernel.shape)))
    np.testing.assert_allclose(maps(x, kernel), narrow_convolution(x, kernel))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_narrow_convolution_in_half_precision_is_as_exact_as_that_of_tensorflow(dtype):
    random = np.random.default_rng(0)
    x, kernel = (tf.constant(random.normal(size=shape), tf.float32) for shape in ((4, 9, 9, 32), (3, 3, 32, 1)))
    exact = tf.nn.conv2d(x, kernel, 1, "SAME")
    halves = tf.cast(x, dtype), tf.cast(kernel, dtype)
    theirs, ours = tf.nn.conv2d(*halves, 1, "SAME"), narrow_convolution(*halves)
    assert ours.dtype == dtype
    error = [tf.norm(tf.cast(y, tf.float32) - exact) for y in (ours, theirs)]
    assert error[0] < 1.1 * error[1]


@pytest.mark.parametrize(
    ("options", "channels", "is_narrow"),
    [
        ({"filters": 1}, 32, True),
        ({"filters": 3}, 32, True),
        ({"filters": 4}, 32, False),
        ({"filters": 1}, 7, False),
        ({"filters": 1, "kernel_size": 5}, 32, True),
        ({"filters": 1, "kernel_size": 1}, 32, False),
        ({"filters": 1, "strides": 2}, 32, False),
        ({"filters": 1, "dilation_rate": 2}, 32, False),
        ({"filters": 1, "padding": "valid"}, 32, False),
        ({"filters": 2, "groups": 2}, 32, False),
    ],
)
def test_what_is_narrow_computes_the_same_within_the_context(options, channels, is_narrow):
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2D(**{"kernel_size": 3, "padding": "same", "activation": "relu", **options})
    model, x = keras.Sequential([layer]), np.random.default_rng(0).normal(size=(2, 8, 9, channels)).astype("float32")
    expected = model(x)
    with fused_layers(model):
        assert (layer.convolution_op == narrow_convolution) == is_narrow
        actual = model(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    assert "convolution_op" not in vars(layer)


def conv_vae():
    keras.utils.set_random_seed(1)
    networks = kv.networks.resnet_encoder((4, 4), units=8), kv.networks.conv_decoder((8, 8, 1), (4, 4))
    vae = kv.VAE(
        kv.Encoder(networks[0], kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(networks[1], kv.likelihoods.Bernoulli((8, 8, 1))),
        seed=3,
    )
    return vae, np.random.default_rng(0).random((24, 8, 8, 1)).round().astype("float32")


def activations(vae):
    return {layer.name: getattr(layer, "activation", None) for layer in layers_of(vae)}


def test_within_the_context_alone_layers_have_compiled_activations():
    vae, _ = conv_vae()
    before = activations(vae)
    with fused_layers(vae), fused_layers(vae):
        during = activations(vae)
    after_an_error = pytest.raises(ZeroDivisionError)
    with after_an_error, fused_layers(vae):
        raise ZeroDivisionError
    assert activations(vae) == before
    compiled = {layer.name: type(layer).__name__ for layer in layers_of(vae) if during[layer.name] in FUSED.values()}
    assert set(compiled.values()) == {"Activation", "Conv2D", "Conv2DTranspose", "ResidualBlock"}


def test_a_long_fit_compiles_the_activations_and_learns_the_same(monkeypatch):
    losses = {}
    for most in (1, 10**9):
        monkeypatch.setattr(compiled_steps, "MIN_STEPS_FOR_FUSED_LAYERS", most)
        vae, x = conv_vae()
        vae.compile(keras.optimizers.SGD(1e-3))
        entered = []
        original = compiled_steps.accept_blocks
        monkeypatch.setattr(
            compiled_steps, "accept_blocks", lambda *a, original=original, e=entered: e.append(a[3:]) or original(*a)
        )
        losses[most] = vae.fit(x, batch_size=8, epochs=2, verbose=0).history["loss"]
        monkeypatch.setattr(compiled_steps, "accept_blocks", original)
        assert (True,) in entered if most == 1 else (True,) not in entered
    np.testing.assert_allclose(losses[1], losses[10**9], rtol=1e-5)
