"""Runs parts of our training step, from the matrix products alone to the whole of `fit`."""

import functools
import time

import keras
import numpy as np
import tensorflow as tf

from benchmarks.speed.contestants.ours import EVENT_SHAPE, build, set_weights
from benchmarks.speed.contestants.stepwise import Stepwise
from benchmarks.speed.profile import PARTS
from benchmarks.speed.workloads import DATA_DIM, LEARNING_RATE, Workload, initial_weights
from keras_vae.data.examples import Examples

STEPS = 64  # an epoch has so many steps, which `fit` runs as one block


class Profile:
    """Times each of `PARTS`.

    Args:
      workload: fields of a `Workload`.
      data: path of an .npy file with uint8 images `(count, 784)`.
      cores: not used, because TensorFlow takes all cores.
    """

    packages = ("keras", "tensorflow", "tensorflow-probability", "numpy")

    def __init__(self, workload: dict, data: str, cores: int):
        self._workload = Workload(**workload)
        self._values = np.load(data)[: STEPS * self._workload.batch_size].reshape(-1, *EVENT_SHAPE)
        parts = [
            self._products(),
            self._on_one_batch(keras.optimizers.SGD(LEARNING_RATE)),
            self._on_one_batch(),
            self._fit(noise=None),
            self._fit(noise="bernoulli"),
        ]
        self._parts = dict(zip(PARTS, parts, strict=True))

    def block(self, part: str, seconds: float) -> dict:
        """Runs a part for about `seconds` after a warm-up; returns seconds a step and CPU seconds a step."""
        function = self._parts[part]
        for _ in range(2):
            function()
        count, start, cpu = 0, time.perf_counter(), time.process_time()
        while not count or time.perf_counter() < start + seconds:
            function()
            count += STEPS
        return {
            "seconds": (time.perf_counter() - start) / count,
            "cpu_seconds": (time.process_time() - cpu) / count,
        }

    def _model(self):
        vae = build(self._workload)
        set_weights(vae.trainable_variables, initial_weights(self._workload))
        return vae

    @functools.cached_property
    def _batch(self):
        x = tf.constant(self._values[: self._workload.batch_size], tf.float32) / 255.0
        return tf.Variable(tf.cast(x > 0.5, tf.float32))

    def _products(self):
        """Returns the steps of a network without activations, loss and biases, so that only products are left.

        As in training, the products depend on one another and on the weights, which each step changes.
        """
        weights = [tf.constant(weight) for weight in initial_weights(self._workload)[::2]]
        latent_dim, middle = self._workload.latent_dim, self._workload.num_encoder_layers

        @tf.function(jit_compile=True, autograph=False)
        def steps(x, weights):
            def step(i, weights):
                inputs, h, result = [], x, list(weights)
                for number, weight in enumerate(weights):
                    h = h[:, :latent_dim] if number == middle else h
                    inputs.append(h)
                    h = tf.matmul(h, weight)
                for number in reversed(range(len(weights))):
                    change = tf.matmul(inputs[number], h, transpose_a=True)
                    result[number] = weights[number] - 1e-9 * change
                    if number:
                        h = tf.matmul(h, weights[number], transpose_b=True)
                        h = tf.concat([h, h], axis=1) if number == middle else h
                return i + 1, result

            return tf.while_loop(lambda i, _: i < STEPS, step, (tf.constant(0), weights))[1]

        return functools.partial(steps, tf.reshape(self._batch, (-1, DATA_DIM)), weights)

    def _on_one_batch(self, optimizer=None):
        vae = self._model()
        if optimizer is not None:
            vae.compile(optimizer)

        @tf.function(jit_compile=True, autograph=False)
        def steps():
            def step(i):
                vae.train_step((self._batch.value(),))
                return (i + 1,)

            return tf.while_loop(lambda i: i < STEPS, step, (tf.constant(0),))

        return steps

    def _fit(self, noise):
        vae = self._model()
        images = Examples(self._values, divisor=255.0, noise=noise)
        batch_size = self._workload.batch_size
        return Stepwise(
            lambda callbacks: vae.fit(images, batch_size=batch_size, epochs=10**6, verbose=0, callbacks=callbacks)
        ).epoch
