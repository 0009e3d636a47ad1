"""`VAE`, the variational autoencoder."""

import math
import random
from typing import Any, Literal, Self

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_vae import objectives
from keras_vae.data.examples import Examples
from keras_vae.data.tokenizer import Tokenizer
from keras_vae.distributions.sampling import center
from keras_vae.engine.conditions import as_condition, check_condition
from keras_vae.engine.finite import weights_are_finite
from keras_vae.engine.frozen_layers import freeze_new_layers, frozen_layers, set_frozen_layers
from keras_vae.engine.inputs import check_event_shape, data_examples, presented
from keras_vae.engine.keras_compat import layers_of
from keras_vae.engine.keras_files import KerasFiles
from keras_vae.engine.streams import is_stream
from keras_vae.models.decoder import Decoder
from keras_vae.models.encoder import Encoder
from keras_vae.models.importance import ImportanceSampler
from keras_vae.models.inference import Inference
from keras_vae.models.settings import Settings
from keras_vae.models.steps import Steps
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.schedules import Schedule
from keras_vae.priors import Prior, StandardNormal
from keras_vae.utils.arguments import ArrayLike, NoiseSeed, NonNegativeFloat, Texts, checked
from keras_vae.utils.environment import check_precision


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(Settings, Inference, KerasFiles, Steps):
    """Variational autoencoder: maximizes a lower bound of log p(x) (Kingma and Welling, 2013).

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
      objective: `keras_vae.objectives.Objective`, which training maximizes; None is the ELBO.
      kl_weight: factor on the KL term of the loss, a number of at least 0 or a `Schedule` over training steps. The
        steps are counted in `train_steps` from the first step of the model on, even if it is compiled anew.
      seed: seed of all noise in training. With the same initial weights the same seed gives the same history. None
        draws a seed from Python's `random`; `keras.utils.set_random_seed` sets that, and the seeds of initializers.

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
        self.latent_shape = encoder.posterior.latent_shape
        self.latent_dim = encoder.posterior.latent_dim
        self.condition_dim = encoder.condition_dim
        self.event_shape = decoder.likelihood.event_shape
        encoder.event_dtype = self.event_dtype
        self.prior = StandardNormal(self.latent_shape) if prior is None else prior
        self._trackers = {}
        self.objective = objectives.ELBO() if objective is None else objective
        self.kl_weight = kl_weight
        self.seed = random.getrandbits(31) if seed is None else seed
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self._test_steps = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=first)
        self._importance = ImportanceSampler(self)
        self._build_parts()

    @property
    def event_dtype(self) -> Literal["float32", "int32"]:
        """The type of x, to which the model casts what it is given: the one that the likelihood takes."""
        return self.decoder.likelihood.event_dtype

    @property
    def tokenizer(self) -> Tokenizer | None:
        """What turns texts into x and back, that of the likelihood; None in a model of other data."""
        return self.decoder.likelihood.tokenizer

    def _check_parts(self, objective):
        if self.prior.latent_shape != self.latent_shape:
            raise ValueError(
                f"`prior` must have the latent_shape of the posterior, {self.latent_shape}. "
                f"Received: prior with latent_shape={self.prior.latent_shape}"
            )
        seen = self.decoder.latent_dim
        if seen is not None and (len(self.latent_shape) > 1 or seen > self.latent_dim):
            raise ValueError(
                f"`decoder` must have a latent_dim only for a z that is a vector, and at most its {self.latent_dim} "
                f"dimensions. Received: latent_dim={seen} for z of shape {self.latent_shape}"
            )
        if self.decoder.condition_dim != self.condition_dim:
            raise ValueError(
                f"`decoder` must have the condition_dim of the encoder, {self.condition_dim}. "
                f"Received: decoder with condition_dim={self.decoder.condition_dim}"
            )
        posterior = self.encoder.posterior
        if objective.needs_density and not posterior.has_density:
            raise ValueError(
                f"`objective` must be Reconstruction for a {type(posterior).__name__} posterior, which has no density "
                f"and so no KL. Received: {type(objective).__name__}"
            )
        if self.prior.condition_dim not in (None, self.condition_dim):
            raise ValueError(
                f"`prior` must have the condition_dim of the encoder, {self.condition_dim}, or none. "
                f"Received: prior with condition_dim={self.prior.condition_dim}"
            )
        plain = self.condition_dim is None and posterior.has_density_at_other_codes
        takes_integers = self.event_dtype == "int32"
        if self.prior.needs_encoder and (takes_integers or not plain):
            raise ValueError(
                "`prior` must not be made of the encoder in a conditional model, with a flow posterior or for a "
                f"likelihood of integers. Received: {type(self.prior).__name__}"
            )
        if self.condition_dim is not None and takes_integers:
            raise ValueError(
                f"`condition_dim` must be None for a likelihood of integers: the encoder adds the condition to x. "
                f"Received: condition_dim={self.condition_dim}"
            )

    def _build_parts(self):
        known = set(layers_of(self))
        for part, shape in (
            (self.encoder, (None, *self.event_shape)),
            (self.decoder, (None, *self.latent_shape)),
            (self.prior, None),
        ):
            if not part.built:
                part.build(shape)
        freeze_new_layers(self, known)
        last = self.decoder.likelihood.support[1]
        if self.event_dtype == "int32" and last < 2**31:
            self.encoder.check_takes(int(last))
        # The parts are built already. Calling `build` instead would keep a subclass from adding layers of its own.
        self.built = True

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        condition: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns the reconstruction: the mean of p(x|z) at the center of q(z|x), `(batch, *event_shape)`."""
        if isinstance(x, tuple | list):
            x, condition = x
        condition = self.as_condition(condition)
        z = center(self.encoder(tf.cast(x, self.event_dtype), condition, training=training))
        return self.decoder(z, condition, training=training).mean()

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
        """Logs an error if metrics or weights are no longer finite after training, of which Keras says nothing."""
        losses = history.history.get("loss", [])
        first = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        sound = weights_are_finite(self)
        # If a NaNGuard has stopped the training, it has logged the error and restored the weights.
        if sound and (first is None or self.stop_training):
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
    def adapt(self, data: Examples | ArrayLike | Texts) -> None:
        """Starts the model from the training data: the encoder's input, output bias, learned scales, pseudo-inputs.

        Calling it before `fit` is optional; Keras's preprocessing layers have a method of the same name. `data` is an
        array or `keras_vae.data.Examples`.
        """
        if is_stream(data):
            raise ValueError(f"`data` must be an array or `Examples`. Received: {type(data).__name__}")
        examples = presented(data_examples(self, data), self.event_dtype)
        self._check_values(examples)
        if self.event_dtype == "float32":
            # A mean of integers, which may be names of categories, is nothing to subtract from them.
            self.encoder.adapt(examples.mean())
        likelihood = self.decoder.likelihood
        likelihood.adapt(examples.mean(), *([examples.deviation()] if likelihood.learns_scale else []))
        self.prior.adapt(examples)

    def check_data(self, examples: Examples, name: str = "y") -> None:
        """Raises `ValueError` for a wrong shape, values outside the likelihood's support, or a wrong condition."""
        self._check_values(examples)
        if self.condition_dim is not None:
            if examples.labels is None:
                raise ValueError(
                    f"`{name}` must hold the condition of each example: the model is conditional. Received: none"
                )
            check_condition(name, examples.labels, self.condition_dim)

    def _check_values(self, examples):
        check_event_shape(examples.values.shape, self.event_shape)
        likelihood = self.decoder.likelihood
        for values in examples.chunks() if likelihood.validates_each_value else (examples.limits(),):
            likelihood.validate(values)

    def lengths_of(self, examples: Examples) -> np.ndarray | None:
        """Returns the length of each example `(count,)`, or None if all have one length."""
        likelihood = self.decoder.likelihood
        return np.concatenate([likelihood.lengths(x) for x in examples.chunks()]) if likelihood.has_lengths else None

    def as_condition(self, condition: Any) -> tf.Tensor | None:
        """Returns a condition as float `(batch, condition_dim)`: class numbers `(batch,)` become one-hot."""
        return as_condition(condition, self.condition_dim)

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Raises `ValueError`: the heads compute densities in float32, and cannot be quantized by Keras.

        The exported files have variants with int8 weights, each measured in nats.
        """
        raise ValueError(
            "`quantize` must not be called on a VAE: export its int8 variants instead, "
            f"`keras-vae export RUN_DIR --variants=int8`. Received: mode={mode!r}"
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        parts = {name: serialize(getattr(self, name)) for name in self._PARTS}
        # Keras saves `trainable` with the configuration of a layer. The layers that the parts make have none of their
        # own, so that theirs is saved here.
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
