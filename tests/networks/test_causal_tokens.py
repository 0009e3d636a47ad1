"""The causal networks over texts."""

import numpy as np
import pytest
import tensorflow as tf
from texts import NETWORKS, make_text_vae

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


def test_the_trunk_of_texts_reads_no_place_after_the_end():
    trunk = kv.networks.sequence_encoder(6, 4, 3)
    x = np.array([[1, 5, 2], [3, 0, 0]])
    np.testing.assert_allclose(trunk(np.pad(x, [(0, 0), (0, 4)])), trunk(x), rtol=1e-5, atol=1e-6)
    assert trunk(x).shape == (2, 8)
