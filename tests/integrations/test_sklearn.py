"""VAETransformer among scikit-learn's own: its pipelines, and exact probabilistic PCA."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import keras_vae

SMALL = {"hidden_units": (4,), "epochs": 1, "num_importance_samples": 2, "random_state": 0}


def linear_gaussian(count, seed):
    """Draws x = W z + b + 0.5 eps in 5 dimensions, z in 2."""
    loadings = np.array([[1.0, 0.5, -0.5, 0.0, 1.0], [0.0, 1.0, 0.5, -1.0, -0.5]])
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 2)) @ loadings + 1.0 + 0.5 * random.normal(size=(count, 5))


@pytest.fixture(scope="module")
def linear():
    model = keras_vae.VAETransformer(2, hidden_units=(), epochs=60, learning_rate=1e-2, random_state=0)
    return model.fit(linear_gaussian(2000, 0))


def test_the_score_is_that_of_exact_probabilistic_pca(linear):
    x = linear_gaussian(1000, 1)
    exact = PCA(2).fit(linear_gaussian(2000, 0))
    # The noise of Adam's last steps and of 100 samples a row; the bound cannot pass the maximum by more.
    assert abs(linear.score(x) - exact.score(x)) < 0.05
    assert np.corrcoef(linear.score_samples(x), exact.score_samples(x))[0, 1] > 0.99


def test_the_codes_span_the_principal_subspace(linear):
    x = linear_gaussian(1000, 1)
    codes = linear.transform(x)
    scores = PCA(2).fit(linear_gaussian(2000, 0)).transform(x)
    design = np.column_stack([codes, np.ones(len(codes))])
    residual = scores - design @ np.linalg.lstsq(design, scores, rcond=None)[0]
    assert (residual.var(axis=0) / scores.var(axis=0)).max() < 0.02
    # Reconstruction loses about the noise.
    assert np.mean((linear.inverse_transform(codes) - x) ** 2) < 0.3


def test_a_pickle_gives_the_same_numbers(linear):
    x = linear_gaussian(20, 1)
    again = pickle.loads(pickle.dumps(linear))
    np.testing.assert_allclose(again.transform(x), linear.transform(x), rtol=1e-5)
    np.testing.assert_allclose(again.score_samples(x), linear.score_samples(x), rtol=1e-5)
    assert list(again.get_feature_names_out()) == ["vaetransformer0", "vaetransformer1"]
    assert not hasattr(clone(linear), "model_")


@pytest.mark.slow
def test_the_seed_decides_and_the_users_generator_is_left_alone():
    import random

    x = linear_gaussian(50, 0)
    state = random.getstate()
    first, second = (keras_vae.VAETransformer(2, **SMALL).fit(x).transform(x) for _ in range(2))
    other = keras_vae.VAETransformer(2, **{**SMALL, "random_state": 1}).fit(x).transform(x)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3
    assert random.getstate() == state


def test_samples_have_the_moments_of_the_data(linear):
    x, drawn = linear_gaussian(20000, 2), linear.sample(20000)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), atol=0.2)
    np.testing.assert_allclose(drawn.mean(axis=0), x.mean(axis=0), atol=0.15)


@pytest.mark.slow
def test_scikit_learn_takes_it_for_one_of_its_own():
    reason = "score_samples is a Monte Carlo bound: its noise belongs to the place of a row"
    expected = dict.fromkeys(("check_methods_sample_order_invariance", "check_methods_subset_invariance"), reason)
    results = check_estimator(
        keras_vae.VAETransformer(2, **SMALL), expected_failed_checks=expected, on_skip=None, on_fail=None
    )
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert sum(result["status"] == "passed" for result in results) > 40


@pytest.mark.slow
def test_a_grid_search_over_a_pipeline_picks_the_better_score():
    x = linear_gaussian(300, 0)
    small = keras_vae.VAETransformer(2, **{**SMALL, "hidden_units": (), "learning_rate": 1e-2})
    search = GridSearchCV(make_pipeline(StandardScaler(), small), {"vaetransformer__epochs": [1, 30]}, cv=2).fit(x)
    assert search.best_params_ == {"vaetransformer__epochs": 30}
    assert search.transform(x).shape == (300, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"likelihood": "poisson"}, "`likelihood` must be one of 'gaussian', 'bernoulli'"),
        ({"epochs": 0}, "`epochs` must be a positive integer. Received: epochs=0"),
        ({"n_components": 0}, "`n_components` must be a positive integer. Received: n_components=0"),
        ({"hidden_units": 5}, "`hidden_units` must be a tuple of positive integers. Received: hidden_units=5"),
        ({"likelihood": "bernoulli"}, "between 0 and 1|support of the likelihood"),
    ],
)
def test_bad_settings_are_said_in_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        keras_vae.VAETransformer(**{**SMALL, **settings}).fit(linear_gaussian(20, 0))


@pytest.mark.slow
def test_without_scikit_learn_the_extra_is_named():
    code = (
        "import sys; sys.modules['sklearn'] = None\nimport keras_vae\nassert 'sklearn.base' not in sys.modules\n"
        "keras_vae.VAETransformer"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert 'ImportError: this needs scikit-learn: pip install "keras_vae[eval]"' in result.stderr
