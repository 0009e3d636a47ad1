"""Disentanglement of codes against known factors: MIG, SAP, DCI and the FactorVAE score.

Every score takes codes `(count, latent_dim)`, for example means of q(z|x), and the factors `(count, num_factors)` of
the same examples, as `keras_vae.data` gives them. Scores are in [0, 1], higher is better. They depend neither
on the order of the latent dimensions nor, but for the `min_variance` of the FactorVAE score, on their scale.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from keras_vae.measure.discrete_information import discretize, entropy, mutual_information
from keras_vae.utils.arguments import ArrayLike, Fraction, NonNegativeFloat, PositiveInt, Seed, checked
from keras_vae.utils.optional import scikit_learn
from keras_vae.utils.split import held_out
from keras_vae.utils.statistics import ACTIVE_VARIANCE

DEPTH = 12


class DCI(NamedTuple):
    """Scores of Eastwood and Williams (2018) in [0, 1], and the importances they are made of.

    Attributes:
      disentanglement: 1 if each latent dimension is important for only one factor.
      completeness: 1 if for each factor only one latent dimension is important.
      informativeness: accuracy of the factors predicted from the codes of held-out examples, mean over factors.
      importance: array `(latent_dim, num_factors)`, each column sums to 1.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: np.ndarray


@checked
def mig(codes: ArrayLike, factors: ArrayLike, num_bins: PositiveInt = 20) -> float:
    """Returns the mutual information gap: how much more the best latent dimension tells of a factor than the second.

        MIG = mean over factors k of (I(z_best; v_k) - I(z_second; v_k)) / H(v_k)

    Chen, Li, Grosse and Duvenaud, "Isolating sources of disentanglement in VAEs" (2018), equation 6. The mutual
    information is that of histograms of `num_bins` equal bins, as in Locatello et al. (2019). With few examples in a
    bin it is too large, by about (num_bins - 1) (values - 1) / (2 count) nats for a factor with so many values.

    Args:
      codes: array `(count, latent_dim)`.
      factors: integer array `(count, num_factors)`.
      num_bins: bins of each latent dimension between its least and its largest value, a positive integer.

    Raises:
      ValueError: if codes and factors do not fit, or a factor has one value only.
    """
    codes, factors = _checked(codes, factors)
    information = mutual_information(discretize(codes, num_bins), factors)
    return float(np.mean(_gap(information) / [entropy(factor) for factor in factors.T]))


@checked
def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    categorical: Collection[int] = (),
    test_fraction: Fraction = 0.5,
    seed: Seed = 0,
) -> float:
    """Returns the separated attribute predictability: how much better the best latent dimension predicts a factor.

        SAP = mean over factors k of (S_best,k - S_second,k)

    Kumar, Sattigeri and Balakrishnan, "Variational inference of disentangled latent concepts from unlabeled
    observations" (2018). For an ordered factor S is the R^2 of a line, which is its squared correlation with the
    dimension. For a categorical factor S is the balanced accuracy, on held-out examples, of thresholds on the dimension
    (a decision tree with one leaf for each class), so that its gap is at most 1 - 1/classes. Only this needs
    scikit-learn.

    Args:
      codes: array `(count, latent_dim)`.
      factors: integer array `(count, num_factors)`.
      categorical: indices of the factors that have no order.
      test_fraction: held-out share of the examples, in (0, 1).
      seed: seed of the split.

    Raises:
      ValueError: if codes and factors do not fit, or `categorical` has an index that is out of range.
      ImportError: if there are categorical factors but no scikit-learn.
    """
    codes, factors = _checked(codes, factors)
    if not set(categorical) <= set(range(factors.shape[1])):
        raise ValueError(
            f"`categorical` must hold numbers from 0 to {factors.shape[1] - 1}. Received: categorical={categorical!r}"
        )
    scores = _squared_correlation(codes, factors)
    for k in categorical:
        scores[:, k] = _threshold_accuracy(codes, factors[:, k], test_fraction, seed)
    return float(np.mean(_gap(scores)))


