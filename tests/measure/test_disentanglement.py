"""Disentanglement scores where the answer is known."""

import sys

import numpy as np
import pytest
import scipy.fft
import scipy.stats

from keras_vae.data.sources.sprites import FACTOR_SIZES, sprites
from keras_vae.measure import discrete_information, disentanglement

# Every combination of factors 0 and 1 once.
GRID = np.indices((4, 5)).reshape(2, -1).T


@pytest.fixture(scope="module")
def factors():
    return sprites(16).factors


@pytest.fixture(scope="module")
def perfect(factors):
    """One dimension a factor, out of order and scale, and one dimension of noise."""
    noise = np.random.default_rng(0).normal(size=len(factors))
    return np.column_stack([0.3 * factors[:, 4], noise, -2 * factors[:, 0], *factors[:, 1:4].T]).astype(np.float32)


ROTATIONS = {
    # The cosine transform mixes evenly: no entry of it is large.
    "even": scipy.fft.dct(np.eye(5), norm="ortho"),
    "random": np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0],
}


def rotated(factors, kind="random"):
    """Each dimension a mixture of all factors: a rotation of factors of unit variance."""
    return (factors - factors.mean(0)) / factors.std(0) @ ROTATIONS[kind]


def test_perfect_codes_have_all_scores_at_their_best(perfect, factors):
    scores = disentanglement.disentanglement_scores(perfect, factors, categorical=[0])
    # The noise is not quite free of the factors in a sample: information of 19 * 3.8 / (2 * 4608) = 0.008 nats.
    assert scores.pop("mig") == pytest.approx(1.0, abs=0.02)
    # The gap of a factor of 3 classes is at most 2/3.
    assert scores.pop("sap") == pytest.approx((4 + 2 / 3) / 5, abs=0.01)
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0), abs=0.01)
    assert len(scores) == 4


@pytest.mark.slow
def test_random_codes_have_scores_near_chance(factors):
    codes = np.random.default_rng(0).normal(size=(len(factors), 6))
    scores = disentanglement.disentanglement_scores(codes, factors)
    chance = np.mean(1 / np.array(FACTOR_SIZES))
    assert scores["mig"] < 0.01
    assert scores["sap"] < 0.01
    assert scores["dci_disentanglement"] < 0.01
    assert scores["dci_completeness"] < 0.01
    assert scores["dci_informativeness"] == pytest.approx(chance, abs=0.03)
    # Of 6 dimensions and 5 factors the largest count is taken: chance and a little more.
    assert scores["factor_vae_score"] == pytest.approx(0.2, abs=0.04)


def test_evenly_rotated_codes_hold_everything_and_are_entangled(factors):
    scores = disentanglement.disentanglement_scores(rotated(factors, "even"), factors)
    assert scores["mig"] < 0.06
    assert scores["dci_disentanglement"] < 0.12
    assert scores["dci_completeness"] < 0.12
    assert scores["dci_informativeness"] > 0.85
    assert scores["factor_vae_score"] < 0.6


@pytest.mark.parametrize("kind", ROTATIONS)
def test_sap_of_rotated_factors_is_that_of_the_rotation(kind, factors):
    # The factors of a full grid are uncorrelated, so R^2 of dimension d and factor k is the rotation's [k, d]^2.
    squares = np.sort(ROTATIONS[kind] ** 2, axis=1)
    expected = (squares[:, -1] - squares[:, -2]).mean()
    assert disentanglement.sap(rotated(factors, kind), factors) == pytest.approx(expected, rel=1e-10)


def test_votes_go_to_the_dimension_that_loses_most_variance(factors):
    # Factor k held fixed takes [k, d]^2 off the variance of d. Large batches leave little to chance, and here no two
    # factors choose one dimension: rotated codes can be perfect to this score.
    assert len(set((ROTATIONS["random"] ** 2).argmax(axis=1))) == 5
    score = disentanglement.factor_vae_score(rotated(factors), factors, batch_size=2000, num_votes=100)
    assert score == 1.0


# Mutual information.


def counted(table):
    """Returns pairs (x, y) with the counts of `table`."""
    x, y = np.indices(np.shape(table)).reshape(2, -1)
    return np.repeat(x, np.ravel(table)), np.repeat(y, np.ravel(table))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[2, 2], [2, 2]], 0.0),
        ([[3, 0], [0, 3]], np.log(2)),
        ([[3, 1], [1, 3]], np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)),
        ([[1, 1, 0, 0], [0, 0, 1, 1]], np.log(2)),
        ([[2, 0, 0], [0, 1, 0], [0, 0, 1]], 1.5 * np.log(2)),
        ([[1, 2], [0, 1]], 0.25 * np.log(4 / 3) + 0.5 * np.log(8 / 9) + 0.25 * np.log(4 / 3)),
    ],
)
def test_mutual_information_is_the_closed_form_in_nats(table, expected):
    x, y = counted(table)
    actual = discrete_information.mutual_information(x[:, None], np.stack([y, x], 1))
    np.testing.assert_allclose(actual, [[expected, scipy.stats.entropy(np.sum(table, 1))]], atol=1e-12)
    assert discrete_information.entropy(y) == pytest.approx(scipy.stats.entropy(np.sum(table, 0)), rel=1e-12)


