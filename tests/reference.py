"""Oracles in float64 NumPy, written from the formulas and not from the package."""

import numpy as np


def bernoulli_log_prob(x, logits):
    """Sum over all but the first axis of x log p + (1 - x) log(1 - p), stable for any logit."""
    x, logits = np.float64(x), np.float64(logits)
    terms = x * logits - np.logaddexp(0.0, logits)
    return terms.reshape(len(terms), -1).sum(-1)


def normal_log_prob(x, loc, scale):
    """Sum over all but the first axis of log N(x; loc, scale^2)."""
    x, loc, scale = np.float64(x), np.float64(loc), np.float64(scale)
    terms = -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    return terms.reshape(len(terms), -1).sum(-1)


def standard_normal_kl(loc, scale):
    """KL(N(loc, diag(scale^2)) || N(0, I)) of each row."""
    loc, scale = np.float64(loc), np.float64(scale)
    return 0.5 * (loc**2 + scale**2 - 1.0 - 2.0 * np.log(scale)).sum(-1)


def gaussian_log_prob(x, loc, covariance):
    """log N(x; loc, covariance) of each row."""
    x, covariance = np.float64(x) - loc, np.float64(covariance)
    mahalanobis = np.einsum("ni,ij,nj->n", x, np.linalg.inv(covariance), x)
    return -0.5 * (mahalanobis + np.linalg.slogdet(covariance)[1] + x.shape[1] * np.log(2 * np.pi))


class LinearGaussian:
    """Probabilistic PCA: z ~ N(0, I), x | z ~ N(W z + b, I); evidence and posterior are known exactly.

    Tipping and Bishop, "Probabilistic principal component analysis" (1999).

    Args:
      weights: W `(dim_x, latent_dim)`.
      bias: b `(dim_x,)`.
    """

    def __init__(self, weights, bias):
        self.weights, self.bias = np.float64(weights), np.float64(bias)
        self.latent_dim = self.weights.shape[1]

    def log_evidence(self, x):
        """log p(x) = log N(x; b, W W^T + I)."""
        return gaussian_log_prob(x, self.bias, self.weights @ self.weights.T + np.eye(len(self.weights)))

    @property
    def posterior_covariance(self):
        """(I + W^T W)^-1."""
        return np.linalg.inv(np.eye(self.latent_dim) + self.weights.T @ self.weights)

    def posterior_mean(self, x):
        """(I + W^T W)^-1 W^T (x - b)."""
        return (np.float64(x) - self.bias) @ self.weights @ self.posterior_covariance

    def elbo(self, x, loc, covariance):
        """E_q[log p(x|z)] - KL(q || p) for q = N(loc, covariance), in closed form."""
        gap = np.float64(loc) - self.posterior_mean(x)
        precision = np.linalg.inv(self.posterior_covariance)
        kl = 0.5 * (
            np.trace(precision @ covariance)
            + np.einsum("ni,ij,nj->n", gap, precision, gap)
            - self.latent_dim
            - np.linalg.slogdet(precision @ covariance)[1]
        )
        return self.log_evidence(x) - kl

    def sample(self, count, seed=0):
        """Draws x `(count, dim_x)`."""
        random = np.random.default_rng(seed)
        z = random.normal(size=(count, self.latent_dim))
        return (z @ self.weights.T + self.bias + random.normal(size=(count, len(self.weights)))).astype(np.float32)
