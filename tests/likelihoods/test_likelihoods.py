"""Likelihood heads against closed forms."""

import keras
import numpy as np
import pytest
import reference
import scipy.stats
import tensorflow as tf
from helpers import slow_from

import keras_vae as kv
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import draw
from keras_vae.distributions.softplus import UNIT

COLOR = (4, 3, 3)


def at(head, parameters):
    """Returns the distribution of a head at given parameters."""
    return head.distribution(tf.constant(parameters, tf.float32)[..., None])


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_bernoulli_log_prob_is_the_closed_form_summed_over_pixels_and_channels(random):
    logits, x = random.normal(0, 3, (7, *COLOR)), random.integers(0, 2, (7, *COLOR))
    actual = at(kv.likelihoods.Bernoulli(COLOR), logits).log_prob(x.astype(np.float32))
    np.testing.assert_allclose(actual, reference.bernoulli_log_prob(x, logits), rtol=1e-5)


def test_bernoulli_accepts_gray_values(random):
    logits, x = random.normal(0, 3, (7, *COLOR)), random.random((7, *COLOR))
    actual = at(kv.likelihoods.Bernoulli(COLOR), logits).log_prob(x.astype(np.float32))
    np.testing.assert_allclose(actual, reference.bernoulli_log_prob(np.float32(x), logits), rtol=1e-5)


@pytest.mark.parametrize("logit", [-100.0, -88.0, 88.0, 100.0])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_bernoulli_is_finite_with_finite_gradient_at_extreme_logits(logit, x):
    parameters = tf.Variable(tf.fill((1, 1, 1, 1, 1), logit))
    with tf.GradientTape() as tape:
        log_prob = kv.likelihoods.Bernoulli((1, 1, 1)).distribution(parameters).log_prob(tf.fill((1, 1, 1, 1), x))
    expected = -max(logit, 0.0) if x == 0.0 else -max(-logit, 0.0)
    np.testing.assert_allclose(log_prob, [expected], atol=1e-6)
    np.testing.assert_allclose(tape.gradient(log_prob, parameters)[0, 0, 0, 0], [x - (logit > 0)], atol=1e-6)


def test_bernoulli_masses_sum_to_one():
    images = np.array([[(i >> b) & 1 for b in range(4)] for i in range(16)], np.float32).reshape(16, 2, 2, 1)
    logits = np.tile(np.random.default_rng(1).normal(size=(1, 2, 2, 1)), (16, 1, 1, 1))
    log_prob = at(kv.likelihoods.Bernoulli((2, 2, 1)), logits).log_prob(images)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_gaussian_log_prob_is_the_closed_form(random, scale):
    loc, x = random.normal(size=(7, *COLOR)), random.normal(size=(7, *COLOR)).astype(np.float32)
    actual = at(kv.likelihoods.Gaussian(COLOR, scale=scale), loc).log_prob(x)
    np.testing.assert_allclose(actual, reference.normal_log_prob(x, np.float32(loc), scale), rtol=1e-5)


def test_unit_gaussian_is_half_the_squared_distance_plus_a_constant(random):
    loc, x = random.normal(size=(7, *COLOR)), random.normal(size=(7, *COLOR)).astype(np.float32)
    squared = ((x - loc) ** 2).reshape(7, -1).sum(-1)
    constant = 0.5 * np.prod(COLOR) * np.log(2 * np.pi)
    np.testing.assert_allclose(
        -at(kv.likelihoods.Gaussian(COLOR), loc).log_prob(x), 0.5 * squared + constant, rtol=1e-5
    )


def test_maps_are_projected_by_a_kernel_of_the_size_asked_for(random):
    maps = random.normal(size=(2, 6, 7, 3)).astype(np.float32)
    head = kv.likelihoods.Gaussian((6, 7, 1), kernel_size=5)
    head = type(head).from_config(head.get_config())
    mean = head(maps).mean().numpy()
    kernel, bias = head.get_weights()
    assert kernel.shape == (5, 5, 3, 1)
    padded = np.pad(maps, ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    np.testing.assert_allclose(mean, np.einsum("bhwcij,ijco->bhwo", windows, kernel) + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("features", [(5,), (4, 3, 2)], ids=["flat", "map"])
@pytest.mark.parametrize("head", [kv.likelihoods.Bernoulli, kv.likelihoods.Gaussian])
def test_adapt_starts_at_the_mean_of_the_data(head, features):
    layer = head(COLOR)
    layer.build((None, *features))
    mean = np.broadcast_to([0.2, 0.5, 0.9], COLOR)
    layer.adapt(mean)
    actual = layer(tf.zeros((2, *features))).mean()
    # 0.01: the Bernoulli keeps 1% away from 0 and 1.
    np.testing.assert_allclose(actual, np.broadcast_to(mean, (2, *COLOR)), atol=0.01)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, np.nan], "finite"),
        ([0.0, np.inf], "finite"),
        ([0.0, 255.0], r"\[0, 1\].*from 0 to 255.*divide by 255"),
        ([-1.0, 1.0], r"\[0, 1\].*from -1 to 1"),
    ],
)
def test_bernoulli_names_values_outside_its_support(values, message):
    with pytest.raises(ValueError, match=message):
        kv.likelihoods.Bernoulli((1,)).validate(np.array(values))


