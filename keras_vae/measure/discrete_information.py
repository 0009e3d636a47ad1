"""Entropy and mutual information of integers, in nats."""

import numpy as np

from keras_vae.utils.arguments import ArrayLike, PositiveInt, checked


@checked
def discretize(codes: ArrayLike, num_bins: PositiveInt = 20) -> np.ndarray:
    """Returns the bin of each code `(count, latent_dim)`, from 0 to `num_bins` - 1 over the range of its dimension."""
    codes = np.asarray(codes, np.float64)
    low, width = codes.min(axis=0), np.ptp(codes, axis=0)
    position = (codes - low) / np.where(width > 0, width, 1.0)
    return np.minimum(position * num_bins, num_bins - 1).astype(np.int64)


@checked
def mutual_information(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Returns I(a_i; b_j) in nats for the columns of two integer arrays `(count, columns)`.

        I = sum_xy p(x, y) log(p(x, y) / (p(x) p(y))),  p the frequency

    Returns:
      Array `(columns of a, columns of b)`.
    """
    return np.array([[_mutual_information(column, other) for other in np.transpose(b)] for column in np.transpose(a)])


@checked
def entropy(values: ArrayLike) -> float:
    """Returns H = -sum_x p(x) log p(x) in nats of integers `(count,)`, with p the frequency."""
    p = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(p * np.log(p)).sum())


def _mutual_information(x, y):
    x, y = (np.unique(values, return_inverse=True)[1] for values in (x, y))
    joint = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(joint, (x, y), 1.0 / len(x))
    product = joint.sum(1, keepdims=True) * joint.sum(0)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / product[seen])).sum())
