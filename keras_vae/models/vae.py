"""The variational autoencoder."""

import math
import random
from typing import Any, Literal, Self

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_probability import distributions as tfd

from keras_vae import objectives
from keras_vae.data.containers import as_tensor
from keras_vae.data.images import Images
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise, Tempered
from keras_vae.distributions.sampling import center, draw
from keras_vae.engine import strategies
from keras_vae.engine.array_model import ArrayModel
from keras_vae.engine.block_steps import returns_metrics
from keras_vae.engine.conditions import as_condition, check_condition, for_samples
from keras_vae.engine.finite import weights_are_finite
from keras_vae.engine.frozen_layers import freeze_new_layers, frozen_layers, set_frozen_layers
from keras_vae.engine.inputs import as_images, checked_images
from keras_vae.engine.keras_compat import layers_of, loss_tracker
from keras_vae.engine.keras_files import KerasFiles
from keras_vae.engine.streams import is_stream
from keras_vae.models.decoder import Decoder
from keras_vae.models.encoder import Encoder
from keras_vae.models.importance import ImportanceSampler
from keras_vae.models.settings import Settings
from keras_vae.objectives.objective import LatentBatch, Objective
from keras_vae.objectives.schedules import Schedule
from keras_vae.posteriors import Deterministic, Flow
from keras_vae.priors import Prior, StandardNormal
from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, NoiseSeed, NonNegativeFloat, NumberOrArray, PositiveInt, checked
from keras_vae.utils.environment import check_precision


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(Settings, KerasFiles, ArrayModel):
    """Variational autoencoder: maximises a lower bound of log p(x) (Kingma and Welling, 2013).

        log p(x) >= ELBO = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z))
        loss = -(log p(x|z) - kl_weight * KL),  z = loc + scale * eps

    `fit`, `evaluate`, `predict`, `save` and callbacks are Keras's. Everything is in nats per example; `history` holds
    `loss`, `elbo` (always at weight 1), `log_likelihood`, `kl`, `kl_weight`, and the same with `val_`.

    An encoder and a decoder with a `condition_dim` make a conditional VAE: `fit(x, y)` with y class numbers `(count,)`
    or vectors `(count, condition_dim)`, and `condition=` in the other methods.

    Args:
      encoder: `Encoder`, x -> q(z|x).
      decoder: `Decoder`, z -> p(x|z).
      prior: `Prior`; None is the standard normal.
      objective: `keras_vae.objectives.Objective`, what training maximises; None is the ELBO.
      kl_weight: factor on the KL term of the loss, a number of at least 0 or a `Schedule` over training steps, which
        are counted in `train_steps` from the first step of the model on, whatever is compiled in between.
      seed: seed of all noise in training; from the same initial weights, which follow the seeds of their initialisers,
        the same seed gives the same history. None draws one from Python's `random`, which
        `keras.utils.set_random_seed` sets, as it does those of the initialisers.

    `objective`, `kl_weight` and `seed` may be set later, in a callback too, and hold from the next step on.

    Raises:
      ValueError: if the parts do not fit together.
    """

    @checked
    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        prior: Prior | None = None,
        objective: Objective | None = None,
        kl_weight: NonNegativeFloat | Schedule = 1.0,
        seed: NoiseSeed | None = None,
        **kwargs: Any,
    ) -> None:
        check_precision()
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = encoder.posterior.latent_dim
        self.condition_dim = encoder.condition_dim
        self.event_shape = decoder.likelihood.event_shape
        self.prior = StandardNormal(self.latent_dim) if prior is None else prior
        self.objective = objectives.ELBO() if objective is None else objective
        self.kl_weight = kl_weight
        self.seed = random.getrandbits(31) if seed is None else seed
        self._trackers = [keras.metrics.Mean(name=name) for name in ("elbo", "log_likelihood", "kl", "kl_weight")]
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self._test_steps = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=first)
        self._importance = ImportanceSampler(self)
        self._build_parts()

    def _check_parts(self, objective):
        if self.prior.latent_dim != self.latent_dim:
            raise ValueError(
                f"`prior` must have the latent_dim of the posterior, {self.latent_dim}. "
                f"Received: prior with latent_dim={self.prior.latent_dim}"
            )
        if self.decoder.condition_dim != self.condition_dim:
            raise ValueError(
                f"`decoder` must have the condition_dim of the encoder, {self.condition_dim}. "
                f"Received: decoder with condition_dim={self.decoder.condition_dim}"
            )
        if isinstance(self.encoder.posterior, Deterministic) and not isinstance(objective, objectives.Reconstruction):
            raise ValueError(
                "`objective` must be Reconstruction for a Deterministic posterior, which has no density and so no KL. "
                f"Received: {type(objective).__name__}"
            )
        plain = self.condition_dim is None and not isinstance(self.encoder.posterior, Flow)
        if self.prior.needs_encoder and not plain:
            raise ValueError(
                "`prior` must not be made of the encoder in a conditional model or with a flow posterior. "
                f"Received: {type(self.prior).__name__}"
            )

    def _build_parts(self):
        known = set(layers_of(self))
        for part, shape in (
            (self.encoder, (None, *self.event_shape)),
            (self.decoder, (None, self.latent_dim)),
            (self.prior, None),
        ):
            if not part.built:
                part.build(shape)
        freeze_new_layers(self, known)
        # Not by way of `build`, after which a subclass could add no layer of its own.
        self.built = True

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        condition: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns the reconstruction: the mean of p(x|z) at the centre of q(z|x), `(batch, *event_shape)`."""
        if isinstance(x, tuple | list):
            x, condition = x
        condition = self.as_condition(condition)
        z = center(self.encoder(x, condition, training=training))
        return self.decoder(z, condition, training=training).mean()

    # Training.

    @returns_metrics
    def train_step(self, data: tuple) -> dict[str, tf.Tensor]:
        noise = Noise(self.seed, self.train_steps + 1, strategies.replica())
        if strategies.replica()[1] > 1 and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # It looks for infinities in the gradients of one replica alone.
            raise ValueError(
                "`optimizer` must not scale the loss under several replicas: use mixed_bfloat16, not float16"
            )
        with tf.GradientTape() as tape:
            # A share of the loss: the optimiser sums gradients over replicas.
            loss, update = self._loss(data, noise, training=True)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self._apply(tape.gradient(scaled, variables), variables)
        self.train_steps.assign_add(1)
        update()
        return self.get_metrics_result()

    def _apply(self, gradients, variables):
        """Lets the optimizer move the variables, but for those whose best value has a closed form."""
        of_variable = {id(v): g for v, g in zip(variables, gradients, strict=True)}

        def gradient_of(variable):
            gradient = of_variable.get(id(variable))
            return None if gradient is None else strategies.over_replicas(gradient / self.optimizer.scale_loss(1.0))

        settled = self.decoder.likelihood.closed_form(gradient_of)
        self.optimizer.apply(gradients, variables)
        for variable, value in settled:
            variable.assign(value)

    @returns_metrics
    def test_step(self, data: tuple) -> dict[str, tf.Tensor]:
        noise = Noise(self.seed, EVALUATION_STREAM + self._test_steps, strategies.replica())
        self._test_steps.assign_add(1)
        _, update = self._loss(data, noise, training=False)
        update()
        return self.get_metrics_result()

    def predict_step(self, data: tuple) -> tf.Tensor:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self(x, y if self.condition_dim is not None else None, training=False)

    def reset_metrics(self) -> None:
        super().reset_metrics()
        # Each evaluation starts with the same noise: two of the same model give the same number.
        self._test_steps.assign(0)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        history = super().fit(*args, **kwargs)
        self._log_divergence(history)
        steps = int(keras.ops.convert_to_numpy(self.train_steps))
        for name, schedule in (("kl_weight", self.kl_weight), ("capacity", getattr(self.objective, "capacity", None))):
            if schedule is not None and steps < schedule.num_steps:
                message = "%s ends its warm-up after %d steps, but training ended after %d, at %s=%.3g"
                logging.warning(message, name, schedule.num_steps, steps, name, float(schedule(steps)))
        return history

    def _log_divergence(self, history):
        """Logs an error if training has left numbers behind that are not finite, which Keras passes over in silence."""
        losses = history.history.get("loss", [])
        first = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        sound = weights_are_finite(self)
        if sound and (first is None or self.stop_training):  # a NaNGuard has stopped, said so and taken weights back
            return
        values = {} if first is None else {name: column[first] for name, column in history.history.items()}
        terms = [f"{name}={values[name]:g}" for name in ("loss", "log_likelihood", "kl") if name in values]
        logging.error(
            "training diverged: %s, and the weights are %s. Rescale data of large values, or lower the learning rate; "
            "keras_vae.callbacks.NaNGuard stops in time and takes the last good state back",
            f"from epoch {history.epoch[first] + 1} on {', '.join(terms)}" if terms else "the loss is finite",
            "finite" if sound else "not finite",
        )

    @checked
    def adapt(self, data: Images | ArrayLike) -> None:
        """Starts the model from the training data: the encoder's input, output bias, learned scales, pseudo-inputs.

        Optional, before `fit`; like Keras's preprocessing layers. `data` is an array or `keras_vae.data.Images`.
        """
        if is_stream(data):
            raise ValueError(f"`data` must be an array or `Images`. Received: {type(data).__name__}")
        images = as_images(data, names=("data", "y"))
        self._check_values(images)
        self.encoder.adapt(images.mean())
        likelihood = self.decoder.likelihood
        likelihood.adapt(images.mean(), *([images.deviation()] if likelihood.learns_scale else []))
        self.prior.adapt(images)

    def check_data(self, images: Images, name: str = "y") -> None:
        """Raises `ValueError` for a wrong shape, values that the likelihood cannot take, or a wrong condition."""
        self._check_values(images)
        if self.condition_dim is not None:
            if images.labels is None:
                raise ValueError(
                    f"`{name}` must hold the condition of each example: the model is conditional. Received: none"
                )
            check_condition(name, images.labels, self.condition_dim)

    def _check_values(self, images):
        if images.event_shape != self.event_shape:
            raise ValueError(
                f"`x` must have shape (batch, {', '.join(map(str, self.event_shape))}). "
                f"Received: x with shape {images.values.shape}"
            )
        likelihood = self.decoder.likelihood
        likelihood.validate(images.numpy() if likelihood.validates_each_value else images.limits())

    def as_condition(self, condition: Any) -> tf.Tensor | None:
        """Returns a condition as float `(batch, condition_dim)`: class numbers `(batch,)` become one-hot."""
        return as_condition(condition, self.condition_dim)

    def encode_batch(
        self,
        x: tf.Tensor,
        condition: tf.Tensor | None = None,
        noise: Any = None,
        training: bool = False,
        weight: tf.Tensor | None = None,
        step: tf.Tensor | int = 0,
    ) -> LatentBatch:
        """Encodes a batch; returns what an objective draws from and decodes with. `condition` is float."""
        x = tf.cast(x, tf.float32)
        # The prior first: a VampPrior calls the encoder, and what Keras keeps of a call is to be of the data's.
        prior = self.prior(self.encoder)
        posterior = self.encoder(x, condition, training=training)

        def log_likelihood(z):
            copies = z.shape[0] if z.shape.rank == 3 else 1
            tiled = [None if t is None else _repeated(t, copies) for t in (x, condition)]
            flat = tf.reshape(z, (-1, self.latent_dim))
            values = self.decoder(flat, tiled[1], training=training).log_prob(tiled[0])
            return tf.reshape(values, (copies, -1)) if z.shape.rank == 3 else values

        return LatentBatch(posterior, prior, noise, log_likelihood, weight, step)

    def _loss(self, data, noise, training):
        """Returns this replica's share of the loss, and a function that updates the metrics (outside the tape)."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        condition = self.as_condition(y) if self.condition_dim is not None else None
        step = self.train_steps
        weight = tf.ones(tf.shape(x)[:1]) if weight is None else tf.cast(weight, tf.float32)
        batch = self.encode_batch(x, condition, noise, training, weight, step)
        kl_weight = self.kl_weight_at(step)
        terms = self.objective(batch, kl_weight)
        loss = -batch.share(terms.objective)
        if self.losses:
            loss += tf.add_n(self.losses) / strategies.replica()[1]

        def update():
            # From the first step with a loss that is not finite the metrics stand still: they tell which term it was.
            sound = tf.math.is_finite(tf.convert_to_tensor(loss_tracker(self).total))
            total = tf.where(sound, batch.total_weight, 0.0)
            elbo = objectives.elbo(terms.log_likelihood, terms.kl)
            shares = [batch.share(value) for value in (elbo, terms.log_likelihood, terms.kl)]
            values = [*tf.unstack(strategies.over_replicas(tf.stack([loss, *shares]))), kl_weight]
            for tracker, value in zip([loss_tracker(self), *self._trackers], values, strict=True):
                tracker.update_state(tf.where(sound, value, 0.0), sample_weight=total)

        return loss, update

    # Use.

    def _as_tensor(self, x):
        x = tf.cast(as_tensor("x", x.numpy() if isinstance(x, Images) else x), tf.float32)
        if x.shape[1:] != self.event_shape:
            raise ValueError(
                f"`x` must have shape (batch, {', '.join(map(str, self.event_shape))}). Received: {tuple(x.shape)}"
            )
        return x

    @property
    def kl_method(self) -> str:
        """ "analytic", "monte_carlo" or "none": how the KL in the objective is computed."""
        condition = None if self.condition_dim is None else tf.zeros((1, self.condition_dim))
        return self.objective.kl_method(
            self.encode(tf.zeros((1, *self.event_shape)), condition), self.prior(self.encoder)
        )

    @checked
    def encode(self, x: Images | ArrayLike, condition: ArrayLike | None = None) -> tfd.Distribution:
        """Returns q(z|x) for x `(batch, *event_shape)`, a distribution over `(latent_dim,)`."""
        return self.encoder(self._as_tensor(x), self.as_condition(condition), training=False)

    @checked
    def decode(self, z: ArrayLike, condition: ArrayLike | None = None) -> tfd.Distribution:
        """Returns p(x|z) for z `(batch, latent_dim)`."""
        z = tf.convert_to_tensor(z)
        if z.shape.rank != 2 or z.shape[-1] != self.latent_dim:
            raise ValueError(f"`z` must have shape (batch, {self.latent_dim}). Received: z with shape {tuple(z.shape)}")
        return self.decoder(tf.cast(z, tf.float32), self.as_condition(condition), training=False)

    @checked
    def reconstruct(self, x: Images | ArrayLike, condition: ArrayLike | None = None) -> tf.Tensor:
        """Returns the mean of p(x|z) at the centre of q(z|x), `(batch, *event_shape)`."""
        return self(self._as_tensor(x), condition, training=False)

    @checked
    def sample(
        self,
        num_samples: PositiveInt = 1,
        seed: NoiseSeed | tf.Tensor | tf.Variable | None = None,
        temperature: NonNegativeFloat | tf.Tensor | tf.Variable = 1.0,
        output: Literal["mean", "sample"] = "mean",
        condition: NumberOrArray | None = None,
    ) -> tf.Tensor:
        """Draws z from the prior and decodes it.

        The same seed gives the same pictures here, in the exported SavedModel and in the exported TFLite file, and
        picture i does not depend on `num_samples`.

        Args:
          num_samples: how many, a positive integer.
          seed: integer in [-2^31, 2^32), or a scalar integer tensor. None draws one from Python's `random`.
          temperature: factor on the noise of the prior, at least 0; below 1 gives more typical pictures. What it is
            for each prior says `keras_vae.priors.Prior`.
          output: "mean" for the mean of p(x|z), "sample" for a draw from it.
          condition: of a conditional model: one class number or vector for all, or `num_samples` of them.

        Returns:
          Tensor of shape `(num_samples, *event_shape)`.
        """
        z, noise = self.sample_latent(num_samples, seed, temperature)
        likelihood = self.decode(z, for_samples(condition, num_samples))
        return likelihood.mean() if output == "mean" else draw(likelihood, noise)

    @checked
    def sample_latent(
        self,
        num_samples: PositiveInt = 1,
        seed: NoiseSeed | tf.Tensor | tf.Variable | None = None,
        temperature: NonNegativeFloat | tf.Tensor | tf.Variable = 1.0,
    ) -> tuple[tf.Tensor, Any]:
        """Draws z `(num_samples, latent_dim)` from the prior; returns z, and the noise that follows it."""
        checks.positive_int("num_samples", num_samples)
        if not tf.is_tensor(temperature):
            checks.nonnegative_float("temperature", temperature)
        noise = Noise(random.getrandbits(32) if seed is None else seed)
        return draw(self.prior(self.encoder), Tempered(noise, temperature), (num_samples,)), noise

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Raises `ValueError`: the heads compute densities in float32, and a file could not say that they do not.

        The exported files have variants with int8 weights, each measured in nats.
        """
        raise ValueError(
            "`quantize` must not be called on a VAE: export its int8 variants instead, "
            f"`python -m export RUN_DIR --variants=int8`. Received: mode={mode!r}"
        )

    # Measurement.

    @checked
    def log_prob(
        self,
        x: Images | ArrayLike,
        num_samples: PositiveInt = 500,
        seed: NoiseSeed = 0,
        condition: ArrayLike | None = None,
    ) -> np.ndarray:
        """Importance-weighted estimate of log p(x) for each example, in nats.

            log p(x) >= E[ log 1/K sum_k p(x, z_k) / q(z_k|x) ],  z_k ~ q(z|x)

        Burda, Grosse and Salakhutdinov (2016), equation 8. The bound grows with K and is tight as K goes to infinity.

        Args:
          x: array `(count, *event_shape)` or `keras_vae.data.Images`.
          num_samples: K, a positive integer.
          seed: seed of the noise.
          condition: of a conditional model, one for each example; for `Images` their labels.

        Returns:
          Array of shape `(count,)`.
        """
        return self.bounds(x, num_samples, seed, condition)[1]

    @checked
    def bounds(
        self,
        x: Images | ArrayLike,
        num_samples: PositiveInt = 500,
        seed: NoiseSeed = 0,
        condition: ArrayLike | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ELBO (the mean log weight) and the bound of `log_prob` of each example, from one set of samples.

        Arguments as in `log_prob`; two arrays of shape `(count,)` in nats.
        """
        if isinstance(self.encoder.posterior, Deterministic):
            raise ValueError("`posterior` must have a density for a bound of log p(x). Received: Deterministic")
        if condition is not None:
            self.as_condition(condition)
        return self._importance.bounds(checked_images(self, x, condition, name="condition"), num_samples, seed)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        parts = {name: serialize(getattr(self, name)) for name in self._PARTS}
        # Keras keeps the state of the layers that have a configuration of their own, not of those that these make.
        frozen = {"frozen_layers": indices} if (indices := frozen_layers(self)) else {}
        return {**super().get_config(), **parts, "seed": self.seed, **frozen}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        deserialize = keras.saving.deserialize_keras_object
        parts = {name: deserialize(config[name], custom_objects) for name in cls._PARTS}
        others = dict(config)
        frozen = others.pop("frozen_layers", None)
        vae = cls(**{**others, **parts})
        if frozen is not None:
            set_frozen_layers(vae, frozen)
        return vae

    _PARTS = ("encoder", "decoder", "prior", "objective", "kl_weight")


def _repeated(tensor: Any, copies: int) -> Any:
    # Along an axis of its own: at a free batch size TFLite's converter takes a tile of the batch for a broadcast.
    tiled = tf.tile(tensor[None], [copies] + [1] * tensor.shape.rank)
    return tf.reshape(tiled, (-1, *tensor.shape[1:]))