def test_gaussian_takes_any_finite_value():
    kv.likelihoods.Gaussian((1,)).validate(np.array([-1e6, 1e6]))
    with pytest.raises(ValueError, match="finite"):
        kv.likelihoods.Gaussian((1,)).validate(np.array([0.0, np.nan]))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), "1"])
def test_gaussian_names_a_bad_scale(scale):
    with pytest.raises(ValueError, match="`scale` must be a positive number"):
        kv.likelihoods.Gaussian((1,), scale=scale)


@pytest.mark.parametrize("event_shape", [(0, 2, 1), (2.5,), 28, "ab"])
def test_a_bad_event_shape_is_named(event_shape):
    with pytest.raises(ValueError, match="`event_shape` must be a tuple of positive integers"):
        kv.likelihoods.Bernoulli(event_shape)


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical", "ContinuousBernoulli", "Gaussian"])
def test_densities_are_float32_under_mixed_precision_and_logits_alone_are_projected_in_half(name):
    head = getattr(kv.likelihoods, name)((2, 2, 1), dtype=keras.DTypePolicy("mixed_bfloat16"))
    head.build((None, 3))
    assert head(tf.ones((1, 3), tf.bfloat16)).log_prob(tf.ones((1, 2, 2, 1))).dtype == tf.float32
    has_logits = name in ("Bernoulli", "Categorical")
    assert head._projection.compute_dtype == ("bfloat16" if has_logits else "float32")


# Continuous Bernoulli.

LOGITS = (-100.0, -89.0, -20.0, -3.0, -0.3, -0.051, -0.049, -1e-3, 0.0, 1e-6, 0.02, 0.049, 0.051, 1.0, 8.0, 50.0, 100.0)


