"""Posterior and prior heads against closed forms."""

import keras
import numpy as np
import pytest
import reference
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import shake, slow_from

import keras_vae as kv
from keras_vae import objectives
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import center, draw
from keras_vae.distributions.softplus import UNIT

tfd = tfp.distributions
FLOWS = ("Flow", "IAF")
NAMES = ("DiagonalGaussian", "IsotropicGaussian", "FullGaussian", "Laplace", *FLOWS)
HEADS = {name: getattr(kv.posteriors, name) for name in NAMES}
FEATURES = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)


def make_head(name, latent_dim=3, **kwargs):
    """Returns a head for features `(batch, 5)` with weights at random."""
    head = HEADS[name](latent_dim, **kwargs)
    head.build((None, 5))
    shake(head, 0.4, seed=3)
    if name in FLOWS:
        shake(head._flow, 0.1, seed=4)
    return head


def parameters_of(name, latent_dim=3):
    """Returns the float64 parameters that a head of `make_head` projects, `(4, num_parameters)`."""
    kernel, bias = (np.float64(w) for w in make_head(name, latent_dim)._projection.get_weights())
    return FEATURES @ kernel + bias


def scale_of(raw):
    return np.logaddexp(0.0, raw + UNIT) + 1e-4


def lower_triangle(raw):
    """Returns L of one example by the clockwise spiral of `tfp.math.fill_triangular`."""
    latent_dim = round((np.sqrt(8 * len(raw) + 1) - 1) / 2)
    square = np.concatenate([raw[latent_dim:], raw[::-1]]).reshape(latent_dim, latent_dim)
    lower = np.tril(square)
    np.fill_diagonal(lower, scale_of(np.diag(lower)))
    return lower


def test_zero_parameters_are_the_standard_normal_up_to_the_floor():
    q = kv.posteriors.DiagonalGaussian(3, min_scale=1e-4).distribution(tf.zeros((2, 6)))
    np.testing.assert_allclose(q.mean(), np.zeros((2, 3)))
    np.testing.assert_allclose(q.stddev(), np.full((2, 3), 1.0001), rtol=1e-5)


@pytest.mark.parametrize("raw", [-100.0, -20.0, 0.0, 50.0])
def test_scale_is_softplus_plus_floor_and_never_below_it(raw):
    q = kv.posteriors.DiagonalGaussian(1, min_scale=1e-3).distribution(tf.constant([[0.0, raw]]))
    np.testing.assert_allclose(q.stddev(), [[np.logaddexp(0.0, raw + UNIT) + 1e-3]], rtol=1e-5)


def test_log_prob_is_the_closed_form():
    random = np.random.default_rng(0)
    parameters, z = random.normal(size=(5, 6)).astype(np.float32), random.normal(size=(5, 3)).astype(np.float32)
    q = kv.posteriors.DiagonalGaussian(3).distribution(tf.constant(parameters))
    scale = np.logaddexp(0.0, parameters[:, 3:] + UNIT) + 1e-4
    np.testing.assert_allclose(q.log_prob(z), reference.normal_log_prob(z, parameters[:, :3], scale), rtol=1e-5)


def test_standard_normal_log_prob_is_the_closed_form():
    z = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(
        kv.priors.StandardNormal(4)().log_prob(z), reference.normal_log_prob(z, np.zeros(4), np.ones(4)), rtol=1e-5
    )


@pytest.mark.parametrize("latent_dim", [0, -1, 2.5, "3", True, None])
@pytest.mark.parametrize("head", [*HEADS.values(), kv.priors.StandardNormal])
def test_a_bad_latent_dim_is_named(head, latent_dim):
    with pytest.raises(ValueError, match="`latent_dim` must be a positive integer"):
        head(latent_dim)


def test_posterior_flattens_feature_maps():
    head = kv.posteriors.DiagonalGaussian(2)
    head.build((None, 3, 2, 4))
    q = head(tf.ones((5, 3, 2, 4)))
    assert isinstance(q, tfd.Distribution)
    assert (q.batch_shape, q.event_shape) == ((5,), (2,))


# Each head against its closed form.


def test_isotropic_log_prob_is_the_closed_form_with_one_scale():
    parameters, z = parameters_of("IsotropicGaussian"), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    q = make_head("IsotropicGaussian")(FEATURES)
    loc, scale = parameters[:, :3], scale_of(parameters[:, 3:])
    np.testing.assert_allclose(q.log_prob(z), reference.normal_log_prob(z, loc, scale + 0 * loc), rtol=1e-5)
    np.testing.assert_allclose(q.stddev(), scale + 0 * loc, rtol=1e-5)


