"""The functions that are exported, with their names, inputs and outputs, for SavedModel and TFLite alike."""

import functools
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import tensorflow as tf

from keras_vae.distributions.mixture import in_single_precision
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise, Tempered, noise_of_files
from keras_vae.distributions.sampling import center, draw, draw_rows, mean
from keras_vae.models.vae import VAE
from keras_vae.objectives.terms import importance_weighted_bound, log_weight
from keras_vae.utils.arguments import PositiveInt, checked

# One call of `score` draws this many z for each x.
NUM_SCORE_SAMPLES = 8
# The signatures of each TFLite file. A SavedModel has all of them.
FILES = {
    "decoder": ("decode", "sample", "sample_pixels", "interpolate", "log_likelihood"),
    "encoder": ("encode", "score"),
    "autoencoder": ("reconstruct",),
}
NAMES = tuple(name for names in FILES.values() for name in names)
# One call of these returns several examples for each call of the others.
DRAW_MANY = ("sample", "sample_pixels", "generate", "interpolate")


class Names(NamedTuple):
    """What the signatures call an example as an input, the mean of p(x|z), and the signature that draws from p(x|z)."""

    x: str = "x"
    mean: str = "mean"
    draw: str = "sample_pixels"


def names_of(vae: VAE) -> Names:
    """Returns the names for a model: those of texts if its examples have lengths."""
    return Names("tokens", "tokens", "generate") if vae.decoder.likelihood.has_lengths else Names()


def files_of(vae: VAE) -> dict[str, tuple[str, ...]]:
    """Returns `FILES` with the signature that draws from p(x|z) under its name for the model."""
    draw = names_of(vae).draw
    return {file: tuple(draw if name == "sample_pixels" else name for name in names) for file, names in FILES.items()}