def continuous_bernoulli(logits):
    return at(kv.likelihoods.ContinuousBernoulli((1,)), np.reshape(logits, (-1, 1)))


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_log_prob_is_the_closed_form_with_finite_gradient(logit):
    x, parameters = tf.constant([[0.0], [0.3], [1.0]]), tf.Variable(tf.fill((3, 1, 1), logit))
    with tf.GradientTape() as tape:
        log_prob = kv.likelihoods.ContinuousBernoulli((1,)).distribution(parameters).log_prob(x)
    x, logit = np.float64(x[:, 0]), np.float64(np.float32(logit))
    expected = x * logit - reference.continuous_bernoulli_log_integral(logit)
    # 2e-6: half a unit in the last place of l x.
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=2e-6)
    step = 1e-4
    slope = np.diff(reference.continuous_bernoulli_log_integral(logit + np.array([-step, step])))[0] / (2 * step)
    np.testing.assert_allclose(tape.gradient(log_prob, parameters)[:, 0, 0], x - slope, atol=2e-4)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_density_integrates_to_one_and_has_its_mean(logit):
    # Points dense at both ends, where the density of a large logit is; weights by the trapezoid rule.
    half = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 4000)])
    x = np.concatenate([half, 1.0 - half[-2::-1]])
    density = np.exp(np.float64(continuous_bernoulli(np.full(len(x), logit)).log_prob(x[:, None].astype(np.float32))))
    np.testing.assert_allclose(np.trapezoid(density, x), 1.0, rtol=1e-4)
    mean = np.trapezoid(density * x, x)
    np.testing.assert_allclose(continuous_bernoulli(logit).mean(), [[mean]], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("logit", [-100.0, -3.0, -0.04, 0.0, 0.04, 0.06, 5.0, 100.0])
def test_continuous_bernoulli_draws_have_its_cdf(logit):
    x = draw(continuous_bernoulli(logit), Noise(0), (5000,)).numpy().ravel()
    assert np.all((x >= 0) & (x <= 1))

    def cdf(x):
        return x if logit == 0 else np.expm1(-np.abs(logit) * x) / np.expm1(-np.abs(logit))

    # The one of a positive logit is the mirror image.
    assert scipy.stats.kstest(1.0 - x if logit > 0 else x, cdf).pvalue > 1e-3


# Learned scales.

SCALED = {"Gaussian": reference.normal_log_prob, "Laplace": reference.laplace_log_prob}


def make_scaled(name, scale, **kwargs):
    head = getattr(kv.likelihoods, name)((4,), scale=scale, **kwargs)
    head.build((None, 3))
    return head


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("scale", [0.3, "shared", "per_value"])
def test_log_prob_with_each_kind_of_scale_is_the_closed_form(random, name, scale):
    head, x = make_scaled(name, scale, min_scale=0.01), random.normal(size=(7, 4)).astype(np.float32)
    parameters = random.normal(size=(7, 4, head.num_parameters)).astype(np.float32)
    expected_scale = 0.3 * np.ones((7, 4))
    if scale == "shared":
        head.raw_scale.assign(-0.7)
        expected_scale = (np.logaddexp(0, UNIT - 0.7) + 0.01) * np.ones((7, 4))
    elif scale == "per_value":
        expected_scale = np.logaddexp(0, UNIT + parameters[..., 1]) + 0.01
    p = head.distribution(tf.constant(parameters))
    np.testing.assert_allclose(p.log_prob(x), SCALED[name](x, parameters[..., 0], expected_scale), rtol=1e-5)
    np.testing.assert_allclose(p.mean(), parameters[..., 0], rtol=1e-6)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("scale", ["shared", "per_value"])
def test_a_learned_scale_starts_at_one(name, scale):
    p = make_scaled(name, scale, min_scale=1e-3)(tf.zeros((2, 3)))
    unit = np.sqrt(2) if name == "Laplace" else 1.0  # the deviation of a Laplace of scale 1
    np.testing.assert_allclose(p.stddev(), np.full((2, 4), 1.001 * unit), rtol=1e-5)


@pytest.mark.parametrize("name", SCALED)
def test_draws_of_real_values_have_their_cdf(name):
    head = make_scaled(name, "per_value")
    x = draw(head.distribution(tf.constant([[[0.5, -2.0], [-1.0, 1.0], [0.0, 0.0], [3.0, 0.0]]])), Noise(0), (5000,))
    for d, (loc, raw) in enumerate([(0.5, -2.0), (-1.0, 1.0), (0.0, 0.0), (3.0, 0.0)]):
        law = {"Gaussian": scipy.stats.norm, "Laplace": scipy.stats.laplace}[name]
        assert scipy.stats.kstest(x[:, 0, d], law(loc, np.logaddexp(0, raw + UNIT) + 1e-3).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", SCALED)
def test_the_best_shared_scale_is_the_size_of_the_residual(random, name):
    """sigma-VAE: RMS of the residual for the Gaussian, its mean absolute value for the Laplace."""
    head, x = make_scaled(name, "shared"), random.normal(0.0, 0.37, (500, 4)).astype(np.float32)
    best = np.sqrt((x**2).mean()) if name == "Gaussian" else np.abs(x).mean()
    parameters = tf.zeros((500, 4, 1))

    def slope(scale):
        head.raw_scale.assign(np.log(np.expm1(scale - 1e-3)) - UNIT)
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(head.distribution(parameters).log_prob(x))
        return float(tape.gradient(value, head.raw_scale))

    assert abs(slope(best)) < 1e-3
    assert slope(0.95 * best) > 0.05
    assert slope(1.05 * best) < -0.05


@pytest.mark.slow
def test_training_finds_the_shared_scale(random):
    x = random.normal([0.0, 1.0, -1.0], 0.2, (400, 3)).astype(np.float32)
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(1)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((3,), scale="shared")),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(3e-2))
    vae.adapt(x)
    vae.fit(x, batch_size=100, epochs=60, verbose=0)
    # 10%: the latent dimension explains some noise of four hundred examples.
    np.testing.assert_allclose(vae.decode(tf.zeros((1, 1))).stddev(), np.full((1, 3), 0.2), rtol=0.1)


# Levels.

LEVEL_HEADS = {
    "categorical": lambda shape: kv.likelihoods.Categorical(shape, 16),
    "logistic mixture": lambda shape: kv.likelihoods.DiscretizedLogisticMixture(shape, 16, 3),
}


