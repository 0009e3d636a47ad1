"""Parity: a file's signatures, run in its own runtime, against the Keras model."""

import numpy as np
import tensorflow as tf

from keras_vae.sampling import center
from keras_vae.vae import VAE

NUM_CHECKS = 256
# Means of p(x|z), relative to the largest where that is above 1. float32 kernels differ by about 1e-6; the rest of
# the room is for log, sqrt and cos of the noise, which each runtime approximates in its own way.
TOLERANCE = 1e-4


class ExportError(Exception):
    """An exported file is not what the model is."""


def check_decode(run, vae: VAE, batch_size: int, seed: int = 0) -> float:
    """Compares `decode` at `NUM_CHECKS` codes from N(0, 2^2 I); returns the largest difference of the means."""
    z = np.random.default_rng(seed).normal(0.0, 2.0, (NUM_CHECKS, vae.latent_dim)).astype(np.float32)
    condition = conditions(vae, NUM_CHECKS)
    expected = vae.decode(z, condition.get("condition")).mean().numpy()
    chunks = [
        run("decode", z=z[i : i + batch_size], **{k: v[i : i + batch_size] for k, v in condition.items()})["mean"]
        for i in range(0, NUM_CHECKS, batch_size)
    ]
    return _difference("decode", np.concatenate(chunks), expected)


def check_sample(run, vae: VAE, num_samples: int) -> float:
    """Compares `sample` at `NUM_CHECKS` seeds, negative ones too; returns the largest difference of the means."""
    condition = conditions(vae, num_samples)
    python = tf.function(lambda seed: vae.sample(num_samples, seed=seed, **condition), autograph=False)
    seeds = [*range(NUM_CHECKS - 4), 2**31 - 1, -1, -7, -(2**31)]
    pictures = {s: run("sample", seed=np.int32(s), temperature=np.float32(1.0), **condition)["mean"] for s in seeds}
    if np.array_equal(pictures[0], pictures[1]):
        raise ExportError("`sample` draws the same pictures for the seeds 0 and 1")
    return max(_difference(f"sample(seed={s})", p, python(tf.constant(s)).numpy()) for s, p in pictures.items())


def check_encode(run, vae: VAE, x: np.ndarray) -> float:
    """Compares `encode` and `reconstruct` at `x`; returns the largest difference."""
    condition = conditions(vae, len(x))
    posterior = vae.encode(x, **condition)
    encoded = run("encode", x=x, **condition)
    differences = [
        _difference("encode", encoded["loc"], center(posterior).numpy()),
        _difference(
            "reconstruct", run("reconstruct", x=x, **condition)["mean"], vae.reconstruct(x, **condition).numpy()
        ),
    ]
    if "scale" in encoded:
        differences.append(_difference("encode", encoded["scale"], posterior.stddev().numpy()))
    return max(differences)


def conditions(vae: VAE, count: int) -> dict:
    """Returns `{"condition": one-hot (count, condition_dim)}` with all classes in turn; empty without a condition."""
    if vae.condition_dim is None:
        return {}
    return {"condition": np.eye(vae.condition_dim, dtype=np.float32)[np.arange(count) % vae.condition_dim]}


def _difference(what, actual, expected) -> float:
    if actual.shape != expected.shape:
        raise ExportError(f"`{what}` has shape {actual.shape}, Keras has {expected.shape}")
    difference = float(np.max(np.abs(actual - expected))) / max(1.0, float(np.max(np.abs(expected))))
    if not difference <= TOLERANCE:
        raise ExportError(f"`{what}` differs from Keras by {difference:.2g}, which is more than {TOLERANCE:g}")
    return difference