def test_full_gaussian_log_prob_is_the_closed_form():
    parameters, z = parameters_of("FullGaussian"), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    q = make_head("FullGaussian")(FEATURES)
    for i in range(4):
        lower = lower_triangle(parameters[i, 3:])
        assert np.abs(lower - np.diag(np.diag(lower))).max() > 0.3
        np.testing.assert_allclose(q.covariance()[i], lower @ lower.T, rtol=1e-4, atol=1e-5)
        expected = reference.gaussian_log_prob(z[i : i + 1], parameters[i, :3], lower @ lower.T)
        # rtol 1e-4: a triangular solve in float32.
        np.testing.assert_allclose(q.log_prob(z)[i], expected[0], rtol=1e-4)


def test_laplace_log_prob_is_the_closed_form():
    parameters, z = parameters_of("Laplace"), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    expected = reference.laplace_log_prob(z, parameters[:, :3], scale_of(parameters[:, 3:]))
    np.testing.assert_allclose(make_head("Laplace")(FEATURES).log_prob(z), expected, rtol=1e-5)


@pytest.mark.parametrize("name", FLOWS)
def test_a_new_flow_is_the_diagonal_gaussian(name):
    flow, gaussian = HEADS[name](3), kv.posteriors.DiagonalGaussian(3)
    for head in (flow, gaussian):
        head.build((None, 5))
    gaussian._projection.set_weights(flow._projection.get_weights())
    z = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(flow(FEATURES).log_prob(z), gaussian(FEATURES).log_prob(z), rtol=1e-5)
    np.testing.assert_allclose(draw(flow(FEATURES), Noise(0)), draw(gaussian(FEATURES), Noise(0)), rtol=1e-6)


@pytest.mark.parametrize("name", slow_from(2, NAMES))
def test_densities_integrate_to_one(name):
    q = make_head(name, latent_dim=2)(FEATURES[:1])
    spread = np.abs(draw(q, Noise(0), (2000,))).max() + 1.5
    axis = np.linspace(-spread, spread, 500, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2)
    mass = np.exp(np.float64(q.log_prob(grid))).sum() * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(mass, 1.0, atol=5e-3)  # a grid of 500 x 500


@pytest.mark.parametrize(
    ("name", "count"),
    [("DiagonalGaussian", 6), ("IsotropicGaussian", 4), ("FullGaussian", 9), ("Laplace", 6), ("Flow", 6), ("IAF", 6)],
)
def test_number_of_parameters(name, count):
    assert make_head(name).num_parameters == count
    assert make_head(name)._projection.units == count


@pytest.mark.parametrize("name", NAMES)
def test_zero_features_of_a_new_head_have_mean_zero_and_scale_one(name):
    head = HEADS[name](3)
    head.build((None, 5))
    q = head(tf.zeros((2, 5)))
    np.testing.assert_allclose(center(q), np.zeros((2, 3)), atol=1e-7)
    scale = 1 / np.sqrt(2) if name == "Laplace" else 1.0  # a Laplace of scale 1 has variance 2
    draws = draw(q, Noise(0), (20_000,)).numpy() * scale
    # The kurtosis of a Laplace is 6, of a normal 3.
    error = np.sqrt((5 if name == "Laplace" else 2) / 20_000)
    np.testing.assert_allclose(draws.var(0), np.ones((2, 3)), atol=4 * error + 3e-4)


# Draws.


def marginal_cdf(name, example, dimension):
    """Returns the CDF of one coordinate of one example, from the formulas."""
    parameters = parameters_of(name)[example]
    if name == "Laplace":
        return scipy.stats.laplace(parameters[dimension], scale_of(parameters[3 + dimension])).cdf
    if name == "FullGaussian":
        scale = np.linalg.norm(lower_triangle(parameters[3:])[dimension])
    else:
        scale = scale_of(parameters[3:])[dimension if name == "DiagonalGaussian" else 0]
    return scipy.stats.norm(parameters[dimension], scale).cdf