@checked
def dci(
    codes: ArrayLike, factors: ArrayLike, num_trees: PositiveInt = 40, test_fraction: Fraction = 0.5, seed: Seed = 0
) -> DCI:
    """Measures disentanglement, completeness and informativeness from the importances R of a random forest.

        D = sum_i w_i (1 - H(R_i. / sum_k R_ik) / log num_factors),  w_i = sum_k R_ik / sum R
        C = mean over factors k of (1 - H(R_.k / sum_i R_ik) / log latent_dim)

    Eastwood and Williams, "A framework for the quantitative evaluation of disentangled representations" (2018),
    section 2. For each factor a forest predicts its value, and R is the forest's decrease of impurity. The forest is
    scikit-learn's `RandomForestClassifier` with all dimensions open to every split and a depth of at most 12, which
    takes some seconds for thousands of examples.

    Args:
      codes: array `(count, latent_dim)`.
      factors: integer array `(count, num_factors)`.
      num_trees: trees of each forest, a positive integer.
      test_fraction: held-out share of the examples, in (0, 1).
      seed: seed of the split and of the forests.

    Raises:
      ValueError: if codes and factors do not fit.
      ImportError: without scikit-learn.
    """
    codes, factors = _checked(codes, factors)
    ensemble = scikit_learn("ensemble")
    train, test = held_out(len(codes), test_fraction, seed)
    importances, accuracy = [], []
    for factor in factors.T:
        forest = ensemble.RandomForestClassifier(int(num_trees), max_features=None, max_depth=DEPTH, random_state=seed)
        forest.fit(codes[train], factor[train])
        importances.append(forest.feature_importances_)
        accuracy.append(forest.score(codes[test], factor[test]))
    importance = np.stack(importances, axis=1)
    weight = importance.sum(axis=1) / max(importance.sum(), 1.0)
    disentanglement, completeness = float(weight @ _purity(importance, 1)), float(_purity(importance, 0).mean())
    return DCI(disentanglement, completeness, float(np.mean(accuracy)), importance)


@checked
def factor_vae_score(
    codes: ArrayLike,
    factors: ArrayLike,
    num_votes: PositiveInt = 2000,
    batch_size: PositiveInt = 64,
    min_variance: NonNegativeFloat = ACTIVE_VARIANCE,
    seed: Seed = 0,
) -> float:
    """Returns the accuracy of a majority vote that names the factor held fixed from the dimension that varies least.

    Each vote draws a factor k and a value of it, then `batch_size` examples with that value. The dimension d with the
    smallest variance, in units of its variance over all examples, votes for k. The classifier takes for each d the
    factor with most votes, and is scored on as many votes again. Chance is 1/num_factors. This is Kim and Mnih,
    "Disentangling by factorising" (2018), section 4, without the dimensions that collapsed to the prior. Rotated
    factors can score 1 too, if each has a dimension of its own in which it is the largest.

    Args:
      codes: array `(count, latent_dim)` of examples that cover the combinations of factors.
      factors: integer array `(count, num_factors)`.
      num_votes: votes to learn from and votes to score, each a positive integer.
      batch_size: examples in a vote, an integer of at least 2.
      min_variance: variance that a dimension must exceed to take part, at least 0; if none does, the score is 0.
      seed: seed of the draws.

    Raises:
      ValueError: if codes and factors do not fit.
    """
    codes, factors = _checked(codes, factors)
    if batch_size < 2:
        raise ValueError(f"`batch_size` must be an integer of at least 2. Received: batch_size={batch_size!r}")
    active = codes[:, codes.var(axis=0) > min_variance]
    if not active.shape[1]:
        return 0.0
    random = np.random.default_rng(seed)
    table, scored = (_votes(active / active.std(axis=0), factors, num_votes, batch_size, random) for _ in range(2))
    return float(scored[np.arange(len(table)), table.argmax(axis=1)].sum() / num_votes)