def categorical(logits, num_levels, count=1):
    parameters = np.tile(np.float32(logits), (count, 1, 1))
    return kv.likelihoods.Categorical((1,), num_levels).distribution(tf.constant(parameters))


@pytest.mark.parametrize("num_levels", [2, 5, 256])
def test_categorical_is_the_softmax_of_its_logits_at_the_level(random, num_levels):
    logits = random.normal(0, 3, num_levels).astype(np.float32)
    levels = (np.arange(num_levels) / (num_levels - 1)).astype(np.float32)
    p = categorical(logits, num_levels, count=num_levels)
    log_prob = p.log_prob(levels[:, None])
    expected = np.float64(logits) - np.logaddexp.reduce(np.float64(logits))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.exp(np.float64(log_prob)).sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(p.mean()[0], [np.exp(expected) @ levels], rtol=1e-5)


@pytest.mark.parametrize("num_levels", [2, 5])
def test_categorical_draws_have_its_frequencies_on_the_levels(random, num_levels):
    logits = random.normal(size=num_levels).astype(np.float32)
    x = draw(categorical(logits, num_levels), Noise(0), (10_000,)).numpy().ravel()
    index = np.round(x * (num_levels - 1)).astype(int)
    np.testing.assert_allclose(x, index / (num_levels - 1), rtol=1e-6)
    expected = 10_000 * np.exp(logits) / np.exp(logits).sum()
    assert scipy.stats.chisquare(np.bincount(index, minlength=num_levels), expected, sum_check=False).pvalue > 1e-3


@pytest.mark.parametrize("name", ["gaussian", "logistic mixture", "categorical"])
def test_log_prob_takes_leading_sample_dimensions(random, name):
    head = {"gaussian": kv.likelihoods.Gaussian, **LEVEL_HEADS}[name]((2,))
    p = head.distribution(tf.constant(random.normal(size=(3, 2, head.num_parameters)), tf.float32))
    x = draw(p, Noise(0), (4,))
    np.testing.assert_allclose(p.log_prob(x), [p.log_prob(value) for value in x], rtol=1e-5)


def test_categorical_is_summed_over_values(random):
    head = kv.likelihoods.Categorical(COLOR, 4)
    logits, index = random.normal(size=(2, *COLOR, 4)).astype(np.float32), random.integers(0, 4, (2, *COLOR))
    normalized = logits - np.logaddexp.reduce(np.float64(logits), axis=-1, keepdims=True)
    expected = np.take_along_axis(normalized, index[..., None], -1).reshape(2, -1).sum(-1)
    actual = head.distribution(tf.constant(logits)).log_prob((index / 3).astype(np.float32))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def logistic_parameters(loc, scale, logits=None):
    """Returns raw parameters `(1, 1, 3 K)` of a mixture with these locations and scales (min_scale 1e-3)."""
    loc, scale = np.float64(loc), np.float64(scale)
    logits = np.zeros(len(loc)) if logits is None else np.float64(logits)
    spread = (np.arange(len(loc)) + 0.5) / len(loc)
    raw_scale = np.log(np.expm1(np.maximum(scale - 1e-3, 1e-12) / 0.1)) - UNIT
    return np.concatenate([logits, loc - spread, raw_scale])[None, None].astype(np.float32)


def logistic_mixture(parameters, num_levels=256):
    size = parameters.shape[-1] // 3
    return kv.likelihoods.DiscretizedLogisticMixture((1,), num_levels, size).distribution(
        tf.convert_to_tensor(parameters)
    )


def logistic_reference(loc, scale, logits, num_levels=256):
    levels = np.arange(num_levels) / (num_levels - 1)
    logits = np.zeros(len(loc)) if logits is None else np.float64(logits)
    parts = [
        reference.discretized_logistic_log_prob(levels, *pair, num_levels) for pair in zip(loc, scale, strict=True)
    ]
    return levels, np.logaddexp.reduce(np.stack(parts, -1) + logits - np.logaddexp.reduce(logits), axis=-1)


