"""Oracles in float64 NumPy, written from the formulas and without looking at the package."""

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


def laplace_log_prob(x, loc, scale):
    """Sum over all but the first axis of log exp(-|x - loc| / scale) / (2 scale)."""
    x, loc, scale = np.float64(x), np.float64(loc), np.float64(scale)
    terms = -np.abs(x - loc) / scale - np.log(2.0 * scale)
    return terms.reshape(len(terms), -1).sum(-1)


def full_gaussian_kl(loc, covariance):
    """KL(N(loc, covariance) || N(0, I)) of one Gaussian."""
    loc, covariance = np.float64(loc), np.float64(covariance)
    return 0.5 * (loc @ loc + np.trace(covariance) - len(loc) - np.linalg.slogdet(covariance)[1])


def laplace_kl(loc, scale):
    """KL(Laplace(loc, scale) || N(0, 1)): E[z^2] = loc^2 + 2 scale^2, the entropy is 1 + log(2 scale)."""
    return 0.5 * np.log(2 * np.pi) + 0.5 * (loc**2 + 2 * scale**2) - 1.0 - np.log(2 * scale)


def log_mean_exp(values, axis=0):
    """log of the mean of exp(values)."""
    values = np.float64(values)
    return np.logaddexp.reduce(values, axis=axis) - np.log(values.shape[axis])


def gaussian_mixture_log_prob(z, weights, loc, scale):
    """log sum_k w_k N(z; loc_k, diag(scale_k^2)) of each row of z."""
    components = [normal_log_prob(z, *pair) for pair in zip(loc, scale, strict=True)]
    return np.logaddexp.reduce(np.stack(components, -1) + np.log(weights), axis=-1)


def continuous_bernoulli_log_integral(logits):
    """log of the integral of exp(l x) over [0, 1], which is log((exp(l) - 1) / l), and 0 at l = 0."""
    logits = np.float64(logits)
    size = np.where(logits == 0, 1.0, np.abs(logits))
    return np.where(logits == 0, 0.0, np.maximum(logits, 0.0) + np.log(-np.expm1(-size)) - np.log(size))


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def discretized_logistic_log_prob(x, loc, scale, num_levels):
    """log of S((x + h - loc) / s) - S((x - h - loc) / s), h half a level; the outer levels have the tails too."""
    x, half = np.float64(x), 0.5 / (num_levels - 1)
    upper, lower = (x + half - loc) / scale, (x - half - loc) / scale
    # The logistic is symmetric, so the difference can be taken in the left tail, where neither sigmoid is near 1.
    right = upper + lower > 0
    high, low = np.where(right, -lower, upper), np.where(right, -upper, lower)
    inside = _log_sigmoid(high) + np.log(-np.expm1(_log_sigmoid(low) - _log_sigmoid(high)))
    return np.where(x < half, _log_sigmoid(upper), np.where(x > 1 - half, _log_sigmoid(-lower), inside))


def maximum_mean_discrepancy(a, b):
    """Unbiased squared MMD by loops over pairs, with the inverse multiquadric kernels of Tolstikhin et al. (2018)."""
    scales = 2.0 * a.shape[1] * np.array([0.1, 0.2, 0.5, 1, 2, 5, 10])

    def kernel(p, q):
        return (scales / (scales + ((p - q) ** 2).sum())).sum()

    def within(points):
        return np.mean([kernel(p, q) for i, p in enumerate(points) for j, q in enumerate(points) if i != j])

    return within(np.float64(a)) + within(np.float64(b)) - 2 * np.mean([kernel(p, q) for p in a for q in b])


def total_correlation_terms(z, loc, scale, dataset_size):
    """Mutual information, total correlation, dimension-wise KL of each row by minibatch-weighted sampling."""
    z, loc, scale = np.float64(z), np.float64(loc), np.float64(scale)
    pairs = -0.5 * ((z[:, None] - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    normalizer = np.log(len(z) * dataset_size)
    joint = np.logaddexp.reduce(pairs.sum(-1), axis=1) - normalizer
    marginals = (np.logaddexp.reduce(pairs, axis=1) - normalizer).sum(-1)
    return normal_log_prob(z, loc, scale) - joint, joint - marginals, marginals - normal_log_prob(z, 0 * z, 1.0)


def within_error(values, expected, num_errors=4.0):
    """Whether the mean over the first axis is within `num_errors` standard errors of `expected`, for every element."""
    values = np.float64(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return bool(np.all(np.abs(values.mean(axis=0) - expected) <= num_errors * error))


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

    @property
    def posterior_precision(self):
        """I + W^T W."""
        return np.eye(self.latent_dim) + self.weights.T @ self.weights

    def best_diagonal(self):
        """Variances of the diagonal Gaussian nearest to the posterior in KL(q || p), and that KL."""
        precision = self.posterior_precision
        variances = 1.0 / np.diag(precision)
        return variances, -0.5 * (np.linalg.slogdet(precision)[1] + np.log(variances).sum())

    def best_isotropic(self):
        """Variances of the isotropic Gaussian nearest to the posterior in KL(q || p), and that KL."""
        precision = self.posterior_precision
        variances = np.full(self.latent_dim, self.latent_dim / np.trace(precision))
        return variances, -0.5 * (np.linalg.slogdet(precision)[1] + np.log(variances).sum())