def test_mutual_information_of_a_binned_gaussian_is_near_the_closed_form():
    random, correlation = np.random.default_rng(0), 0.8
    x = random.normal(size=200_000)
    y = correlation * x + np.sqrt(1 - correlation**2) * random.normal(size=200_000)
    binned = discrete_information.discretize(np.stack([x, y], 1), 50)
    actual = discrete_information.mutual_information(binned[:, :1], binned[:, 1:])[0, 0]
    # Bins lose some of the information, never add: -log(1 - r^2) / 2 = 0.511 nats.
    assert 0.49 < actual < -0.5 * np.log(1 - correlation**2)


def test_bins_are_those_of_a_histogram():
    codes = np.random.default_rng(0).normal(size=(1000, 3))
    expected = [np.digitize(z, np.histogram(z, 20)[1][:-1]) - 1 for z in codes.T]
    np.testing.assert_array_equal(discrete_information.discretize(codes, 20), np.transpose(expected))
    np.testing.assert_array_equal(discrete_information.discretize(np.ones((4, 1))), np.zeros((4, 1)))


# The scores by hand.


def test_mig_is_the_gap_by_hand():
    x, y = counted([[3, 1], [1, 3]])
    # z_0 is the factor, z_1 a copy that is wrong one time in four: the gap is H(1/4) of log 2.
    actual = disentanglement.mig(np.stack([x, y], 1), x[:, None])
    assert actual == pytest.approx(scipy.stats.entropy([0.25, 0.75]) / np.log(2), rel=1e-12)


def test_a_single_dimension_has_nothing_to_share_with():
    codes = GRID[:, :1]
    assert disentanglement.mig(codes, GRID) == pytest.approx(0.5, abs=1e-12)
    assert disentanglement.sap(codes, GRID) == pytest.approx(0.5, abs=1e-12)


def test_two_dimensions_for_one_factor_cost_mig_sap_and_completeness_not_disentanglement(factors):
    codes = np.concatenate([factors, factors], axis=1)
    assert disentanglement.mig(codes, factors) == pytest.approx(0.0, abs=1e-12)
    assert disentanglement.sap(codes, factors) == pytest.approx(0.0, abs=1e-12)
    scores = disentanglement.dci(codes, factors)
    assert scores.disentanglement == pytest.approx(1.0, abs=0.01)
    # Two of ten dimensions share a factor: 1 - log 2 / log 10, and the trees share it about evenly.
    assert scores.completeness == pytest.approx(1 - np.log(2) / np.log(10), abs=0.05)


def test_sap_is_the_gap_of_squared_correlations_by_hand():
    noise = np.tile([1.0, -1.0], 10)
    codes = np.stack([GRID[:, 0], GRID[:, 0] + 3 * noise], 1)
    # Each column of noise is balanced in the factor's values: R^2 of z_1 is var / (var + 9), var = 1.25.
    codes, factor = np.tile(codes, (2, 1)), np.tile(GRID[:, :1], (2, 1))
    codes[20:, 1] = factor[20:, 0] - 3 * noise
    assert disentanglement.sap(codes, factor) == pytest.approx(1 - 1.25 / 10.25, rel=1e-12)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_sap_of_a_categorical_factor_does_not_see_the_order_of_its_classes(order):
    factor = np.tile(np.arange(3), 100)
    codes = np.stack([np.array(order)[factor], np.tile(np.arange(4), 75)], 1)
    assert disentanglement.sap(codes, factor[:, None], categorical=[0]) == pytest.approx(2 / 3, abs=0.06)


def test_sap_of_a_rare_class_weighs_it_as_much_as_the_others():
    random = np.random.default_rng(0)
    factor = (random.random((20_000, 1)) < 0.02).astype(int)
    # The best threshold between N(0, 1) and N(2, 1) is 1, with accuracy Phi(1); unweighted, nearly all are class 0.
    score = disentanglement.sap(2 * factor + random.normal(size=(20_000, 1)), factor, categorical=[0])
    assert score == pytest.approx(scipy.stats.norm.cdf(1.0), abs=0.05)