class Signatures:
    """The functions of a model, as TensorFlow functions of tensors.

      decode(z)                         -> mean             mean of p(x|z), (batch, *event_shape)
      sample(seed, temperature)         -> mean, z          num_samples pictures from the prior, and their codes
      sample_pixels(seed, temperature)  -> x, z             the same codes, and a draw from each p(x|z)
      interpolate(z0, z1, steps)        -> mean             pictures on the line from z0 to z1, both ends included
      log_likelihood(x, z)              -> log_likelihood   log p(x|z) in nats, (batch,)
      encode(x)                         -> loc              center of q(z|x), (batch, *latent_shape), for posteriors
                                           scale            that have one with the standard deviations
      score(x, seed)                    -> elbo             mean of log p(x, z) / q(z|x) over 8 draws of z, in nats,
                                           log_likelihood   and the importance-weighted bound of log p(x) from them
      reconstruct(x)                    -> mean             mean of p(x|z) at the center of q(z|x),
                                           log_likelihood   and log p(x|z) there

    z0 and z1 are `(1, *latent_shape)`, `steps` at least 2. At a static batch size `interpolate` returns num_samples
    pictures, takes `steps` up to that number, and repeats the last picture after them. For a conditional model all
    signatures also take a `condition`, float32 `(batch, condition_dim)`, one-hot for classes.

    For a model of texts x and mean are called `tokens`, int32 `(batch, max_length)`, the most probable tokens in place
    of a mean, and the texts of `VAE.generate` are drawn by

      generate(seed, temperature, token_temperature) -> tokens, z

    Args:
      vae: the model.
      num_samples: how many pictures one call of `sample` draws.
    """

    @checked
    def __init__(self, vae: VAE, num_samples: PositiveInt) -> None:
        self._vae = vae
        self._num_samples = num_samples
        self._names = names_of(vae)
        # The prior is made once, outside the graph, so that a prior that is made of the encoder does not bring the
        # encoder into the file. It is in single precision because TFLite has no products in float64.
        self._prior = None if vae.prior.condition_dim else in_single_precision(vae.prior_distribution())
        self._concrete = {}

    def _decode(self, z, condition=None):
        return {self._names.mean: self._vae.decode(z, condition).mean()}

    def _codes(self, seed, temperature, condition):
        noise = Noise(seed)
        return draw_rows(self._prior_of(condition), Tempered(noise, temperature), self._num_samples), noise

    def _prior_of(self, condition):
        if self._prior is not None:
            return self._prior
        return in_single_precision(self._vae.prior_distribution(condition))

    def _sample(self, seed, temperature, condition=None):
        z, noise = self._codes(seed, temperature, condition)
        return {self._names.mean: mean(self._vae.decode(z, condition), noise), "z": z}

    def _sample_pixels(self, seed, temperature, condition=None):
        z, noise = self._codes(seed, temperature, condition)
        return {"x": draw(self._vae.decode(z, condition), noise), "z": z}

    def _generate(self, seed, temperature, token_temperature, condition=None):
        z, noise = self._codes(seed, temperature, condition)
        return {"tokens": draw(self._vae.decode(z, condition), Tempered(noise, token_temperature)), "z": z}

    def _interpolate(self, z0, z1, steps, condition=None, static=False):
        steps = tf.maximum(steps, 2)
        rows = self._num_samples if static else steps
        last = tf.cast(tf.maximum(tf.minimum(steps, rows) - 1, 1), tf.float32)
        part = tf.minimum(tf.cast(tf.range(rows), tf.float32) / last, 1.0)[:, *[None] * len(self._vae.latent_shape)]
        condition = None if condition is None else tf.tile(condition, [rows, 1])
        return self._decode((1.0 - part) * z0 + part * z1, condition)

    def _log_likelihood(self, x, z, condition=None):
        return {"log_likelihood": self._vae.decode(z, condition).log_prob(x)}

    def _encode(self, x, condition=None):
        posterior = self._vae.encode(x, condition)
        try:
            return {"loc": center(posterior), "scale": posterior.stddev()}
        except NotImplementedError:
            return {"loc": center(posterior)}

    def _score(self, x, seed, condition=None):
        batch = self._vae.encode_batch(x, condition, Noise(seed, EVALUATION_STREAM))
        z = batch.draw(NUM_SCORE_SAMPLES)
        weights = log_weight(batch.log_likelihood(z), batch.posterior, self._prior_of(condition), z)
        return {"elbo": tf.reduce_mean(weights, axis=0), "log_likelihood": importance_weighted_bound(weights)}

    def _reconstruct(self, x, condition=None):
        z = center(self._vae.encode(x, condition))
        likelihood = self._vae.decode(z, condition)
        return {self._names.mean: likelihood.mean(), "log_likelihood": likelihood.log_prob(x)}

    def inputs(self, name: str, batch_size: int | None) -> dict[str, tf.TensorSpec]:
        """Returns the inputs of a signature; a `batch_size` of None accepts any."""
        vae = self._vae
        x = {self._names.x: tf.TensorSpec((batch_size, *vae.event_shape), vae.event_dtype)}
        z, z0, z1 = (tf.TensorSpec((n, *vae.latent_shape), tf.float32) for n in (batch_size, 1, 1))
        seed, steps = (tf.TensorSpec((), tf.int32) for _ in range(2))
        temperature = tf.TensorSpec((), tf.float32)
        inputs = {
            "decode": {"z": z},
            "sample": {"seed": seed, "temperature": temperature},
            "sample_pixels": {"seed": seed, "temperature": temperature},
            "generate": {"seed": seed, "temperature": temperature, "token_temperature": temperature},
            "interpolate": {"z0": z0, "z1": z1, "steps": steps},
            "log_likelihood": {**x, "z": z},
            "encode": x,
            "score": {**x, "seed": seed},
            "reconstruct": x,
        }[name]
        if vae.condition_dim is not None:
            rows = dict.fromkeys(("sample", self._names.draw), self._num_samples) | {"interpolate": 1}
            inputs["condition"] = tf.TensorSpec((rows.get(name, batch_size), vae.condition_dim), tf.float32)
        return {key: tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in inputs.items()}

    def function(self, name: str, static: bool = False) -> Any:
        """Returns a signature as a `tf.function`; `static` says that it will be called with a single batch size."""
        function = getattr(self, f"_{name}")
        if name == "interpolate":
            function = functools.partial(function, static=static)
        if "tokens" in self.inputs(name, 1):
            function = _of_tokens(function)
        return tf.function(function, autograph=False)

    def concrete(self, names: Collection[str], batch_size: int | None) -> dict:
        """Returns the concrete functions of the signatures `names`; a `batch_size` of None accepts any."""
        for name in names:
            if (name, batch_size) not in self._concrete:
                function = self.function(name, static=batch_size is not None)
                inputs = self.inputs(name, batch_size).values()
                with noise_of_files():
                    self._concrete[name, batch_size] = function.get_concrete_function(*inputs)
        return {name: self._concrete[name, batch_size] for name in names}

    def save(self, folder: str | os.PathLike, names: Collection[str], batch_size: int | None) -> None:
        """Writes a SavedModel with the signatures `names`, and `reconstruct` also as "serving_default", like Keras."""
        # The root object keeps the variables that the functions use, and no other object of the model.
        root = tf.Module()
        root.model_variables = [variable.value for variable in self._vae.variables]
        signatures = self.concrete(names, batch_size)
        if "reconstruct" in signatures:
            signatures["serving_default"] = signatures["reconstruct"]
        tf.saved_model.save(root, str(folder), signatures=signatures)


def _of_tokens(function):
    """Returns a function of x whose first argument is called `tokens`, which is then the name of the input."""
    return lambda tokens, *args, **kwargs: function(tokens, *args, **kwargs)
