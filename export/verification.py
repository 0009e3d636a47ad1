"""Parity: the signatures of a file are run in its own runtime and compared with the Keras model."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from export.errors import ExportError
from export.signatures import NUM_SCORE_SAMPLES, names_of
from keras_vae.distributions.noise import Tempered
from keras_vae.distributions.sampling import center, draw
from keras_vae.measure.latent import interpolate
from keras_vae.models.importance import BATCH_SIZE
from keras_vae.models.vae import VAE

NUM_CHECKS = 256
# Signatures that are made of other signatures are checked with this many codes or images only.
NUM_FEW_CHECKS = 8
# Differences are relative to the largest expected value if that is above 1. float32 kernels differ by about 1e-6. The
# tolerance is larger because each runtime approximates the log, sqrt and cos of the noise in its own way.
TOLERANCE = 1e-4
# A drawn pixel may differ if its uniform number is so near to its probability that the runtimes disagree. This is the
# largest share of such pixels.
FLIPS = 1e-3
# A picture that is drawn value by value goes on differently after one such value. This is the largest share of such
# pictures; one in a few is no fault either.
OTHER_PICTURES = 0.02
# A text goes on differently where the uniform number of a token is so near to a step of its cumulative distribution
# that the runtimes disagree. Vocabularies of thousands have many steps, and such texts are no faults.
NEAR_A_STEP = 1e-5
# Texts are drawn at these temperatures of z and of the tokens in turn; at 0 they are the most probable ones.
TEMPERATURES = ((1.0, 1.0), (0.7, 0.5), (1.0, 0.0))
INT_MIN, INT_MAX = -(2**31), 2**31 - 1


@dataclasses.dataclass
class Parity:
    """Compares the signatures of one file with Keras and keeps the differences.

    Args:
      run: the runner of the file, `run(signature, **inputs)` -> dict of arrays.
      vae: the model.
      num_samples: pictures in one call of `sample`.
      batch_size: codes or images in one call of the others.
      tolerance: largest difference that is no error; with None differences are only measured.
    """

    run: object
    vae: VAE
    num_samples: int
    batch_size: int
    tolerance: float | None = TOLERANCE

    def check(self, name: str) -> dict:
        """Returns `max_difference` and `mean_difference` of a signature's main output, and its `psnr` in dB.

        Differences are relative to the largest expected value if that is above 1. For `sample` the mean is compared,
        with the `max_difference_z` of its codes beside it. For `sample_pixels` it is the share of pixels that differ.
        Where texts are the output, it is `differing_tokens`, the share of tokens, and `other_texts`, their number.

        Raises:
          ExportError: if a difference is above the tolerance, a shape differs, or no seed changes the pictures.
        """
        return getattr(self, f"_{name}")()

    def _decode(self):
        z = np.random.default_rng(0).normal(0.0, 2.0, (self._count(NUM_CHECKS), *self.vae.latent_shape))
        z = z.astype(np.float32)
        condition = conditions(self.vae, len(z))
        expected = self.vae.decode(z, **condition).mean().numpy()
        return self._compare_means("decode", self._batches("decode", z=z, **condition), expected)

    def _sample(self):
        condition = conditions(self.vae, self.num_samples)
        python = tf.function(self._keras_sample, autograph=False)
        seeds = [*range(NUM_CHECKS - 4), INT_MAX, -1, -7, INT_MIN]
        drawn = [self._drawn("sample", seed, condition) for seed in seeds]
        # The most probable texts may be the same for all codes, which says that the decoder makes little of z.
        seen, what = ("z", "codes") if self._has_texts else ("mean", "pictures")
        if np.array_equal(drawn[0][seen], drawn[1][seen]):
            raise ExportError(f"`sample` draws the same {what} for the seeds 0 and 1")
        expected = [python(tf.constant(seed)) for seed in seeds]
        joined, of_keras = (
            {key: np.concatenate([d[key] for d in side]) for key in side[0]} for side in (drawn, expected)
        )
        z = self._compare("sample (codes)", joined["z"], of_keras["z"])
        return {**self._compare_means("sample", joined, of_keras["mean"]), "max_difference_z": z["max_difference"]}

    def _keras_sample(self, seed, output="mean"):
        condition = conditions(self.vae, self.num_samples)
        z, _ = self.vae.sample_latent(self.num_samples, seed, **condition)
        return {"z": z, "mean": self.vae.sample(self.num_samples, seed, output=output, **condition)}

    def _generate(self):
        drawn, expected, near = [], [], []
        for seed in range(NUM_FEW_CHECKS):
            temperature, of_tokens = map(np.float32, TEMPERATURES[seed % len(TEMPERATURES)])
            inputs = {"seed": np.int32(seed), "temperature": temperature, "token_temperature": of_tokens}
            drawn.append(self.run("generate", **inputs)["tokens"])
            z, noise = self.vae.sample_latent(self.num_samples, seed, float(temperature))
            expected.append(draw(self.vae.decode(z), Tempered(noise, of_tokens)).numpy())
            _, noise = self.vae.sample_latent(self.num_samples, seed, float(temperature))
            u = noise.uniform(expected[-1].shape).numpy()
            near.append(self._distance_from_step(z, u, expected[-1], drawn[-1], of_tokens) <= NEAR_A_STEP)
        return self._compare_texts("generate", *map(np.concatenate, (drawn, expected, near)))

    def _distance_from_step(self, z: Any, u: Any, expected: Any, drawn: Any, temperature: Any) -> np.ndarray:
        """Returns for each text how far u is, in probability, from the steps between the first tokens that differ."""
        if drawn.shape != expected.shape:
            return np.full(len(expected), np.inf)
        given = self.vae.decode(z)
        given = given if self.vae.decoder.likelihood.is_factorized else given.factors.conditional(expected)
        at = np.arange(len(u)), np.argmax(drawn != expected, axis=1)
        logits = given.logits.numpy()[at].astype(np.float64) / max(float(temperature), 1e-6)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        steps = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        low, high = np.minimum(drawn[at], expected[at]), np.maximum(drawn[at], expected[at])
        ends = np.stack([steps[at[0], low], steps[at[0], np.maximum(high - 1, low)]])
        return np.abs(ends - u[at]).max(axis=0)

    def _sample_pixels(self):
        condition = conditions(self.vae, self.num_samples)
        drawn = np.stack([self._drawn("sample_pixels", seed, condition)["x"] for seed in range(NUM_FEW_CHECKS)])
        expected = np.stack([self._keras_sample(seed, "sample")["mean"] for seed in range(NUM_FEW_CHECKS)])
        self._same_shape("sample_pixels", drawn, expected)
        size = max(1.0, float(np.max(np.abs(expected))))
        differs = ~(np.abs(drawn - expected) <= TOLERANCE * size)
        share = float(np.mean(differs))
        if not self.vae.decoder.likelihood.is_factorized:
            others = int(np.sum(differs.reshape(-1, math.prod(self.vae.event_shape)).any(axis=1)))
            if self.tolerance is not None and not _are_few(others, NUM_FEW_CHECKS * self.num_samples):
                raise ExportError(f"`sample_pixels` differs from Keras in {others} pictures")
            return {"differing_pixels": share, "other_pictures": others}
        if self.tolerance is not None and share > FLIPS:
            raise ExportError(f"`sample_pixels` differs from Keras in {share:.2%} of the pixels")
        return {"differing_pixels": share}

    def _drawn(self, name, seed, condition):
        return self.run(name, seed=np.int32(seed), temperature=np.float32(1.0), **condition)

    def _interpolate(self):
        z = np.random.default_rng(1).normal(size=(2, 1, *self.vae.latent_shape)).astype(np.float32)
        steps, condition = max(2, self.num_samples - 1), conditions(self.vae, 1)
        path = interpolate(z[0, 0], z[1, 0], steps)
        rows = {key: np.repeat(value, steps, axis=0) for key, value in condition.items()}
        expected = self.vae.decode(path, **rows).mean().numpy()
        actual = self.run("interpolate", z0=z[0], z1=z[1], steps=np.int32(steps), **condition)
        mean = names_of(self.vae).mean
        return self._compare_means("interpolate", {mean: actual[mean][:steps]}, expected[: len(actual[mean])])

    def _log_likelihood(self):
        x, condition = self._images()
        z = np.random.default_rng(2).normal(size=(len(x), *self.vae.latent_shape)).astype(np.float32)
        expected = self.vae.decode(z, **condition).log_prob(x).numpy()
        actual = self._batches("log_likelihood", **self._given(x), z=z, **condition)["log_likelihood"]
        return self._compare("log_likelihood", actual, expected)

    def _encode(self):
        x, condition = self._images()
        posterior, encoded = self.vae.encode(x, **condition), self._batches("encode", **self._given(x), **condition)
        if "scale" in encoded:
            self._compare("encode (scale)", encoded["scale"], posterior.stddev().numpy())
        return self._compare("encode", encoded["loc"], center(posterior).numpy())

    def _score(self):
        x, condition = self._images()
        outputs = self._batches("score", **self._given(x), seed=np.int32(3), **condition)
        bounds = []
        # The noise of an image depends on its place in the batch, and `bounds` has batches of at most BATCH_SIZE, so
        # only the first images of a larger batch can be compared.
        size, seen = min(self.batch_size, BATCH_SIZE), []
        for i in range(0, len(x), self.batch_size):
            part = {key: value[i : i + size] for key, value in condition.items()}
            bounds.append(self.vae.bounds(x[i : i + size], NUM_SCORE_SAMPLES, 3, **part))
            seen.extend(range(i, i + size))
        elbo, bound = (np.concatenate(values) for values in zip(*bounds, strict=True))
        self._compare("score (log_likelihood)", outputs["log_likelihood"][seen], bound)
        return self._compare("score", outputs["elbo"][seen], elbo)

    def _reconstruct(self):
        x, condition = self._images()
        outputs = self._batches("reconstruct", **self._given(x), **condition)
        return self._compare_means("reconstruct", outputs, self.vae.reconstruct(x, **condition).numpy())

    def _images(self):
        """Returns a few images from the support of the likelihood, and their conditions."""
        count = self._count(NUM_FEW_CHECKS)
        condition = conditions(self.vae, count)
        return self.vae.sample(count, seed=5, output="sample", **condition).numpy().astype(
            self.vae.event_dtype
        ), condition

    @property
    def _has_texts(self):
        return self.vae.decoder.likelihood.has_lengths

    def _given(self, x):
        return {names_of(self.vae).x: x}

    def _count(self, least):
        return -(-least // self.batch_size) * self.batch_size

    def _batches(self, name, **inputs):
        count = max(len(value) for value in inputs.values() if np.ndim(value))
        parts = [
            self.run(name, **{k: v[i : i + self.batch_size] if np.ndim(v) else v for k, v in inputs.items()})
            for i in range(0, count, self.batch_size)
        ]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _same_shape(self, what, actual, expected):
        if actual.shape != expected.shape:
            raise ExportError(f"`{what}` has shape {actual.shape}, Keras has {expected.shape}")

    def _compare_means(self, what: Any, outputs: Any, expected: Any) -> dict:
        """Compares the means of p(x|z) among some outputs, or the texts that stand in their place."""
        actual = outputs[names_of(self.vae).mean]
        compare = self._compare_texts if self._has_texts else functools.partial(self._compare, drawn=True)
        return compare(what, actual, expected)

    def _compare_texts(self, what: Any, actual: Any, expected: Any, excused: Any = False) -> dict:
        """Returns the figures of `check`; texts that are `excused` may be others."""
        self._same_shape(what, actual, expected)
        differs = actual != expected
        others = differs.any(axis=1)
        wrong = int(np.sum(others & ~np.asarray(excused)))
        if self.tolerance is not None and not _are_few(wrong, len(differs)):
            raise ExportError(f"`{what}` differs from Keras in {wrong} of {len(differs)} texts")
        return {"differing_tokens": float(np.mean(differs)), "other_texts": int(np.sum(others))}

    def _compare(self, what: Any, actual: Any, expected: Any, drawn: bool = False) -> dict:
        """Returns the figures of `check`; with `drawn`, a few pictures that were drawn value by value may be others."""
        self._same_shape(what, actual, expected)
        size = max(1.0, float(np.max(np.abs(expected))))
        difference = np.abs(np.float64(actual) - expected) / size
        others = {}
        if drawn and not self.vae.decoder.likelihood.is_factorized and self.tolerance is not None:
            same = difference.reshape(len(difference), -1).max(axis=1) <= self.tolerance
            count = int(np.sum(~same))
            if _are_few(count, len(same)) and same.any():
                actual, expected, difference = actual[same], expected[same], difference[same]
            others = {"other_pictures": count}
        largest = float(np.max(difference))
        if self.tolerance is not None and not largest <= self.tolerance:
            raise ExportError(f"`{what}` differs from Keras by {largest:.2g}, which is more than {self.tolerance:g}")
        squared = float(np.mean((difference * size) ** 2))
        spread = float(np.ptp(expected))
        psnr = 10.0 * float(np.log10(spread**2 / squared)) if squared and spread else None
        return {"max_difference": largest, "mean_difference": float(np.mean(difference)), "psnr": psnr, **others}


def _are_few(others, pictures):
    """Returns whether so few of the pictures that were drawn value by value may be others."""
    return others <= max(1, OTHER_PICTURES * pictures)


def conditions(vae: VAE, count: int) -> dict:
    """Returns `{"condition": one-hot (count, condition_dim)}` with the classes in turn; empty if unconditional."""
    if vae.condition_dim is None:
        return {}
    return {"condition": np.eye(vae.condition_dim, dtype=np.float32)[np.arange(count) % vae.condition_dim]}