MIXTURES = {
    "one": ([0.4], [0.05], None),
    "between levels": ([100.5 / 255], [0.0015], None),
    "narrowest": ([0.4], [1.0000001e-3], None),
    "wide": ([0.5], [10.0], None),
    "at the end": ([1.0], [0.02], None),
    "of a new head": ([0.1], [0.101], None),
    "far below": ([-30.0], [0.1], None),
    "far above and narrow": ([100.0], [1.0000001e-3], None),
    "three": ([0.1, 0.5, 0.95], [0.02, 0.3, 0.004], [0.5, -1.0, 2.0]),
    "one of them far away": ([0.3, 50.0], [0.1, 0.002], [0.0, 3.0]),
}


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("num_levels", [2, 32, 256])
def test_logistic_mixture_masses_are_the_closed_form_and_sum_to_one(name, num_levels):
    levels, expected = logistic_reference(*MIXTURES[name], num_levels)
    p = logistic_mixture(logistic_parameters(*MIXTURES[name]), num_levels)
    log_prob = np.float64(p.log_prob(levels[:, None, None].astype(np.float32)))[:, 0]
    # Far out, log p is about -|x - loc| / scale: its error is that of float32 parameters, a part in 10^4 of itself.
    np.testing.assert_allclose(log_prob, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-3)


@pytest.mark.parametrize("name", MIXTURES)
def test_logistic_mixture_has_finite_gradients_at_every_level(name):
    levels = np.arange(256, dtype=np.float32)[:, None] / 255
    parameters = tf.Variable(np.repeat(logistic_parameters(*MIXTURES[name]), 256, axis=0))
    with tf.GradientTape() as tape:
        log_prob = logistic_mixture(parameters).log_prob(levels)
    assert np.all(np.isfinite(log_prob))
    assert np.all(np.isfinite(tape.gradient(log_prob, parameters)))


@pytest.mark.parametrize("raw_scale", [-50.0, 0.0, 50.0])
@pytest.mark.parametrize("loc", [-1e4, 1e4, -1e6, 1e6])
def test_logistic_mixture_is_finite_at_any_location(loc, raw_scale):
    parameters = tf.Variable([[[0.0, loc, raw_scale]]])
    with tf.GradientTape() as tape:
        log_prob = logistic_mixture(parameters).log_prob([[128 / 255]])
    assert np.all(np.isfinite(log_prob))
    assert np.all(np.isfinite(tape.gradient(log_prob, parameters)))


@pytest.mark.parametrize("name", MIXTURES)
def test_logistic_mixture_draws_have_its_masses(name):
    _, expected = logistic_reference(*MIXTURES[name])
    x = draw(logistic_mixture(logistic_parameters(*MIXTURES[name])), Noise(0), (10_000,)).numpy().ravel()
    index = np.round(x * 255).astype(int)
    np.testing.assert_allclose(x, index / 255, rtol=1e-6)
    # Levels in groups of at least fifty expected draws.
    groups = np.floor(np.cumsum(np.exp(expected)) * 20 - 1e-9).clip(0, 19).astype(int)
    counts = np.bincount(groups, np.bincount(index, minlength=256), 20)
    masses = np.bincount(groups, np.exp(expected), 20)
    kept = masses > 5e-3
    chi = ((counts - 10_000 * masses)[kept] ** 2 / (10_000 * masses[kept])).sum()
    assert counts[~kept].sum() <= 10_000 * masses[~kept].sum() + 50
    assert scipy.stats.chi2.sf(chi, max(kept.sum() - 1, 1)) > 1e-3


@pytest.mark.parametrize("name", ["one", "between levels", "far below", "far above and narrow", "wide", "at the end"])
def test_logistic_mixture_mean_is_that_of_its_masses(name):
    mean = float(logistic_mixture(logistic_parameters(*MIXTURES[name])).mean()[0, 0])
    levels, log_masses = logistic_reference(*MIXTURES[name])
    # 1e-4: rounding to levels moves it by that much at the most.
    np.testing.assert_allclose(mean, np.exp(log_masses) @ levels, atol=1e-4)


def test_logistic_mixture_mean_weighs_its_components():
    loc, scale, logits = [0.2, 50.0], [0.01, 0.01], [0.0, np.log(3.0)]
    mean = logistic_mixture(logistic_parameters(loc, scale, logits)).mean()
    np.testing.assert_allclose(mean, [[0.25 * 0.2 + 0.75 * 1.0]], rtol=1e-5)


# The heads as parts of a decoder.

HEADS = {
    **LEVEL_HEADS,
    "bernoulli": kv.likelihoods.Bernoulli,
    "continuous bernoulli": kv.likelihoods.ContinuousBernoulli,
    "shared gaussian": lambda shape: kv.likelihoods.Gaussian(shape, scale="shared"),
    "gaussian of each value": lambda shape: kv.likelihoods.Gaussian(shape, scale="per_value"),
    "laplace": lambda shape: kv.likelihoods.Laplace(shape, scale=0.5),
    "laplace of each value": lambda shape: kv.likelihoods.Laplace(shape, scale="per_value"),
}


