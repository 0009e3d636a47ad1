"""How good a VAE is, in nats."""

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_vae.data.images import Images
from keras_vae.fitting import as_images
from keras_vae.objectives.terms import kl_per_dimension
from keras_vae.posteriors import Deterministic
from keras_vae.sampling import center
from keras_vae.vae import VAE

ACTIVE_VARIANCE = 0.01
BATCH_SIZE = 1000


def evaluate(vae: VAE, data, num_importance_samples: int = 500, seed: int = 0, condition=None) -> dict:
    """Measures a VAE on a data set.

    Args:
      vae: the model.
      data: array `(count, *event_shape)` or `keras_vae.data.Images`.
      num_importance_samples: K of the importance-weighted bound, and of the average that estimates the ELBO.
      seed: seed of the noise.
      condition: of a conditional model, one for each example; for `Images` their labels.

    Returns:
      Dict of plain numbers, means over the data in nats: `elbo`, and `log_likelihood` (the bound of `VAE.log_prob`),
      each with the `_standard_error` of that mean; `bits_per_dimension`, minus the log likelihood in bits for each
      value of x; `kl_per_dimension`, None where posterior or prior do not factorise; `reconstruction_error`, the
      squared distance summed over the values of x. `active_units` is a count of dimensions.
    """
    images = as_images(data, condition)
    if images.dynamic:
        images = Images(images.numpy(seed), images.labels)  # one draw for all figures
    return {
        **likelihood(vae, images, num_importance_samples, seed),
        "num_examples": len(images),
        "active_units": active_units(posterior_centers(vae, images)),
        "kl_per_dimension": mean_kl_per_dimension(vae, images),
        "reconstruction_error": reconstruction_error(vae, images),
    }


def likelihood(vae: VAE, images: Images, num_importance_samples: int, seed: int) -> dict:
    """Returns the entries of `evaluate` that need a density of the posterior; empty for a `Deterministic` one."""
    if isinstance(vae.encoder.posterior, Deterministic):
        return {}
    elbo, bound = vae.bounds(images, num_importance_samples, seed)
    return {
        "elbo": float(elbo.mean()),
        "elbo_standard_error": standard_error(elbo),
        "log_likelihood": float(bound.mean()),
        "log_likelihood_standard_error": standard_error(bound),
        "bits_per_dimension": float(-bound.mean() / math.log(2.0) / math.prod(vae.event_shape)),
        "num_importance_samples": num_importance_samples,
    }


def standard_error(values: np.ndarray) -> float:
    """Returns the standard error of the mean of `values` `(count,)`; 0 for one value."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def batches(vae: VAE, images: Images) -> Iterator[tuple]:
    """Yields x and condition (None without one) of up to `BATCH_SIZE` examples at a time, as tensors."""
    values = images.numpy()
    for start in range(0, len(values), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        condition = None if vae.condition_dim is None else vae.as_condition(images.labels[part])
        yield tf.constant(values[part]), condition


def posterior_centers(vae: VAE, data) -> np.ndarray:
    """Returns the centre of q(z|x) of each example, `(count, latent_dim)`: the mean of a Gaussian."""
    images = as_images(data)
    return np.concatenate([center(vae.encode(x, c)).numpy() for x, c in batches(vae, images)])


def mean_kl_per_dimension(vae: VAE, data) -> list[float] | None:
    """Returns KL(q(z_d|x) || p(z_d)) of each dimension, mean over examples, or None where there is no such thing."""
    if isinstance(vae.encoder.posterior, Deterministic):
        return None
    prior = vae.prior(vae.encoder)
    images = as_images(data)
    try:
        parts = [kl_per_dimension(vae.encode(x, c), prior).numpy() for x, c in batches(vae, images)]
    except ValueError:
        return None
    return np.concatenate(parts).mean(axis=0, dtype=np.float64).tolist()


def reconstruction_error(vae: VAE, data) -> float:
    """Returns the squared distance from the reconstruction, summed over the values of x, mean over examples."""
    images = as_images(data)
    squares = [tf.math.squared_difference(x, vae.reconstruct(x, c)).numpy() for x, c in batches(vae, images)]
    return float(np.concatenate(squares).reshape(len(images), -1).sum(axis=1).mean(dtype=np.float64))


def active_units(loc: np.ndarray, threshold: float = ACTIVE_VARIANCE) -> int:
    """Counts latent dimensions whose posterior mean varies with x: Var_x(E_q[z_d]) > `threshold`.

    Burda, Grosse and Salakhutdinov (2016), section 5.2.

    Args:
      loc: posterior means `(count, latent_dim)`.
      threshold: least variance of an active dimension.
    """
    return int((np.var(loc, axis=0) > threshold).sum())