@pytest.mark.parametrize("name", NAMES[:4])
def test_draws_have_the_marginals_of_the_closed_form(name):
    z = draw(make_head(name)(FEATURES), Noise(4), (5000,)).numpy()
    assert z.shape == (5000, 4, 3)
    for example in range(4):
        for dimension in range(3):
            cdf = marginal_cdf(name, example, dimension)
            assert scipy.stats.kstest(z[:, example, dimension], cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", NAMES[:4])
def test_draws_have_the_covariance_of_the_distribution(name):
    q = make_head(name)(FEATURES)
    residual = draw(q, Noise(5), (20_000,)).numpy() - q.mean()
    products = residual[..., :, None] * residual[..., None, :]
    covariance = q.covariance() if name == "FullGaussian" else tf.linalg.diag(q.variance())
    assert reference.within_error(products, covariance.numpy())


@pytest.mark.parametrize("name", NAMES)
def test_draws_pass_the_importance_check(name):
    """E_q[g(z) / q(z)] = 1 for a density g inside q: draws and log_prob are of one distribution."""
    q = make_head(name)(FEATURES)
    z = draw(q, Noise(6), (20_000,)).numpy()
    inside = tfd.Independent(tfd.Normal(np.median(z, axis=0), 0.4 * z.std(0)), 1)
    ratio = np.exp(np.float64(inside.log_prob(z)) - np.float64(q.log_prob(z)))
    assert reference.within_error(ratio, 1.0)
    assert np.all(ratio.max(0) < 0.02 * ratio.sum(0))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_a_draw_and_its_density_reach_every_weight(name):
    head = make_head(name)
    with tf.GradientTape() as tape:
        z = draw(head(FEATURES), Noise(0), (5,))
        value = tf.reduce_sum(z**2) + tf.reduce_mean(head(FEATURES).log_prob(tf.stop_gradient(z)))
    for gradient in tape.gradient(value, head.trainable_variables):
        assert np.all(np.isfinite(gradient))
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_center_is_what_the_middle_of_the_noise_becomes(name):
    q = make_head(name)(FEATURES)
    if name in FLOWS:
        expected = q.bijector.forward(q.distribution.mean())
        assert np.abs(expected - q.distribution.mean()).max() > 0.1
    else:
        expected = parameters_of(name)[:, :3]
    np.testing.assert_allclose(center(q), expected, rtol=1e-4, atol=1e-5)


def test_the_center_of_a_laplace_is_the_median_of_its_draws():
    q = make_head("Laplace")(FEATURES)
    z = draw(q, Noise(0), (20_000,)).numpy()
    below = (z < center(q).numpy()).mean(0)
    np.testing.assert_allclose(below, np.full((4, 3), 0.5), atol=4 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (-3.0, 0.2)])
def test_logistic_draws_have_its_cdf(loc, scale):
    x = draw(tfd.Logistic(loc, scale), Noise(0), (20_000,)).numpy()
    assert scipy.stats.kstest(x, scipy.stats.logistic(loc, scale).cdf).pvalue > 1e-3


def test_a_transformed_distribution_is_drawn_through_its_bijector():
    log_normal = tfd.TransformedDistribution(tfd.Normal(tf.zeros(2), [0.5, 1.0]), tfp.bijectors.Exp())
    x = draw(log_normal, Noise(0), (20_000,)).numpy()
    for d, scale in enumerate((0.5, 1.0)):
        assert scipy.stats.kstest(x[:, d], scipy.stats.lognorm(scale).cdf).pvalue > 1e-3


# The KL from the standard normal.