def test_dci_is_the_entropy_of_its_importances(factors):
    result = disentanglement.dci(rotated(factors), factors, num_trees=5)
    np.testing.assert_allclose(result.importance.sum(0), 1.0, rtol=1e-12)
    rows = 1 - scipy.stats.entropy(result.importance, axis=1) / np.log(5)
    np.testing.assert_allclose(result.disentanglement, np.average(rows, weights=result.importance.sum(1)), rtol=1e-10)
    columns = 1 - scipy.stats.entropy(result.importance, axis=0) / np.log(5)
    np.testing.assert_allclose(result.completeness, columns.mean(), rtol=1e-10)


def test_collapsed_codes_score_nothing():
    codes = np.zeros((20, 3))
    assert disentanglement.mig(codes, GRID) == 0.0
    assert disentanglement.sap(codes, GRID) == 0.0
    assert disentanglement.factor_vae_score(codes, GRID) == 0.0
    assert disentanglement.dci(codes, GRID, num_trees=3)[:2] == (0.0, 0.0)


def test_dimensions_that_vary_less_than_the_prior_s_hundredth_do_not_vote(factors):
    codes = rotated(factors)
    collapsed = 0.05 * np.random.default_rng(2).normal(size=(len(codes), 4))
    expected = disentanglement.factor_vae_score(codes, factors)
    assert disentanglement.factor_vae_score(np.hstack([collapsed, codes]), factors) == expected
    # Noise that may vote does so at times, since it is not always the one that varies most.
    assert disentanglement.factor_vae_score(np.hstack([collapsed, codes]), factors, min_variance=0.0) != expected


def test_votes_for_a_factor_that_no_dimension_holds_are_lost():
    # z_0 is factor 0 and z_1 is factor 2: the votes for factor 1 go to either, and are outvoted there.
    factors = np.indices((8, 8, 8)).reshape(3, -1).T
    score = disentanglement.factor_vae_score(factors[:, [0, 2]], factors)
    assert score == pytest.approx(2 / 3, abs=0.04)


SCORES = {
    "mig": disentanglement.mig,
    "sap": disentanglement.sap,
    "dci": lambda codes, factors: disentanglement.dci(codes, factors, num_trees=10)[:3],
    "factor_vae_score": disentanglement.factor_vae_score,
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("change", ["permuted", "scaled", "shifted", "examples"])
def test_scores_do_not_depend_on_order_and_scale(name, change, factors):
    codes = rotated(factors)
    order = np.random.default_rng(0).permutation(len(codes)) if change == "examples" else slice(None)
    changed = {"permuted": codes[:, [3, 0, 4, 1, 2]], "scaled": codes * [2, 16, 4, 8, 2], "shifted": codes + 4.0}
    actual = SCORES[name](changed.get(change, codes)[order], factors[order])
    # A forest breaks ties by chance, and another order of examples is another split and other draws.
    loose = name == "dci" or (change == "examples" and name == "factor_vae_score")
    np.testing.assert_allclose(actual, SCORES[name](codes, factors), atol=0.05 if loose else 1e-6)


# Errors.


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.ones(20), GRID, r"`codes` must be finite numbers .* Received: codes with shape \(20,\)"),
        (np.full((20, 2), np.nan), GRID, "`codes` must be finite"),
        (
            np.ones((19, 2)),
            GRID,
            r"`factors` must be integers \(19, num_factors\).*Received: int64 with shape \(20, 2\)",
        ),
        (np.ones((20, 2)), GRID * 0.5, "`factors` must be integers.*Received: float64"),
        (
            np.ones((20, 2)),
            GRID * [1, 0],
            r"`factors` must have at least two values each. Received: one value in \[1\]",
        ),
    ],
)
def test_codes_and_factors_that_do_not_fit_are_refused(score, codes, factors, message):
    with pytest.raises(ValueError, match=message):
        score(codes, factors)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: disentanglement.mig(GRID, GRID, num_bins=0), "`num_bins`.*num_bins=0"),
        (lambda: disentanglement.sap(GRID, GRID, categorical=[2]), r"`categorical` .* 0 to 1.*categorical=\[2\]"),
        (
            lambda: disentanglement.dci(GRID, GRID, test_fraction=1.0),
            "`test_fraction` must be a number between 0 and 1. Received: test_fraction=1.0",
        ),
        (lambda: disentanglement.dci(GRID, GRID, num_trees=0), "`num_trees`.*num_trees=0"),
        (lambda: disentanglement.factor_vae_score(GRID, GRID, batch_size=1), "`batch_size`.*batch_size=1"),
        (lambda: disentanglement.factor_vae_score(GRID, GRID, num_votes=0), "`num_votes`.*num_votes=0"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "keras_vae\[eval\]"'):
        disentanglement.dci(GRID, GRID)
    assert disentanglement.mig(GRID, GRID) == pytest.approx(1.0)
