"""The variational autoencoder."""

import math
import random

import keras
import numpy as np
import tensorflow as tf

from keras_vae import checks, objectives
from keras_vae.data.images import Images
from keras_vae.decoder import Decoder
from keras_vae.encoder import Encoder
from keras_vae.fitting import ArrayModel, as_images, has_convolutions
from keras_vae.noise import Noise, Tempered, as_word
from keras_vae.priors import Prior, StandardNormal
from keras_vae.sampling import draw

# Streams of a seed (see noise.py): 0 is sampling, 1 and up are training steps, the upper half is evaluation.
EVALUATION_STREAM = 2**31
# Above this number of decoded samples the importance-weighted bound is compiled by XLA.
MIN_DECODES_FOR_XLA = 200_000


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(ArrayModel):
    """Variational autoencoder: maximises a lower bound of log p(x) (Kingma and Welling, 2013).

        log p(x) >= ELBO = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z))
        loss = -(log p(x|z) - kl_weight * KL),  z = loc + scale * eps

    `fit`, `evaluate`, `predict`, `save` and callbacks are Keras's. Everything is in nats per example; `history` holds
    `loss`, `elbo` (always at weight 1), `log_likelihood`, `kl`, `kl_weight`, and the same with `val_`.

    Args:
      encoder: `Encoder`, x -> q(z|x).
      decoder: `Decoder`, z -> p(x|z).
      prior: `Prior`; None is the standard normal.
      kl_weight: factor on the KL term of the loss, at least 0.
      seed: seed of all noise in training; the same seed gives the same history. None draws one from Python's `random`,
        which `keras.utils.set_random_seed` sets. Initial weights follow the seeds of their initialisers.

    Raises:
      ValueError: if the parts do not fit together.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        prior: Prior | None = None,
        kl_weight: float = 1.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = encoder.posterior.latent_dim
        self.prior = StandardNormal(self.latent_dim) if prior is None else prior
        if self.prior.latent_dim != self.latent_dim:
            raise ValueError(
                f"`prior` must have the latent_dim of the posterior, {self.latent_dim}. "
                f"Received: prior with latent_dim={self.prior.latent_dim}"
            )
        self.event_shape = decoder.likelihood.event_shape
        self.kl_weight = checks.nonnegative_float("kl_weight", kl_weight)
        self.seed = random.getrandbits(31) if seed is None else seed
        as_word(self.seed)  # raises on a seed that noise cannot take
        self._trackers = [keras.metrics.Mean(name=name) for name in ("elbo", "log_likelihood", "kl", "kl_weight")]
        self._test_steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._bounds_functions = {}
        self.build()

    def build(self, input_shape=None):
        """Builds all parts; their shapes are known from the heads."""
        if not self.built:
            for part, shape in (
                (self.encoder, (None, *self.event_shape)),
                (self.decoder, (None, self.latent_dim)),
                (self.prior, None),
            ):
                if not part.built:
                    part.build(shape)
            self.built = True

    def call(self, x, training=None):
        """Returns the reconstruction: the mean of p(x|z) at the mean of q(z|x), `(batch, *event_shape)`."""
        return self.decoder(self.encoder(x, training=training).mean(), training=training).mean()

    # Training.

    def train_step(self, data):
        x, _, weight = keras.utils.unpack_x_y_sample_weight(data)
        noise = Noise(self._replica_seed(), stream=self.optimizer.iterations + 1)
        with tf.GradientTape() as tape:
            loss, update = self._loss(x, weight, noise, training=True)
            # The optimiser sums gradients over replicas.
            scaled = self.optimizer.scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        update()
        return self.get_metrics_result()

    def test_step(self, data):
        x, _, weight = keras.utils.unpack_x_y_sample_weight(data)
        noise = Noise(self._replica_seed(), stream=EVALUATION_STREAM + self._test_steps)
        self._test_steps.assign_add(1)
        _, update = self._loss(x, weight, noise, training=False)
        update()
        return self.get_metrics_result()

    def reset_metrics(self):
        super().reset_metrics()
        # Each evaluation starts with the same noise: two of the same model give the same number.
        self._test_steps.assign(0)

    def adapt(self, data) -> None:
        """Starts the model from the mean of the training data: centres the encoder's input, sets the output bias.

        Optional, before `fit`; like Keras's preprocessing layers. Arguments as the `x` of `fit`.
        """
        images = self._checked(data)
        self.encoder.adapt(images.mean())
        self.decoder.likelihood.adapt(images.mean())

    def check_data(self, images: Images) -> None:
        """Raises `ValueError` if `images` have the wrong shape or values that the likelihood cannot take."""
        if images.event_shape != self.event_shape:
            raise ValueError(
                f"`x` must have shape (batch, {', '.join(map(str, self.event_shape))}). "
                f"Received: x with shape {images.values.shape}"
            )
        self.decoder.likelihood.validate(images.limits())

    def _replica_seed(self):
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return self.seed
        return as_word(self.seed) + tf.cast(replica.replica_id_in_sync_group, tf.uint32) * tf.constant(
            0x9E3779B9, tf.uint32
        )

    def _loss(self, x, weight, noise, training):
        """Returns the loss, and a function that updates the metrics (outside the gradient tape)."""
        posterior, prior = self.encoder(x, training=training), self.prior()
        z = draw(posterior, noise)
        log_likelihood = self.decoder(z, training=training).log_prob(tf.cast(x, tf.float32))
        kl = objectives.kl_divergence(posterior, prior, z)
        weight = tf.ones_like(kl) if weight is None else tf.cast(weight, kl.dtype)
        total = tf.reduce_sum(weight)

        def mean(values):
            return tf.math.divide_no_nan(tf.reduce_sum(weight * values), total)

        loss = -mean(objectives.elbo(log_likelihood, kl, self.kl_weight))
        if self.losses:
            loss += tf.add_n(self.losses)

        def update():
            self._loss_tracker.update_state(loss, sample_weight=total)
            values = (objectives.elbo(log_likelihood, kl), log_likelihood, kl, self.kl_weight * tf.ones_like(kl))
            for tracker, value in zip(self._trackers, values, strict=True):
                tracker.update_state(mean(value), sample_weight=total)

        return loss, update

    # Use.

    @property
    def kl_method(self) -> str:
        """ "analytic" or "monte_carlo": how the KL term is computed."""
        return objectives.kl_method(self.encode(tf.zeros((1, *self.event_shape))), self.prior())

    def encode(self, x):
        """Returns q(z|x) for x `(batch, *event_shape)`; `.mean()` and `.stddev()` are `(batch, latent_dim)`."""
        return self.encoder(tf.convert_to_tensor(x), training=False)

    def decode(self, z):
        """Returns p(x|z) for z `(batch, latent_dim)`."""
        return self.decoder(tf.convert_to_tensor(z), training=False)

    def reconstruct(self, x) -> tf.Tensor:
        """Returns the mean of p(x|z) at the mean of q(z|x), `(batch, *event_shape)`."""
        return self(tf.convert_to_tensor(x), training=False)

    def sample(self, num_samples: int = 1, seed=None, temperature=1.0, output: str = "mean") -> tf.Tensor:
        """Draws z from the prior and decodes it.

        The same seed gives the same pictures here, in the exported SavedModel and in the exported TFLite file, and
        picture i does not depend on `num_samples`.

        Args:
          num_samples: how many, a positive integer.
          seed: integer in [-2^31, 2^32), or a scalar integer tensor. None draws one from Python's `random`.
          temperature: factor on the noise of the prior, at least 0; below 1 gives more typical pictures.
          output: "mean" for the mean of p(x|z), "sample" for a draw from it.

        Returns:
          Tensor of shape `(num_samples, *event_shape)`.
        """
        z, noise = self.sample_latent(num_samples, seed, temperature)
        likelihood = self.decode(z)
        if checks.one_of("output", output, ("mean", "sample")) == "mean":
            return likelihood.mean()
        return draw(likelihood, noise)

    def sample_latent(self, num_samples: int = 1, seed=None, temperature=1.0):
        """Draws z `(num_samples, latent_dim)` from the prior; returns z, and the noise that follows it."""
        checks.positive_int("num_samples", num_samples)
        if not tf.is_tensor(temperature):
            checks.nonnegative_float("temperature", temperature)
        noise = Noise(random.getrandbits(32) if seed is None else seed)
        return draw(self.prior(), Tempered(noise, temperature), (num_samples,)), noise

    # Measurement.

    def log_prob(self, x, num_samples: int = 500, seed: int = 0) -> np.ndarray:
        """Importance-weighted estimate of log p(x) for each example, in nats.

            log p(x) >= E[ log 1/K sum_k p(x, z_k) / q(z_k|x) ],  z_k ~ q(z|x)

        Burda, Grosse and Salakhutdinov (2016), equation 8. The bound grows with K and is tight as K goes to infinity.

        Args:
          x: array `(count, *event_shape)` or `keras_vae.data.Images`.
          num_samples: K, a positive integer.
          seed: seed of the noise.

        Returns:
          Array of shape `(count,)`.
        """
        return self.bounds(x, num_samples, seed)[1]

    def bounds(self, x, num_samples: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ELBO (the mean log weight) and the bound of `log_prob` of each example, from one set of samples.

        Arguments as in `log_prob`; two arrays of shape `(count,)` in nats.
        """
        checks.positive_int("num_samples", num_samples)
        images = as_images(x)
        self.check_data(images)
        values = images.numpy(seed)
        batch_size = min(100, len(values))
        chunk = max(d for d in range(1, min(num_samples, 10) + 1) if num_samples % d == 0)
        jit_compile = len(values) * num_samples >= MIN_DECODES_FOR_XLA and not has_convolutions(self)
        compute = self._bounds_function(jit_compile)
        results = []
        for number, start in enumerate(range(0, len(values), batch_size)):
            batch = values[start : start + batch_size]
            padding = [(0, batch_size - len(batch))] + [(0, 0)] * len(self.event_shape)
            elbo, bound = compute(
                tf.constant(np.pad(batch, padding)), as_word(seed), tf.constant(number), num_samples // chunk, chunk
            )
            results.append((elbo.numpy()[: len(batch)], bound.numpy()[: len(batch)]))
        elbos, bounds = zip(*results, strict=True)
        return np.concatenate(elbos), np.concatenate(bounds)

    def _bounds_function(self, jit_compile):
        if jit_compile not in self._bounds_functions:
            self._bounds_functions[jit_compile] = tf.function(self._bounds, jit_compile=jit_compile, autograph=False)
        return self._bounds_functions[jit_compile]

    def _bounds(self, x, seed, batch_number, num_chunks, chunk):
        posterior, prior = self.encoder(x, training=False), self.prior()
        tiled = tf.tile(x, [chunk] + [1] * len(self.event_shape))

        def step(i, mean, log_sum):
            stream = EVALUATION_STREAM + tf.cast(batch_number, tf.int64) * num_chunks + tf.cast(i, tf.int64)
            z = draw(posterior, Noise(seed, stream), (chunk,))
            flat = tf.reshape(z, (-1, self.latent_dim))
            log_likelihood = tf.reshape(self.decoder(flat, training=False).log_prob(tiled), (chunk, -1))
            log_weight = objectives.log_weight(log_likelihood, posterior, prior, z)
            mean += tf.reduce_sum(log_weight, axis=0) / (num_chunks * chunk)
            return i + 1, mean, tf.reduce_logsumexp(tf.concat([log_weight, log_sum[None]], 0), axis=0)

        start = (tf.constant(0), tf.zeros(x.shape[0]), tf.fill((x.shape[0],), -math.inf))
        _, mean, log_sum = tf.while_loop(lambda i, *_: i < num_chunks, step, start)
        return mean, log_sum - math.log(num_chunks * chunk)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        parts = {name: serialize(getattr(self, name)) for name in ("encoder", "decoder", "prior")}
        return {**super().get_config(), **parts, "kl_weight": self.kl_weight, "seed": self.seed}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        deserialize = keras.saving.deserialize_keras_object
        parts = {name: deserialize(config[name], custom_objects) for name in ("encoder", "decoder", "prior")}
        return cls(**{**config, **parts})
