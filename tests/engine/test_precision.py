"""Half precision: how it is compiled, and the same model in float32."""

import keras
import numpy as np
import pytest
from helpers import SHAPE, make_binary, make_vae

import keras_vae as kv
from keras_vae.engine import block_steps
from keras_vae.engine.precision import dtype_policy, in_float32, precision_of


@pytest.mark.parametrize("has_amx", [False, True])
def test_xla_is_left_where_only_the_kernels_of_tensorflow_use_the_instructions(monkeypatch, has_amx):
    monkeypatch.setattr(block_steps, "cpu_multiplies_bfloat16", lambda: has_amx)
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        with dtype_policy(policy):
            vae = make_vae()
        assert block_steps.gains_from_xla(vae) == (policy != "mixed_bfloat16" or not has_amx)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_a_copy_in_float32_has_the_weights_and_no_layer_that_computes_in_another_type(policy):
    with dtype_policy(policy):
        vae = make_vae(prior=kv.priors.Flow(3, 2, 4))
    copy = in_float32(vae)
    assert {layer.compute_dtype for layer in copy._flatten_layers()} == {"float32"}
    assert precision_of(vae) == policy.removeprefix("mixed_")
    for weight, value in zip(copy.trainable_weights, vae.trainable_weights, strict=True):
        assert weight.dtype == "float32"
        np.testing.assert_allclose(weight, value, rtol=1e-6)
    with dtype_policy("float32"):
        same = make_vae(prior=kv.priors.Flow(3, 2, 4))
    same.set_weights(copy.get_weights())
    x = make_binary(3, SHAPE)
    np.testing.assert_array_equal(copy.log_prob(x, 5), same.log_prob(x, 5))


def test_the_policy_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), dtype_policy("mixed_bfloat16"):
        _ = 1 / 0
    assert keras.config.dtype_policy().name == "float32"


class Doubled(keras.layers.Layer):
    """Nobody has registered it."""

    def call(self, x):
        return 2.0 * x


def with_trunk(*layers):
    trunk = keras.Sequential([keras.layers.Flatten(), *layers, keras.layers.Dense(8, activation="relu")])
    decoder = kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli(SHAPE))
    return kv.VAE(kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(3)), decoder, seed=0)


def test_a_copy_has_what_layers_keep_beside_their_weights_and_layers_that_nobody_registered():
    x = make_binary(50, SHAPE)
    with dtype_policy("mixed_bfloat16"):
        normalization = keras.layers.Normalization()
        normalization.adapt(x.reshape(50, -1))
        vae = with_trunk(normalization, Doubled())
    np.testing.assert_allclose(in_float32(vae).log_prob(x, 5), vae.log_prob(x, 5), atol=0.5)


def test_a_model_that_cannot_be_made_again_is_one_error():
    with dtype_policy("mixed_bfloat16"):
        vae = with_trunk(keras.layers.Lambda(lambda x: 2.0 * x))
    with pytest.raises(
        ValueError, match=r"`vae` must have a copy in float32, .* Received: a model that computes in bf"
    ):
        in_float32(vae)