@pytest.mark.parametrize("features", [(5,), (4, 3, 2)], ids=["flat", "map"])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_starts_near_the_mean_of_the_data(name, features):
    layer = HEADS[name](COLOR)
    layer.build((None, *features))
    mean = np.broadcast_to([0.2, 0.5, 0.8], COLOR)
    layer.adapt(mean)
    actual = layer(tf.zeros((2, *features))).mean()
    # The Bernoullis keep 1% away from the ends; a logistic mixture shares its locations among its components.
    atol = 0.06 if name == "logistic mixture" else 0.01
    np.testing.assert_allclose(actual, np.broadcast_to(mean, (2, *COLOR)), atol=atol)


@pytest.mark.parametrize("features", [(5,), (4, 3, 2)], ids=["flat", "map"])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_draws_what_it_can_take_and_prices_it(name, features):
    layer = HEADS[name](COLOR)
    layer.build((None, *features))
    p = layer(tf.random.stateless_normal((3, *features), [1, 2]))
    x = draw(p, Noise(0))
    layer.validate(x.numpy())
    assert p.log_prob(x).shape == (3,)
    # The event is summed: one value changed changes the number by that value's own term.
    draws = draw(p, Noise(1), (500,))
    error = draws.numpy().std(0) / np.sqrt(500)
    assert np.all(np.abs(draws.numpy().mean(0) - p.mean()) < 4.5 * error + 1e-3)


@pytest.mark.parametrize("name", HEADS)
def test_config_comes_back_through_keras_serialization(name):
    head = HEADS[name](COLOR)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(copy) is type(head)
    assert copy.get_config() == head.get_config()


@pytest.mark.parametrize("name", slow_from(1, ["shared gaussian", *LEVEL_HEADS, "laplace of each value"]))
def test_a_head_trains_and_is_kept_in_a_saved_model(name, tmp_path):
    x = (np.random.default_rng(0).integers(0, 2, (40, 3, 2, 1)) * np.linspace(0, 1, 6).round().reshape(3, 2, 1)).astype(
        np.float32
    )
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([4]), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([4]), HEADS[name]((3, 2, 1))),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.adapt(x)
    history = vae.fit(x, batch_size=20, epochs=6, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0]
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(copy.log_prob(x, 5), vae.log_prob(x, 5), rtol=1e-5)
    np.testing.assert_array_equal(copy.sample(5, seed=1, output="sample"), vae.sample(5, seed=1, output="sample"))


@pytest.mark.parametrize("name", LEVEL_HEADS)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 0.5, 1.0], r"`x` must lie on 16 equally spaced levels .* Received: x with values between them"),
        ([0.0, 1.0 / 15 + 1e-3], r"`x` must lie on 16 equally spaced levels"),
        ([0.0, 2.0], r"`x` must lie in \[0, 1\].*from 0 to 2"),
        ([-1.0 / 15, 0.0], r"`x` must lie in \[0, 1\]"),
        ([0.0, np.nan], "`x` must be finite"),
    ],
)
def test_a_head_of_levels_names_values_off_its_levels(name, values, message):
    LEVEL_HEADS[name]((1,)).validate(np.arange(16, dtype=np.float32) / 15)
    with pytest.raises(ValueError, match=message):
        LEVEL_HEADS[name]((1,)).validate(np.array(values, np.float32))


def test_fit_names_a_value_between_levels():
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(1)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Categorical((2,), 3)),
    )
    vae.compile()
    x = np.full((8, 2), 0.5, np.float32)
    vae.fit(x, verbose=0)
    x[3, 1] = 0.4
    with pytest.raises(ValueError, match="`x` must lie on 3 equally spaced levels"):
        vae.fit(x, verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kv.likelihoods.Categorical((1,), 1), "`num_levels` must be at least 2"),
        (lambda: kv.likelihoods.Categorical((1,), 2.5), "`num_levels` must be a positive integer"),
        (lambda: kv.likelihoods.DiscretizedLogisticMixture((1,), num_components=0), "`num_components` must be"),
        (lambda: kv.likelihoods.DiscretizedLogisticMixture((1,), min_scale=0.0), "`min_scale` must be a positive"),
        (lambda: kv.likelihoods.Gaussian((1,), scale="learned"), "`scale` must be"),
        (lambda: kv.likelihoods.Laplace((1,), scale="shared", min_scale=-1.0), "`min_scale` must be a positive"),
    ],
)
def test_a_bad_argument_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
