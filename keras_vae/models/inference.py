"""What a trained model is used for: codes, reconstructions, samples, and bounds of log p(x)."""

import random
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.data.containers import as_tensor
from keras_vae.data.examples import Examples
from keras_vae.distributions.noise import Noise, NoiseSource, Nucleus, Tempered
from keras_vae.distributions.sampling import draw, draw_rows, mean
from keras_vae.engine.conditions import for_samples
from keras_vae.engine.inputs import check_event_shape, check_whole, checked_examples, encoded
from keras_vae.utils import checks
from keras_vae.utils.arguments import (
    ArrayLike,
    NoiseSeed,
    NonNegativeFloat,
    NumberOrArray,
    Path,
    PositiveInt,
    Share,
    Texts,
    checked,
)


class Inference(keras.Model):
    """Mixin of a model with `encoder`, `decoder`, `prior` and their shapes."""

    def _as_tensor(self, x):
        x = as_tensor("x", x.numpy() if isinstance(x, Examples) else encoded(self, x))
        if self.event_dtype == "int32" and x.dtype.is_floating and not tf.is_symbolic_tensor(x):
            check_whole(x.numpy())
        x = tf.cast(x, self.event_dtype)
        check_event_shape(tuple(x.shape), self.event_shape)
        return x

    @property
    def kl_method(self) -> str:
        """ "analytic", "monte_carlo" or "none": how the KL in the objective is computed."""
        condition = None if self.condition_dim is None else tf.zeros((1, self.condition_dim))
        return self.objective.kl_method(
            self.encode(tf.zeros((1, *self.event_shape)), condition), self.prior_distribution(condition)
        )

    def prior_distribution(self, condition: ArrayLike | None = None) -> tfd.Distribution:
        """Returns p(z), a distribution over `latent_shape`, or p(z|c) for each condition if the prior has one."""
        return self.prior(self.encoder, None if self.prior.condition_dim is None else self.as_condition(condition))

    @checked
    def encode(self, x: Examples | ArrayLike | Texts, condition: ArrayLike | None = None) -> tfd.Distribution:
        """Returns q(z|x) for x `(batch, *event_shape)`, a distribution over `latent_shape`."""
        return self.encoder(self._as_tensor(x), self.as_condition(condition), training=False)

    @checked
    def decode(self, z: ArrayLike, condition: ArrayLike | None = None) -> tfd.Distribution:
        """Returns p(x|z) for z `(batch, *latent_shape)`."""
        z = tf.convert_to_tensor(z)
        if z.shape.rank != 1 + len(self.latent_shape) or tuple(z.shape[1:]) != self.latent_shape:
            expected = ", ".join(map(str, ("batch", *self.latent_shape)))
            raise ValueError(f"`z` must have shape ({expected}). Received: z with shape {tuple(z.shape)}")
        return self.decoder(tf.cast(z, tf.float32), self.as_condition(condition), training=False)

    @checked
    def reconstruct(self, x: Examples | ArrayLike | Texts, condition: ArrayLike | None = None) -> tf.Tensor:
        """Returns the mean of p(x|z) at the center of q(z|x), `(batch, *event_shape)`."""
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
          num_samples: number of pictures, a positive integer.
          seed: integer in [-2^31, 2^32), or a scalar integer tensor. None draws one from Python's `random`.
          temperature: factor on the noise of the prior, at least 0; below 1 gives more typical pictures.
            `keras_vae.priors.Prior` says what it means for each prior.
          output: "mean" for the mean of p(x|z), "sample" for a draw from it.
          condition: for a conditional model one class number or vector for all, or `num_samples` of them.

        Returns:
          Tensor of shape `(num_samples, *event_shape)`.
        """
        z, noise = self.sample_latent(num_samples, seed, temperature, condition)
        likelihood = self.decode(z, for_samples(condition, num_samples))
        return mean(likelihood, noise) if output == "mean" else draw(likelihood, noise)

    @checked
    def generate(
        self,
        num_samples: PositiveInt = 1,
        seed: NoiseSeed | tf.Tensor | tf.Variable | None = None,
        temperature: NonNegativeFloat | tf.Tensor | tf.Variable = 1.0,
        token_temperature: NonNegativeFloat | tf.Tensor | tf.Variable = 1.0,
        condition: NumberOrArray | None = None,
        top_p: Share | None = None,
    ) -> list[str]:
        """Draws texts: z from the prior, and the tokens of a text from p(x|z).

        At `token_temperature` 1 these are the texts of `sample(num_samples, seed, temperature, "sample")`.

        Args:
          num_samples: number of texts, a positive integer.
          seed: as for `sample`.
          temperature: factor on the noise of the prior, at least 0.
          token_temperature: T of at least 0, with which the tokens have the probabilities softmax(logits / T); 0 takes
            the most probable token each time.
          condition: as for `sample`.
          top_p: p in [0, 1], with which a token is one of the most probable, which together have at least the
            probability p (nucleus sampling, Holtzman et al., 2020); None takes all tokens. The exported files have no
            such input.

        Raises:
          ValueError: if the model has no tokenizer.
        """
        tokenizer = self._needs_tokenizer("generate")
        if not tf.is_tensor(token_temperature):
            checks.nonnegative_float("token_temperature", token_temperature)
        z, noise = self.sample_latent(num_samples, seed, temperature, condition)
        texts = self.decode(z, for_samples(condition, num_samples))
        source = noise if top_p is None else Nucleus(noise, top_p)
        return tokenizer.decode(draw(texts, Tempered(source, token_temperature)))

    @checked
    def texts_of(self, z: ArrayLike, condition: ArrayLike | None = None) -> list[str]:
        """Returns the most probable texts of z `(batch, *latent_shape)`, token by token, as `decode(z).mean()` does.

        Raises:
          ValueError: if the model has no tokenizer, or z is not finite.
        """
        tokenizer = self._needs_tokenizer("texts_of")
        if not np.isfinite(z).all():
            raise ValueError("`z` must be finite. Received: z with values that are not")
        return tokenizer.decode(self.decode(z, condition).mean())

    def _needs_tokenizer(self, method):
        if self.tokenizer is None:
            raise ValueError(f"`{method}` needs a likelihood of texts with a tokenizer: Tokens(tokenizer=...)")
        return self.tokenizer

    @checked
    def sample_latent(
        self,
        num_samples: PositiveInt = 1,
        seed: NoiseSeed | tf.Tensor | tf.Variable | None = None,
        temperature: NonNegativeFloat | tf.Tensor | tf.Variable = 1.0,
        condition: NumberOrArray | None = None,
    ) -> tuple[tf.Tensor, NoiseSource]:
        """Draws z `(num_samples, *latent_shape)` from the prior; returns z, and the noise that follows it.

        The arguments are those of `sample`; only a prior with a condition looks at `condition`.
        """
        checks.positive_int("num_samples", num_samples)
        if not tf.is_tensor(temperature):
            checks.nonnegative_float("temperature", temperature)
        noise = Noise(random.getrandbits(32) if seed is None else seed)
        rows = None if self.prior.condition_dim is None else for_samples(condition, num_samples)
        return draw_rows(self.prior_distribution(rows), Tempered(noise, temperature), num_samples), noise

    @checked
    def log_prob(
        self,
        x: Examples | ArrayLike | Texts,
        num_samples: PositiveInt = 500,
        seed: NoiseSeed = 0,
        condition: ArrayLike | None = None,
    ) -> np.ndarray:
        """Importance-weighted estimate of log p(x) for each example, in nats.

            log p(x) >= E[ log 1/K sum_k p(x, z_k) / q(z_k|x) ],  z_k ~ q(z|x)

        Burda, Grosse and Salakhutdinov (2016), equation 8. The bound grows with K and is tight as K goes to infinity.

        Args:
          x: array `(count, *event_shape)` or `keras_vae.data.Examples`.
          num_samples: K, a positive integer.
          seed: seed of the noise.
          condition: condition of each example for a conditional model; for `Examples` it is their labels.

        Returns:
          Array of shape `(count,)`.
        """
        return self.bounds(x, num_samples, seed, condition)[1]

    @checked
    def bounds(
        self,
        x: Examples | ArrayLike | Texts,
        num_samples: PositiveInt = 500,
        seed: NoiseSeed = 0,
        condition: ArrayLike | None = None,
        progress_file: Path | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ELBO (the mean log weight) and the bound of `log_prob` of each example, from one set of samples.

        The other arguments are those of `log_prob`. Both results are arrays of shape `(count,)` in nats.

        Args:
          progress_file: a file that keeps what is done, for an evaluation of hours: when the process is killed, the
            same call goes on from there, to the same numbers. It stays at the end; a call with another model, other
            data, samples or another seed begins anew and replaces it.

        Raises:
          ValueError: if q(z|x) has no density, or `progress_file` is a file that no evaluation wrote, or its folder
            does not exist.
        """
        posterior = self.encoder.posterior
        if not posterior.has_density:
            raise ValueError(
                f"`posterior` must have a density for a bound of log p(x). Received: {type(posterior).__name__}"
            )
        if condition is not None:
            self.as_condition(condition)
        examples = checked_examples(self, x, condition, name="condition")
        return self._importance.bounds(examples, num_samples, seed, progress_file)