@checked
def disentanglement_scores(
    codes: ArrayLike, factors: ArrayLike, categorical: Collection[int] = (), seed: Seed = 0
) -> dict[str, float]:
    """Returns `mig`, `sap`, `dci_disentanglement`, `dci_completeness`, `dci_informativeness`, `factor_vae_score`.

    Args:
      codes: array `(count, latent_dim)`.
      factors: integer array `(count, num_factors)`.
      categorical: indices of the factors that have no order.
      seed: seed of splits, forests and votes.
    """
    disentanglement, completeness, informativeness, _ = dci(codes, factors, seed=seed)
    return {
        "mig": mig(codes, factors),
        "sap": sap(codes, factors, categorical, seed=seed),
        "dci_disentanglement": disentanglement,
        "dci_completeness": completeness,
        "dci_informativeness": informativeness,
        "factor_vae_score": factor_vae_score(codes, factors, seed=seed),
    }


# The parts that the scores are made of.


def _checked(codes, factors):
    codes, factors = np.asarray(codes, np.float64), np.asarray(factors)
    if codes.ndim != 2 or not codes.size or not np.isfinite(codes).all():
        raise ValueError(
            f"`codes` must be finite numbers (count, latent_dim). Received: codes with shape {codes.shape}"
        )
    if factors.ndim != 2 or len(factors) != len(codes) or not np.issubdtype(factors.dtype, np.integer):
        raise ValueError(
            f"`factors` must be integers ({len(codes)}, num_factors), as many as codes. "
            f"Received: {factors.dtype} with shape {factors.shape}"
        )
    constant = np.flatnonzero(np.ptp(factors, axis=0) == 0)
    if constant.size:
        raise ValueError(f"`factors` must have at least two values each. Received: one value in {constant.tolist()}")
    return codes, factors


def _gap(scores):
    """Returns the largest minus the second largest value of each column; a single row is returned as it is."""
    ordered = np.sort(np.concatenate([scores, np.zeros((1, scores.shape[1]))]), axis=0)
    return ordered[-1] - ordered[-2]


def _squared_correlation(codes, factors):
    """Returns R^2 of each pair, `(latent_dim, num_factors)`; it is 0 for a dimension that does not vary."""
    spread = codes.std(axis=0)
    z = (codes - codes.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    v = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    return (z.T @ v / len(z)) ** 2


def _threshold_accuracy(codes, factor, test_fraction, seed):
    """Returns the balanced accuracy of each dimension alone on held-out examples, `(latent_dim,)`."""
    tree, metrics = scikit_learn("tree"), scikit_learn("metrics")
    train, test = held_out(len(codes), test_fraction, seed)
    classes = len(np.unique(factor))
    scores = []
    for z in codes.T[:, :, None]:
        thresholds = tree.DecisionTreeClassifier(max_leaf_nodes=classes, class_weight="balanced", random_state=seed)
        predicted = thresholds.fit(z[train], factor[train]).predict(z[test])
        scores.append(metrics.balanced_accuracy_score(factor[test], predicted))
    return np.array(scores)


def _purity(importance, axis):
    """Returns 1 - H / log n of the n importances along `axis`; it is 0 if all of them are 0."""
    share = importance.sum(axis=axis, keepdims=True)
    p = importance / np.where(share > 0, share, 1.0)
    nats = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=axis)
    return np.where(share.squeeze(axis) > 0, 1.0 - nats / np.log(max(importance.shape[axis], 2)), 0.0)


def _votes(codes, factors, num_votes, batch_size, random):
    """Counts how often each dimension varied least while each factor was held fixed, `(latent_dim, num_factors)`."""
    votes = np.zeros((codes.shape[1], factors.shape[1]), np.int64)
    for k, size in enumerate(
        np.bincount(random.integers(factors.shape[1], size=num_votes), minlength=factors.shape[1])
    ):
        order = np.argsort(factors[:, k], kind="stable")
        _, starts, counts = np.unique(factors[order, k], return_index=True, return_counts=True)
        value = random.integers(len(starts), size=(size, 1))
        picked = starts[value] + random.integers(counts[value], size=(size, batch_size))
        least = codes[order[picked]].var(axis=1).argmin(axis=1)
        votes[:, k] += np.bincount(least, minlength=len(votes))
    return votes
