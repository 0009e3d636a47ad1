"""Losses that layers add in a call count the examples and not what fills up the last batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, slow_from

import keras_vae as kv
from keras_vae.engine.losses_of_calls import adds_losses

X = make_binary(51)


class Sparse(keras.layers.Layer):
    """Adds a loss of its own, the mean over the rows of what it lets through."""

    def call(self, x):
        self.penalize(x)
        return x

    def penalize(self, x):
        self.add_loss(0.1 * keras.ops.mean(keras.ops.sum(keras.ops.abs(x), axis=-1)))


TRUNKS = {
    "activity_regularizer": lambda: [keras.layers.Dense(8, activity_regularizer=keras.regularizers.L1(0.1))],
    "add_loss": lambda: [keras.layers.Dense(8), Sparse()],
}


def make(kind, **options):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(keras.Sequential([keras.layers.Flatten(), *TRUNKS[kind]()]), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )
    vae.compile(keras.optimizers.SGD(1e-2), **options)
    return vae


@pytest.mark.parametrize("batch_size", slow_from(1, [32, 50, 51]))
@pytest.mark.parametrize("kind", TRUNKS)
def test_the_penalty_is_the_mean_over_the_examples(kind, batch_size):
    vae = make(kind)
    metrics = vae.evaluate(X, batch_size=batch_size, verbose=0, return_dict=True)
    expected = 0.1 * np.abs(np.asarray(vae.encoder.trunk(X))).sum(axis=1).mean()
    np.testing.assert_allclose(metrics["loss"] + metrics["elbo"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "options", slow_from(1, [{}, {"steps_per_execution": 2}]), ids=["plain", "two steps an execution"]
)
def test_arrays_train_to_the_weights_of_a_data_set(options):
    weights = []
    for x, batch_size in ((X, 10), (tf.data.Dataset.from_tensor_slices(X).batch(10), None)):
        vae = make("activity_regularizer", **(options if batch_size else {}))
        vae.fit(x, batch_size=batch_size, epochs=2, verbose=0, shuffle=False, validation_data=X[:21])
        weights.append(vae.get_weights())
    for actual, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_penalty_on_weights_is_none_of_a_call():
    trunk = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4, kernel_regularizer="l2")])
    encoder = kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(2))
    decoder = kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE))
    assert not adds_losses(kv.VAE(encoder, decoder))
    assert adds_losses(make("add_loss"))


def test_replicas_that_would_be_filled_up_are_refused():
    cpus = [cpu.name for cpu in tf.config.list_logical_devices("CPU")]
    with tf.distribute.MirroredStrategy(cpus).scope():
        vae = make("activity_regularizer")
    with pytest.raises(ValueError, match=r"`batch_size` must divide .*batch_size=10 for 51 examples on 2 replicas"):
        vae.fit(X, batch_size=10, verbose=0)
