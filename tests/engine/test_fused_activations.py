import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_vae as kv
from keras_vae.engine import compiled_steps
from keras_vae.engine.fused_activations import FUSED, fused_activations
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

    # Keras's gelu of float64 has a square root of two in float32.
    tolerance = {"float64": 1e-6, "float32": 2e-6, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    for ours, theirs in zip(value_and_gradient(FUSED[plain]), value_and_gradient(plain), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(tf.cast(ours, "float64"), tf.cast(theirs, "float64"), tolerance, tolerance)


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
    with fused_activations(vae), fused_activations(vae):
        during = activations(vae)
    after_an_error = pytest.raises(ZeroDivisionError)
    with after_an_error, fused_activations(vae):
        raise ZeroDivisionError
    assert activations(vae) == before
    compiled = {layer.name: type(layer).__name__ for layer in layers_of(vae) if during[layer.name] in FUSED.values()}
    assert set(compiled.values()) == {"Activation", "Conv2D", "Conv2DTranspose", "ResidualBlock"}


def test_a_long_fit_compiles_the_activations_and_learns_the_same(monkeypatch):
    losses = {}
    for most in (1, 10**9):
        monkeypatch.setattr(compiled_steps, "MIN_STEPS_FOR_FUSED_ACTIVATIONS", most)
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
