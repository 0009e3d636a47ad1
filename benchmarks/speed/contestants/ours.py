"""keras_vae as in its README: `Examples`, `compile(Adam)`, `fit`, `log_prob`."""

import time

import keras
import numpy as np
import tensorflow as tf

import keras_vae as kv
from benchmarks.speed.contestants.base import Trainer
from benchmarks.speed.contestants.stepwise import Stepwise
from benchmarks.speed.workloads import BLOCKS, EPSILON, FILTERS, LEARNING_RATE, Workload
from keras_vae.data.examples import Examples

EVENT_SHAPE = (28, 28, 1)


def build(workload: Workload, event_shape=EVENT_SHAPE, objective=None) -> kv.VAE:
    """Returns the model of a workload, compiled."""
    activation = workload.activation
    if workload.network == "conv":
        trunks = (
            kv.networks.conv_encoder(units=workload.hidden[0], activation=activation),
            kv.networks.conv_decoder(event_shape, units=workload.hidden[0], activation=activation),
        )
    else:
        trunks = [kv.networks.mlp(widths, activation) for widths in (workload.hidden, workload.hidden[::-1])]
    likelihood: kv.likelihoods.Likelihood = kv.likelihoods.Bernoulli(event_shape)
    if workload.network == "causal":
        causal = kv.networks.CausalConv(FILTERS, BLOCKS, activation=activation)
        likelihood = kv.likelihoods.Autoregressive(likelihood, causal)
    vae = kv.VAE(
        kv.Encoder(trunks[0], kv.posteriors.DiagonalGaussian(workload.latent_dim)),
        kv.Decoder(trunks[1], likelihood),
        objective=objective,
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON))
    return vae


def set_weights(variables, weights) -> None:
    """Assigns weights in order."""
    for variable, weight in zip(variables, weights, strict=True):
        variable.assign(weight)


class OurTrainer(Trainer):
    """Trains with `vae.fit` on `Examples` with dynamic binarization."""

    packages = ("keras", "tensorflow", "tensorflow-probability", "numpy")

    def build(self):
        self.vae = build(self.workload)
        set_weights(self.vae.trainable_variables, self.weights)
        images = Examples(self.data.reshape(-1, *EVENT_SHAPE), divisor=255.0, noise="bernoulli")
        batch_size = self.workload.batch_size
        self._fit = Stepwise(
            lambda callbacks: self.vae.fit(images, batch_size=batch_size, epochs=10**6, verbose=0, callbacks=callbacks)
        )
        return sum(int(np.prod(variable.shape)) for variable in self.vae.trainable_variables)

    def probe(self, x):
        x = tf.reshape(tf.constant(x), (-1, *EVENT_SHAPE))
        posterior = self.vae.encode(x)
        kl = posterior.kl_divergence(self.vae.prior_distribution())
        return -tf.reduce_mean(self.vae.decode(posterior.mean()).log_prob(x) - kl)

    def epoch(self):
        return self._fit.epoch()

    def save_weights(self, path: str) -> None:
        """Writes the current weights."""
        np.savez(path, *(variable.numpy() for variable in self.vae.trainable_variables))


class OurEvaluator:
    """Evaluates with `vae.log_prob`, the importance-weighted log likelihood.

    Args:
      workload: fields of a `Workload`.
      data: path of an .npy file with binary images `(count, 784)`.
      weights: path of an .npz file with the weights.
      cores: not used, because TensorFlow takes all cores.
    """

    packages = OurTrainer.packages

    def __init__(self, workload: dict, data: str, weights: str, cores: int):
        self.vae = build(Workload(**workload))
        self.x = np.load(data).reshape(-1, *EVENT_SHAPE).astype(np.float32)
        with np.load(weights) as arrays:
            set_weights(self.vae.trainable_variables, [arrays[name] for name in arrays.files])

    def block(self, num_samples: int, count: int) -> dict:
        """Estimates log p(x) of `count` images; returns seconds, CPU seconds and the estimates."""
        start, cpu = time.perf_counter(), time.process_time()
        values = self.vae.log_prob(self.x[:count], num_samples=num_samples)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, "decodes": count * num_samples, "values": values.tolist()}