@pytest.mark.parametrize("name", ["DiagonalGaussian", "IsotropicGaussian", "FullGaussian"])
def test_the_kl_of_a_gaussian_is_the_closed_form(name):
    parameters, q, prior = parameters_of(name), make_head(name)(FEATURES), kv.priors.StandardNormal(3)()
    assert objectives.kl_method(q, prior) == "analytic"
    if name == "FullGaussian":
        lower = [lower_triangle(row[3:]) for row in parameters]
    else:
        lower = [np.diag(scale_of(row[3:]) * np.ones(3)) for row in parameters]
    expected = [reference.full_gaussian_kl(row[:3], m @ m.T) for row, m in zip(parameters, lower, strict=True)]
    kl = objectives.kl_divergence(q, prior, None)
    np.testing.assert_allclose(kl, expected, rtol=1e-5)
    z = draw(q, Noise(7), (10_000,))
    assert reference.within_error(q.log_prob(z) - prior.log_prob(z), expected)


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (1.5, 0.3), (-0.4, 2.0)])
def test_the_kl_of_a_laplace_is_estimated_and_agrees_with_numerical_integration(loc, scale):
    z = np.linspace(loc - 40 * scale, loc + 40 * scale, 400_001)
    log_q = -np.abs(z - loc) / scale - np.log(2 * scale)
    integral = (np.exp(log_q) * (log_q - scipy.stats.norm.logpdf(z))).sum() * (z[1] - z[0])
    np.testing.assert_allclose(integral, reference.laplace_kl(loc, scale), rtol=1e-5)
    raw = np.log(np.expm1(scale - 1e-4)) - UNIT
    q = kv.posteriors.Laplace(1).distribution(tf.constant([[loc, raw]], tf.float32))
    prior = kv.priors.StandardNormal(1)()
    assert objectives.kl_method(q, prior) == "monte_carlo"
    draws = draw(q, Noise(1), (20_000,))
    assert reference.within_error(q.log_prob(draws) - prior.log_prob(draws), integral)
    np.testing.assert_allclose(
        objectives.kl_divergence(q, prior, draws),
        tf.reduce_mean(q.log_prob(draws) - prior.log_prob(draws), axis=0),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_the_kl_of_a_flow_is_estimated_and_agrees_with_a_grid(name):
    q, prior = make_head(name, latent_dim=2)(FEATURES[:1]), kv.priors.StandardNormal(2)()
    assert objectives.kl_method(q, prior) == "monte_carlo"
    axis = np.linspace(-15, 15, 800, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2)
    log_q, log_p = np.float64(q.log_prob(grid)), np.float64(prior.log_prob(grid))
    integral = (np.exp(log_q) * (log_q - log_p)).sum() * (axis[1] - axis[0]) ** 2
    z = draw(q, Noise(1), (20_000,))
    estimates = np.float64(q.log_prob(z) - prior.log_prob(z))
    error = estimates.std() / np.sqrt(20_000)
    assert abs(estimates.mean() - integral) < 4 * error + 0.01 * integral


def test_the_density_of_a_draw_of_an_iaf_is_that_of_its_inverse_found_value_by_value():
    head = make_head("IAF", num_layers=3, hidden_units=7, hidden_layers=2)
    q = head(FEATURES)
    z = draw(q, Noise(0), (5,))
    # A distribution of its own, whose cache does not know where z came from.
    np.testing.assert_allclose(head(FEATURES).log_prob(tf.identity(z)), q.log_prob(z), rtol=1e-4)
    eps = head(FEATURES).bijector.inverse(tf.identity(z))
    np.testing.assert_allclose(eps, draw(q.distribution, Noise(0), (5,)), rtol=1e-4, atol=1e-4)


# The gradient along the path.


@pytest.mark.parametrize("name", NAMES[:4])
def test_stopped_parameters_keep_the_density_and_its_gradient_in_z_alone(name):
    head, z = make_head(name), tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        q = head(FEATURES)
        free, stopped = q.log_prob(z), objectives.terms.stop_parameters(q).log_prob(z)
    np.testing.assert_allclose(stopped, free, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(stopped, z), tape.gradient(free, z), rtol=1e-6)
    assert tape.gradient(stopped, head.trainable_variables) == [None] * len(head.trainable_variables)


# Heads as Keras objects.


@pytest.mark.parametrize("name", NAMES)
def test_config_comes_back_through_keras_serialization(name):
    head = make_head(name, min_scale=0.02)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(copy) is type(head)
    assert copy.get_config() == head.get_config()
    assert copy.min_scale == 0.02


@pytest.mark.parametrize("name", NAMES)
def test_scales_do_not_fall_below_the_floor(name):
    head = HEADS[name](2, min_scale=0.05)
    head.build((None, 5))
    kernel, bias = head._projection.get_weights()
    bias[2:] = -100.0
    if name == "FullGaussian":
        bias[2:] = tfp.math.fill_triangular_inverse(-100.0 * np.eye(2, dtype=np.float32))
    head._projection.set_weights([0 * kernel, bias])
    z = draw(head(FEATURES[:1]), Noise(0), (2000,)).numpy()
    expected = 0.05 * (np.sqrt(2) if name == "Laplace" else 1)
    np.testing.assert_allclose(z.std(0), np.full((1, 2), expected), rtol=0.12)  # 4 errors of a Laplace's deviation


@pytest.mark.parametrize("name", NAMES)
def test_densities_stay_in_float32_under_mixed_precision(name):
    head = HEADS[name](2, dtype=keras.DTypePolicy("mixed_bfloat16"))
    head.build((None, 5))
    q = head(tf.cast(FEATURES, tf.bfloat16))
    z = draw(q, Noise(0))
    assert z.dtype == tf.float32
    assert q.log_prob(z).dtype == tf.float32
