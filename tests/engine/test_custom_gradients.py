"""A model that was dropped leaves no graph in memory, and functions that outlive a step keep their gradients."""

import gc

import keras
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, slow_from

import keras_vae as kv
from keras_vae.engine.custom_gradients import forgets_custom_gradients

X = make_binary(20)


def on_arrays(vae):
    vae.fit(X, batch_size=10, validation_data=X, verbose=0)


def on_batches(vae):
    vae.fit(tf.data.Dataset.from_tensor_slices(X).batch(10), validation_data=X, verbose=0)


def estimate(vae):
    vae.log_prob(X, 4)


def predict(vae):
    vae.predict(X, verbose=0)


def num_graphs_after(use):
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8], "silu"), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([8], "silu"), kv.likelihoods.Bernoulli(SHAPE)),
    )
    vae.compile("adam")
    use(vae)
    del vae
    keras.backend.clear_session()  # a graph of six operations stays of each data set until then
    gc.collect()
    return sum(issubclass(type(thing), tf.Graph) for thing in gc.get_objects())


@pytest.mark.parametrize("use", slow_from(3, [on_arrays, estimate, predict, on_batches]))
def test_a_dropped_model_leaves_no_graph(use):
    assert num_graphs_after(use) == num_graphs_after(use)


def test_a_function_that_a_step_calls_keeps_its_gradient():
    @tf.function
    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda upstream: 2.0 * upstream

    step, x = tf.function(forgets_custom_gradients(lambda x: identity(x))), tf.constant(3.0)
    assert step(x) == 3.0
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = identity(x)
    assert tape.gradient(y, x) == 2.0


def test_what_a_step_differentiates_itself_has_its_gradient():
    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda upstream: 2.0 * upstream

    @tf.function
    @forgets_custom_gradients
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = identity(x)
        return tape.gradient(y, x)

    assert step(tf.constant(3.0)) == 2.0
