"""A VAE in the style of keras.io's examples: a `keras.Model` with a custom `train_step`, and `fit` on arrays."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks.speed.contestants.base import Trainer
from benchmarks.speed.contestants.stepwise import Stepwise
from benchmarks.speed.workloads import EPSILON, LEARNING_RATE, MIN_SCALE, UNIT, Workload

EVENT_SHAPE = (28, 28, 1)


class Sampling(layers.Layer):
    """Draws z from its mean and scale."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        mean, scale = inputs
        return mean + scale * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


def make_encoder(workload: Workload) -> keras.Model:
    """Returns the functional encoder, x -> mean, scale, z."""
    inputs = keras.Input(EVENT_SHAPE)
    if workload.network == "conv":
        x = layers.Conv2D(32, 3, strides=2, padding="same", activation=workload.activation)(inputs)
        x = layers.Conv2D(64, 3, strides=2, padding="same", activation=workload.activation)(x)
        x = layers.Flatten()(x)
    else:
        x = layers.Flatten()(inputs)
    for units in workload.hidden:
        x = layers.Dense(units, activation=workload.activation)(x)
    parameters = layers.Dense(2 * workload.latent_dim)(x)
    mean = parameters[:, : workload.latent_dim]
    scale = ops.softplus(parameters[:, workload.latent_dim :] + UNIT) + MIN_SCALE
    return keras.Model(inputs, [mean, scale, Sampling()([mean, scale])])


def make_decoder(workload: Workload) -> keras.Model:
    """Returns the functional decoder, z -> probabilities."""
    x = inputs = keras.Input((workload.latent_dim,))
    for units in reversed(workload.hidden):
        x = layers.Dense(units, activation=workload.activation)(x)
    if workload.network == "conv":
        x = layers.Dense(7 * 7 * 64, activation=workload.activation)(x)
        x = layers.Reshape((7, 7, 64))(x)
        x = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation=workload.activation)(x)
        x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation=workload.activation)(x)
        x = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    else:
        x = layers.Reshape(EVENT_SHAPE)(layers.Dense(784, activation="sigmoid")(x))
    return keras.Model(inputs, x)


class VAE(keras.Model):
    """Encoder, decoder and a training step; gray images are binarized anew in each step."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.seed_generator = keras.random.SeedGenerator(1)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in ("loss", "reconstruction_loss", "kl_loss")}

    @property
    def metrics(self):
        return list(self.trackers.values())

    def losses_of(self, x, mean, scale, z):
        """Returns loss, reconstruction error and KL as means over the batch."""
        reconstruction = keras.losses.binary_crossentropy(x, self.decoder(z))
        reconstruction = ops.mean(ops.sum(reconstruction, axis=(1, 2)))
        kl = -0.5 * (1 + 2 * ops.log(scale) - ops.square(mean) - ops.square(scale))
        kl = ops.mean(ops.sum(kl, axis=1))
        return reconstruction + kl, reconstruction, kl

    def train_step(self, data):
        x = ops.cast(keras.random.uniform(ops.shape(data), seed=self.seed_generator) < data, "float32")
        with tf.GradientTape() as tape:
            losses = self.losses_of(x, *self.encoder(x))
        gradients = tape.gradient(losses[0], self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for tracker, value in zip(self.metrics, losses, strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.metrics}


class KerasTrainer(Trainer):
    """The model with the defaults of `compile`."""

    packages = ("keras", "tensorflow", "numpy")
    options: dict = {}

    def build(self):
        self.vae = VAE(make_encoder(self.workload), make_decoder(self.workload))
        for variable, weight in zip(self.vae.trainable_variables, self.weights, strict=True):
            variable.assign(weight)
        self.vae.compile(keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON), **self.options)
        images = self.data.reshape(-1, *EVENT_SHAPE).astype(np.float32) / 255.0
        batch_size = self.workload.batch_size
        self._fit = Stepwise(
            lambda callbacks: self.vae.fit(images, batch_size=batch_size, epochs=10**6, verbose=0, callbacks=callbacks)
        )
        return sum(int(np.prod(variable.shape)) for variable in self.vae.trainable_variables)

    def probe(self, x):
        x = ops.reshape(ops.convert_to_tensor(x), (-1, *EVENT_SHAPE))
        mean, scale, _ = self.vae.encoder(x)
        return self.vae.losses_of(x, mean, scale, mean)[0]

    def epoch(self):
        return self._fit.epoch()


class TunedKerasTrainer(KerasTrainer):
    """The same model with the two arguments of `compile` that make it faster."""

    options = {"jit_compile": True, "steps_per_execution": 50}
