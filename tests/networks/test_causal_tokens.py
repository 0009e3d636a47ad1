"""The causal networks over texts."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import slow_from
from texts import ENCODERS, NETWORKS, make_text_vae

import keras_vae as kv
from keras_vae.networks.causal import check_causal


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_depend_on_the_tokens_before_and_on_all_of_them(network):
    network, random = NETWORKS[network](7), np.random.default_rng(0)
    x, features = random.integers(7, size=(1, 6)), random.normal(size=(1, 3)).astype(np.float32)
    network.build((None, 6), (None, 3))
    for weight in network.trainable_variables:
        weight.assign(random.normal(size=weight.shape))
    check_causal(network, (6,), (3,), 7)
    expected = network(tf.constant(x), features).numpy()
    for j in range(6):
        changed = x.copy()
        changed[0, j] = (x[0, j] + 1) % 7
        moved = np.abs(network(tf.constant(changed), features).numpy() - expected).max(axis=-1)[0] > 1e-4
        np.testing.assert_array_equal(moved, np.arange(6) > j)
    assert np.abs(network(tf.constant(x), features + 1).numpy() - expected).max(axis=-1).min() > 1e-3


def test_convolutions_see_as_many_tokens_as_their_sizes_say():
    network, random = kv.networks.CausalConv1D(7, 4, kernel_size=2, dilation_rates=(1, 2)), np.random.default_rng(0)
    x, features = random.integers(7, size=(1, 12)), random.normal(size=(1, 3)).astype(np.float32)
    network.build((None, 12), (None, 3))
    for weight in network.trainable_variables:
        weight.assign(random.normal(size=weight.shape))
    expected = network(tf.constant(x), features).numpy()
    x[0, 2] = (x[0, 2] + 1) % 7
    moved = np.abs(network(tf.constant(x), features).numpy() - expected).max(axis=-1)[0] > 1e-4
    # The token before, and (2 - 1) x (1 + 2) more.
    assert np.flatnonzero(moved).tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_cached_loop_draws_what_the_naive_loop_draws(network, monkeypatch):
    vae = make_text_vae(7, 5, network)
    cached = vae.sample(64, seed=1, output="sample").numpy()
    monkeypatch.setattr(type(vae.decoder.likelihood.network), "drawing", kv.networks.CausalNetwork.drawing)
    naive = make_text_vae(7, 5, network).sample(64, seed=1, output="sample").numpy()
    np.testing.assert_array_equal(cached, naive)
    assert len(np.unique(cached)) == 5


@pytest.mark.parametrize("network", NETWORKS)
def test_words_are_hidden_in_training_alone(network):
    network = NETWORKS[network](5, word_dropout=0.4, seed=1)
    network.build((None, 50), (None, 3))
    x = tf.constant(np.random.default_rng(0).integers(5, size=(200, 50)))
    before = network.tokens_before(x, training=False).numpy()
    np.testing.assert_array_equal(before[:, 1:], x[:, :-1])
    assert (before[:, 0] == 5).all()
    hidden = network.tokens_before(x, training=True).numpy()
    assert (hidden[:, 0] == 5).all()
    assert (hidden[:, 1:] == 6).mean() == pytest.approx(0.4, abs=0.02)
    np.testing.assert_array_equal(hidden[hidden != 6], before[hidden != 6])
    again = network.tokens_before(x, training=True).numpy()
    assert 0.4 < (again != hidden).mean() < 0.56  # 2 x 0.4 x 0.6 of all but the first place


@pytest.mark.parametrize("network", NETWORKS)
def test_a_config_makes_the_same_network(network):
    network = NETWORKS[network](5, word_dropout=0.25)
    config = network.get_config()
    assert type(network).from_config(config).get_config() == config


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_trunk_of_texts_reads_all_of_a_text_and_no_place_after_its_end(encoder):
    trunk = ENCODERS[encoder](6)
    x = np.array([[1, 5, 2, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])
    expected = trunk(x)
    assert expected.shape == (3, 8 if encoder == "transformer" else 16)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(trunk(x[:, :4]), expected, rtol=1e-5, atol=1e-6)
    for place in range(3):
        changed = x.copy()
        changed[0, place] = 4
        assert np.abs(trunk(changed) - expected)[0].max() > 1e-3
    # In the other order it is another text.
    assert np.abs(trunk(x[:, [1, 0, *range(2, 7)]]) - expected)[0].max() > 1e-3


def test_the_places_after_the_end_may_hold_anything_to_a_transformer():
    trunk = kv.networks.transformer_encoder(6, 8, 2, 2)
    np.testing.assert_array_equal(trunk(np.array([[1, 5, 0, 0, 0]])), trunk(np.array([[1, 5, 0, 4, 3]])))


def test_a_transformer_takes_no_text_longer_than_it_was_built_for():
    trunk = kv.networks.transformer_encoder(6, 8, 2, 2)
    trunk(np.array([[1, 5, 0]]))
    with pytest.raises(ValueError, match=r"`x` must have up to 3 tokens a text, .* Received: x of shape \(1, 4\)"):
        trunk.layers[0](np.array([[1, 5, 2, 0]]))


def test_a_network_over_tokens_takes_no_pictures():
    with pytest.raises(ValueError, match=r"`event_shape` must be \(length,\), that of tokens\. Received: \(2, 2, 1\)"):
        kv.networks.CausalGRU(7).build((None, 2, 2, 1), (None, 3))


def test_convolutions_without_a_rate_are_one_error():
    with pytest.raises(ValueError, match=r"`dilation_rates` must have at least one number, .* Received: \(\)"):
        kv.networks.CausalConv1D(7, dilation_rates=())


@pytest.mark.parametrize("policy", slow_from(1, ["mixed_float16", "mixed_bfloat16"]))
@pytest.mark.parametrize("network", slow_from(1, NETWORKS))
def test_in_half_precision_texts_are_drawn_and_have_a_density_in_float32(network, policy):
    keras.config.set_dtype_policy(policy)
    try:
        vae = make_text_vae(7, 5, network)
    finally:
        keras.config.set_dtype_policy("float32")
    x = vae.sample(4, seed=0, output="sample")
    assert x.dtype == tf.int32
    log_prob = vae.log_prob(x, num_samples=3, seed=0)
    assert np.isfinite(log_prob).all()
    assert np.asarray(log_prob).dtype == np.float32
