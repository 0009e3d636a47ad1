"""How good a VAE is, in nats."""

import math

import numpy as np

from keras_vae.data.images import Images
from keras_vae.vae import VAE

ACTIVE_VARIANCE = 0.01


def evaluate(vae: VAE, data, num_importance_samples: int = 500, seed: int = 0) -> dict:
    """Measures a VAE on a data set.

    Args:
      vae: the model.
      data: array `(count, *event_shape)` or `keras_vae.data.Images`.
      num_importance_samples: K of the importance-weighted bound, and of the average that estimates the ELBO.
      seed: seed of the noise.

    Returns:
      Dict of plain numbers. `elbo` and `log_likelihood` (the bound of `VAE.log_prob`) are means over the data in nats
      with the `_standard_error` of that mean over examples; `kl_per_dimension` is in nats, of a diagonal Gaussian
      posterior and N(0, I); `active_units` is a count of dimensions.
    """
    elbo, bound = vae.bounds(data, num_importance_samples, seed)
    loc, scale = posterior_moments(vae, data)
    return {
        "elbo": float(elbo.mean()),
        "elbo_standard_error": standard_error(elbo),
        "log_likelihood": float(bound.mean()),
        "log_likelihood_standard_error": standard_error(bound),
        "num_importance_samples": num_importance_samples,
        "num_examples": len(elbo),
        "active_units": active_units(loc),
        "kl_per_dimension": gaussian_kl_per_dimension(loc, scale).tolist(),
    }


def standard_error(values: np.ndarray) -> float:
    """Returns the standard error of the mean of `values` `(count,)`; 0 for one value."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def posterior_moments(vae: VAE, data, batch_size: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of q(z|x) for each example, both `(count, latent_dim)`."""
    values = data.numpy() if isinstance(data, Images) else np.asarray(data, np.float32)
    posteriors = [vae.encode(values[i : i + batch_size]) for i in range(0, len(values), batch_size)]
    return (
        np.concatenate([q.mean().numpy() for q in posteriors]),
        np.concatenate([q.stddev().numpy() for q in posteriors]),
    )


def active_units(loc: np.ndarray, threshold: float = ACTIVE_VARIANCE) -> int:
    """Counts latent dimensions whose posterior mean varies with x: Var_x(E_q[z_d]) > `threshold`.

    Burda, Grosse and Salakhutdinov (2016), section 5.2.

    Args:
      loc: posterior means `(count, latent_dim)`.
      threshold: least variance of an active dimension.
    """
    return int((np.var(loc, axis=0) > threshold).sum())


def gaussian_kl_per_dimension(loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns KL(N(loc, scale^2) || N(0, 1)) of each latent dimension in nats, mean over examples, `(latent_dim,)`."""
    return np.mean(0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale), axis=0)
