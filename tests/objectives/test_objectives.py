"""Objectives: closed form, Monte Carlo, and the linear-Gaussian model whose evidence is known."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import shake, slow_from

import keras_vae as kv
from keras_vae import objectives
from keras_vae.distributions.noise import Noise, NoiseSource
from keras_vae.distributions.sampling import draw
from keras_vae.distributions.softplus import UNIT
from keras_vae.objectives.objective import LatentBatch
from keras_vae.objectives.terms import total_correlation_terms

tfd = tfp.distributions
DIM_X, LATENT_DIM = 5, 2


def diagonal(loc, scale):
    return tfd.Independent(tfd.Normal(tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)), 1)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_kl_is_the_closed_form(random):
    loc, scale = random.normal(size=(6, 3)), random.uniform(0.1, 2.0, (6, 3))
    kl = objectives.kl_divergence(diagonal(loc, scale), kv.priors.StandardNormal(3)(), None)
    np.testing.assert_allclose(kl, reference.standard_normal_kl(loc, scale), rtol=1e-5)


def test_kl_of_a_distribution_with_itself_is_zero():
    np.testing.assert_array_equal(
        objectives.kl_divergence(kv.priors.StandardNormal(3)(), kv.priors.StandardNormal(3)(), None), 0
    )


def test_kl_agrees_with_monte_carlo(random):
    q = diagonal(random.normal(size=(1, 3)), random.uniform(0.3, 1.5, (1, 3)))
    prior = kv.priors.StandardNormal(3)()
    z = draw(q, Noise(0), (20_000,))
    estimates = (q.log_prob(z) - prior.log_prob(z)).numpy()
    error = estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - float(objectives.kl_divergence(q, prior, None)[0])) < 4 * error


def test_kl_without_closed_form_is_estimated_at_the_sample(random):
    q = diagonal(random.normal(size=(4, 3)), random.uniform(0.3, 1.5, (4, 3)))
    prior = tfd.Independent(tfd.Laplace(tf.zeros(3), tf.ones(3)), 1)
    z = draw(q, Noise(0))
    assert objectives.kl_method(q, prior) == "monte_carlo"
    assert objectives.kl_method(q, kv.priors.StandardNormal(3)()) == "analytic"
    np.testing.assert_allclose(objectives.kl_divergence(q, prior, z), q.log_prob(z) - prior.log_prob(z))


def test_elbo_weighs_the_kl():
    np.testing.assert_allclose(objectives.elbo(tf.constant([-3.0]), tf.constant([2.0]), 4.0), [-11.0])
    np.testing.assert_allclose(objectives.elbo(tf.constant([-3.0]), tf.constant([2.0])), [-5.0])


@pytest.fixture(scope="module")
def linear():
    """A linear-Gaussian model whose posterior is diagonal, because the columns of W are orthogonal."""
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM_X, LATENT_DIM)))[0]
    return reference.LinearGaussian(basis * [2.0, 0.7], np.linspace(-1, 1, DIM_X))


def linear_vae(linear, stretch=1.0):
    """Returns a VAE that is the linear-Gaussian model with its exact posterior, scales multiplied by `stretch`."""
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(LATENT_DIM, min_scale=1e-6)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((DIM_X,))),
        seed=0,
    )
    gain = linear.weights @ linear.posterior_covariance
    raw = np.log(np.expm1(np.sqrt(np.diag(linear.posterior_covariance)) * stretch - 1e-6)) - UNIT
    kernel = np.concatenate([gain, np.zeros_like(gain)], axis=1)
    vae.encoder.posterior._projection.set_weights([kernel, np.concatenate([-linear.bias @ gain, raw])])
    vae.decoder.likelihood._projection.set_weights([linear.weights.T, linear.bias])
    vae.compile()
    return vae


def test_at_the_exact_posterior_elbo_and_bound_are_the_evidence(linear):
    x = linear.sample(20)
    elbo, bound = linear_vae(linear).bounds(x, num_samples=7)
    np.testing.assert_allclose(elbo, linear.log_evidence(x), atol=1e-4)
    np.testing.assert_allclose(bound, linear.log_evidence(x), atol=1e-4)


def test_evaluate_reports_the_exact_expected_elbo(linear):
    x, vae = linear.sample(20_000), linear_vae(linear, stretch=1.3)
    metrics = vae.evaluate(x, batch_size=20_000, verbose=0, return_dict=True)
    covariance = linear.posterior_covariance * 1.3**2
    expected = linear.elbo(x, linear.posterior_mean(x), covariance)
    # log p(x|z) is sampled: its standard deviation is below 2.5 nats an image.
    assert abs(metrics["elbo"] - expected.mean()) < 4 * 2.5 / np.sqrt(len(x))
    np.testing.assert_allclose(metrics["loss"], -metrics["elbo"], rtol=1e-6)
    np.testing.assert_allclose(metrics["elbo"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-5)


def test_bounds_are_ordered_and_close_as_samples_grow(linear):
    x, vae = linear.sample(400), linear_vae(linear, stretch=1.6)
    elbo, _ = vae.bounds(x, num_samples=200)
    means = [vae.bounds(x, num_samples=k)[1].mean() for k in (1, 5, 50)]
    evidence = linear.log_evidence(x).mean()
    expected = linear.elbo(x, linear.posterior_mean(x), linear.posterior_covariance * 1.6**2).mean()
    np.testing.assert_allclose(elbo.mean(), expected, atol=0.02)
    assert expected - 0.2 < means[0] < means[1] < means[2] < evidence + 0.01


def test_importance_weighted_estimate_meets_the_evidence_within_its_error(linear):
    x, vae = linear.sample(10), linear_vae(linear, stretch=1.5)
    runs = np.stack([vae.log_prob(x, num_samples=1000, seed=seed) for seed in range(20)])
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    gap = runs.mean(axis=0) - linear.log_evidence(x)
    # Jensen's bias at K = 1000 is about half the variance of one run: far below the error of twenty.
    assert np.all(np.abs(gap) < 4 * error)


def test_training_finds_the_evidence(linear):
    x = linear.sample(2000, seed=1)
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(LATENT_DIM)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((DIM_X,))),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(x, batch_size=200, epochs=60, verbose=0)
    # The maximum of the likelihood reaches the evidence of the truth on its own data.
    np.testing.assert_allclose(vae.bounds(x, 50)[1].mean(), linear.log_evidence(x).mean(), atol=0.05)


# A linear-Gaussian model whose posterior is correlated, with the heads set to known posteriors.


@pytest.fixture(scope="module")
def correlated():
    """A linear-Gaussian model with posterior correlations up to 0.6."""
    weights = np.array([[1.5, 1.0, 0.2], [0.8, 1.2, -0.5], [-0.3, 0.9, 1.1], [0.7, 0.1, 0.9], [0.4, -0.6, 0.8]])
    return reference.LinearGaussian(weights, np.linspace(-1, 1, DIM_X))


def affine_vae(linear, posterior, scale_tril, objective=None):
    """Returns a VAE that is the linear-Gaussian model, with posterior N(exact mean, scale_tril scale_tril^T)."""
    head = getattr(kv.posteriors, posterior)(linear.latent_dim, min_scale=1e-6)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), head),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((DIM_X,))),
        objective=objective,
        seed=0,
    )
    diagonal_raw = np.log(np.expm1(np.diag(scale_tril) - 1e-6)) - UNIT
    if posterior == "FullGaussian":
        lower = scale_tril - np.diag(np.diag(scale_tril)) + np.diag(diagonal_raw)
        raw = tfp.math.fill_triangular_inverse(lower).numpy()
    else:
        raw = diagonal_raw[: head.num_parameters - linear.latent_dim]
    gain = linear.weights @ linear.posterior_covariance
    kernel = np.concatenate([gain, np.zeros((DIM_X, len(raw)))], axis=1)
    head._projection.set_weights([kernel, np.concatenate([-linear.bias @ gain, raw])])
    vae.decoder.likelihood._projection.set_weights([linear.weights.T, linear.bias])
    vae.compile()
    return vae


def exact_vae(linear, objective=None):
    """Returns a VAE with the exact posterior, correlations and all."""
    return affine_vae(linear, "FullGaussian", np.linalg.cholesky(linear.posterior_covariance), objective)


def loss(vae, x, **kwargs):
    return vae.evaluate(x, batch_size=len(x), verbose=0, return_dict=True, **kwargs)["loss"]


def test_at_the_exact_correlated_posterior_elbo_and_bound_are_the_evidence(correlated):
    x = correlated.sample(20)
    elbo, bound = exact_vae(correlated).bounds(x, num_samples=7)
    np.testing.assert_allclose(elbo, correlated.log_evidence(x), atol=1e-4)
    np.testing.assert_allclose(bound, correlated.log_evidence(x), atol=1e-4)


@pytest.mark.parametrize(
    "objective",
    [
        objectives.ELBO(kl="monte_carlo"),
        objectives.ELBO(kl="path_derivative"),
        objectives.IWAE(num_samples=4),
        objectives.DReG(num_samples=4),
    ],
    ids=["monte_carlo", "path_derivative", "iwae", "dreg"],
)
def test_at_the_exact_posterior_the_loss_is_minus_the_evidence(correlated, objective):
    x = correlated.sample(20)
    np.testing.assert_allclose(-loss(exact_vae(correlated, objective), x), correlated.log_evidence(x).mean(), atol=1e-4)


def test_at_the_exact_posterior_the_loss_with_the_analytic_kl_is_the_evidence_within_its_error(correlated):
    x = correlated.sample(5000)
    # Var over z of log p(x|z) = const + r^T W L e - 0.5 |W L e|^2, with r the residual at the posterior mean.
    image = correlated.weights @ np.linalg.cholesky(correlated.posterior_covariance)
    residual = x - correlated.bias - correlated.posterior_mean(x) @ correlated.weights.T
    variance = ((residual @ image) ** 2).sum(-1) + 0.5 * ((image.T @ image) ** 2).sum()
    error = np.sqrt(variance.sum()) / len(x)
    gap = -loss(exact_vae(correlated, objectives.ELBO()), x) - correlated.log_evidence(x).mean()
    assert abs(gap) < 4 * error
    assert error < 0.03


@pytest.mark.parametrize("family", ["diagonal", "isotropic"])
def test_the_gap_of_the_best_posterior_of_a_family_is_its_kl_from_the_exact_one(correlated, family):
    variances, kl = getattr(correlated, f"best_{family}")()
    scale_tril = np.diag(np.sqrt(variances))
    x, num_samples = correlated.sample(200), 100
    vae = affine_vae(correlated, f"{family.capitalize()}Gaussian", scale_tril)
    gap = correlated.log_evidence(x) - vae.bounds(x, num_samples)[0]
    # The log weight is const - 0.5 e^T (S P S - I) e, of variance 0.5 |S P S - I|^2 whatever x.
    bent = scale_tril @ correlated.posterior_precision @ scale_tril - np.eye(3)
    error = np.sqrt(0.5 * (bent**2).sum() / (len(x) * num_samples))
    assert abs(gap.mean() - kl) < 4 * error
    assert kl > 20 * error
    # The closed form of the reference is the same number, and the best of its family.
    mean = correlated.posterior_mean(x)
    exact = correlated.log_evidence(x) - correlated.elbo(x, mean, np.diag(variances))
    np.testing.assert_allclose(exact, kl, rtol=1e-9)
    for stretch in (0.9, 1.1):
        assert np.all(correlated.log_evidence(x) - correlated.elbo(x, mean, np.diag(variances) * stretch) > kl)


@pytest.mark.slow
def test_the_full_posterior_learns_what_the_diagonal_cannot(correlated):
    x = correlated.sample(1000)
    gaps = {}
    for family in ("DiagonalGaussian", "FullGaussian"):
        keras.utils.set_random_seed(0)
        start = np.diag(np.sqrt(correlated.best_isotropic()[0]))
        vae = affine_vae(correlated, family, start, objectives.ELBO(kl="path_derivative"))
        vae.decoder.trainable = False
        vae.compile(keras.optimizers.Adam(3e-2))
        vae.fit(x, batch_size=250, epochs=40, verbose=0)
        gaps[family] = (correlated.log_evidence(x) - vae.bounds(x, 50)[0]).mean()
    np.testing.assert_allclose(gaps["DiagonalGaussian"], correlated.best_diagonal()[1], atol=0.03)
    assert gaps["FullGaussian"] < 0.03


@pytest.mark.parametrize(
    "posterior", slow_from(1, ["Flow", "DiagonalGaussian", "IsotropicGaussian", "FullGaussian", "Laplace", "IAF"])
)
def test_importance_weights_of_every_posterior_average_to_the_evidence(correlated, posterior):
    x, scale_tril = correlated.sample(6), 1.2 * np.diag(np.sqrt(np.diag(correlated.posterior_covariance)))
    vae = affine_vae(correlated, posterior, scale_tril)
    if posterior in ("Flow", "IAF"):
        shake(vae.encoder.posterior._flow, 0.06)
    estimates = np.stack([vae.log_prob(x, 1000, seed) for seed in range(40)])
    weights = np.exp(estimates - correlated.log_evidence(x))
    # The mean weight is unbiased, its logarithm is not.
    assert reference.within_error(weights, 1.0)
    assert weights.std(0).max() < 0.2
    elbo, bound = vae.bounds(x, 1000)
    assert np.all(elbo < bound)


# Objectives on one pass: distributions in, nats out.


class Fixed(NoiseSource):
    """Noise whose numbers are the same whatever the shape they are asked in."""

    def __init__(self, seed=0):
        random = np.random.default_rng(seed)
        self._normal, self._uniform = np.float32(random.standard_normal(1000)), np.float32(random.random(1000))

    def normal(self, shape, axis=None):
        return tf.reshape(tf.constant(self._normal[: np.prod(shape)]), shape)

    def uniform(self, shape, axis=None):
        return tf.reshape(tf.constant(self._uniform[: np.prod(shape)]), shape)


def half_square(z):
    """A log p(x|z) of its own for each of the examples: -0.5 |z - i|^2."""
    centers = tf.range(z.shape[-2], dtype=tf.float32)[:, None]
    return -0.5 * tf.reduce_sum((z - centers) ** 2, axis=-1)


def make_pass(posterior, noise=None, weight=None, step=0, prior=None):
    weight = tf.ones(posterior.batch_shape) if weight is None else tf.constant(weight, tf.float32)
    prior = kv.priors.StandardNormal(posterior.event_shape[0])() if prior is None else prior
    return objectives.objective.LatentBatch(posterior, prior, noise or Fixed(), half_square, weight, step)


@pytest.fixture
def moments(random):
    """Means and scales of four posteriors of three dimensions."""
    return random.normal(size=(4, 3)), random.uniform(0.3, 1.5, (4, 3))


def kl_terms(loc, scale):
    return 0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)


def sampled(moments, seed=0):
    """Returns z of `Fixed` noise in float64, its log p(x|z) and its log q(z|x) - log p(z)."""
    loc, scale = moments
    z = loc + scale * Fixed(seed).normal(loc.shape).numpy()
    log_likelihood = -0.5 * ((z - np.arange(len(z))[:, None]) ** 2).sum(-1)
    return z, log_likelihood, reference.normal_log_prob(z, loc, scale) - reference.normal_log_prob(z, 0 * z, 1.0)


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo", "path_derivative"])
@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
def test_elbo_is_the_closed_form_at_the_sample(moments, kl, kl_weight):
    terms = objectives.ELBO(kl=kl)(make_pass(diagonal(*moments)), kl_weight)
    _, log_likelihood, estimate = sampled(moments)
    expected = kl_terms(*moments).sum(-1) if kl == "analytic" else estimate
    np.testing.assert_allclose(terms.metrics["log_likelihood"], log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(terms.metrics["kl"], expected, rtol=1e-4)  # a difference of two log densities
    np.testing.assert_allclose(terms.objective, log_likelihood - kl_weight * expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
@pytest.mark.parametrize("nats", [0.0, 0.4, 100.0])
def test_free_bits_is_the_closed_form(moments, nats, kl_weight):
    terms = objectives.FreeBits(nats)(make_pass(diagonal(*moments)), kl_weight)
    paid = np.maximum(nats, kl_terms(*moments).mean(0)).sum()
    np.testing.assert_allclose(terms.objective, sampled(moments)[1] - kl_weight * paid, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(terms.metrics["kl"], kl_terms(*moments).sum(-1), rtol=1e-5)


@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
@pytest.mark.parametrize("nats", [0.0, 0.4, 100.0])
def test_free_bits_of_z_are_one_floor_under_the_mean_kl(moments, nats, kl_weight):
    terms = objectives.FreeBits(nats, of="z")(make_pass(diagonal(*moments)), kl_weight)
    kl = kl_terms(*moments).sum(-1)
    paid = max(nats, kl.mean())
    np.testing.assert_allclose(terms.objective, sampled(moments)[1] - kl_weight * paid, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(terms.metrics["kl"], kl, rtol=1e-5)


def test_free_bits_of_z_take_a_posterior_that_does_not_factorize():
    head = kv.posteriors.FullGaussian(2)
    head.build((None, 3))
    posterior = head(tf.ones((4, 3)))
    terms = objectives.FreeBits(0.1, of="z")(make_pass(posterior), 1.0)
    elbo = objectives.ELBO()(make_pass(posterior), 1.0)
    np.testing.assert_allclose(terms.metrics["kl"], elbo.metrics["kl"], rtol=1e-6)
    paid = np.maximum(0.1, np.mean(elbo.metrics["kl"]))
    np.testing.assert_allclose(terms.objective, terms.metrics["log_likelihood"] - paid, rtol=1e-5)


def test_free_bits_of_zero_are_the_elbo_in_the_mean(moments):
    free = objectives.FreeBits(0.0)(make_pass(diagonal(*moments)), 1.0)
    elbo = objectives.ELBO()(make_pass(diagonal(*moments)), 1.0)
    np.testing.assert_allclose(tf.reduce_mean(free.objective), tf.reduce_mean(elbo.objective), rtol=1e-5)


def test_free_bits_leave_out_examples_of_weight_zero(moments):
    loc, scale = moments
    terms = objectives.FreeBits(0.4)(make_pass(diagonal(loc, scale), weight=[1, 1, 0, 1]), 1.0)
    kept = [0, 1, 3]
    paid = np.maximum(0.4, kl_terms(loc, scale)[kept].mean(0)).sum()
    np.testing.assert_allclose(terms.objective, sampled(moments)[1] - paid, rtol=1e-5)


def test_the_kl_of_a_dimension_below_the_floor_has_no_gradient():
    loc, scale = tf.Variable([[0.1, 2.0], [-0.1, 1.0]]), tf.Variable([[1.0, 0.5], [0.9, 0.6]])
    with tf.GradientTape() as tape:
        posterior = tfd.Independent(tfd.Normal(loc, scale), 1)
        terms = objectives.FreeBits(0.5)(make_pass(posterior), 1.0)
        penalty = tf.reduce_sum(terms.metrics["log_likelihood"] - terms.objective)
    gradients = tape.gradient(penalty, [loc, scale])
    np.testing.assert_array_equal([gradient[:, 0] for gradient in gradients], np.zeros((2, 2)))
    # Above the floor it is that of the KL: d/d loc = loc, d/d scale = scale - 1 / scale.
    np.testing.assert_allclose(gradients[0][:, 1], [2.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(gradients[1][:, 1], [0.5 - 2.0, 0.6 - 1 / 0.6], rtol=1e-5)


@pytest.mark.parametrize(
    ("capacity", "step", "nats"),
    [(0.0, 0, 0.0), (2.5, 0, 2.5), (kv.schedules.Linear(10, 0.0, 5.0), 4, 2.0), (kv.schedules.Linear(10), 99, 1.0)],
    ids=["none", "fixed", "growing", "grown"],
)
def test_capacity_is_the_closed_form(moments, capacity, step, nats):
    terms = objectives.Capacity(capacity, weight=7.0)(make_pass(diagonal(*moments), step=tf.constant(step)), 0.5)
    kl = kl_terms(*moments).sum(-1)
    np.testing.assert_allclose(terms.metrics["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(terms.objective, sampled(moments)[1] - 0.5 * 7.0 * np.abs(kl - nats), rtol=1e-5)


def test_capacity_of_zero_is_the_beta_vae(moments):
    capacity = objectives.Capacity(0.0, weight=4.0)(make_pass(diagonal(*moments)), 1.0)
    beta = objectives.ELBO()(make_pass(diagonal(*moments)), 4.0)
    np.testing.assert_allclose(capacity.objective, beta.objective, rtol=1e-6)


def test_iwae_is_the_closed_form(random):
    loc, scale = random.normal(size=(4, 3)), random.uniform(0.3, 1.5, (4, 3))
    noise = Fixed().normal((5, 4, 3)).numpy()
    samples = loc + scale * noise
    log_ratio = [reference.normal_log_prob(z, loc, scale) - reference.normal_log_prob(z, 0 * z, 1.0) for z in samples]
    log_likelihood = -0.5 * ((samples - np.arange(4)[:, None]) ** 2).sum(-1)
    for kl_weight in (1.0, 0.3):
        terms = objectives.IWAE(5)(make_pass(diagonal(loc, scale)), kl_weight)
        bound = reference.log_mean_exp(log_likelihood - kl_weight * np.array(log_ratio))
        np.testing.assert_allclose(terms.objective, bound, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(terms.metrics["log_likelihood"], log_likelihood.mean(0), rtol=1e-5)
    np.testing.assert_allclose(terms.metrics["kl"], kl_terms(loc, scale).sum(-1), rtol=1e-5)


@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
@pytest.mark.parametrize("objective", [objectives.IWAE(1), objectives.DReG(1)], ids=["iwae", "dreg"])
def test_one_importance_sample_is_the_elbo_with_the_sampled_kl(moments, objective, kl_weight):
    bound = objective(make_pass(diagonal(*moments)), kl_weight).objective
    elbo = objectives.ELBO(kl="monte_carlo")(make_pass(diagonal(*moments)), kl_weight).objective
    np.testing.assert_allclose(bound, elbo, rtol=1e-5, atol=1e-6)


def test_reconstruction_is_the_likelihood_alone(moments):
    terms = objectives.Reconstruction()(make_pass(diagonal(*moments)), 1.0)
    np.testing.assert_allclose(terms.objective, sampled(moments)[1], rtol=1e-5)
    np.testing.assert_array_equal(terms.objective, terms.metrics["log_likelihood"])
    np.testing.assert_allclose(terms.metrics["kl"], reference.standard_normal_kl(*moments), rtol=1e-5)


@pytest.mark.parametrize("kl_weight", [0.0, 0.5, 2.0])
def test_dreg_agrees_with_iwae_at_every_kl_weight(kl_weight):
    """The mean gradient of the posterior's location over 20,000 examples, all with the same one-dimensional q and p."""
    gradients = {}
    for objective in (objectives.IWAE(5), objectives.DReG(5)):
        loc = tf.Variable(0.5)
        with tf.GradientTape() as tape:
            q = tfd.Independent(tfd.Normal(tf.fill((20_000, 1), 1.0) * loc, tf.fill((20_000, 1), 0.7)), 1)
            batch = LatentBatch(
                q,
                kv.priors.StandardNormal(1)(),
                Noise(1),
                lambda z: -tf.reduce_sum((z - 1.5) ** 2, axis=-1),
                tf.ones(20_000),
            )
            per_example = objective(batch, kl_weight).objective
            mean = tf.reduce_mean(per_example)
        gradients[type(objective).__name__] = float(tape.gradient(mean, loc))
    # The standard error of IWAE's estimate is about 0.01 here, DReG's is smaller.
    assert abs(gradients["DReG"] - gradients["IWAE"]) < 0.06


def test_a_batch_of_absent_examples_is_no_nan_for_the_total_correlation(moments):
    q = diagonal(*moments)
    z = q.mean()
    terms_of = total_correlation_terms(q, kv.priors.StandardNormal(z.shape[1])(), z, 10, tf.zeros(z.shape[0]))
    assert all(np.isfinite(term).all() for term in terms_of)


# The gradients of DReG and of the path derivative.


def wrong_vae(linear, objective):
    """Returns a VAE of the linear model whose posterior is too narrow, so that gradients are not zero."""
    return affine_vae(linear, "DiagonalGaussian", 0.7 * np.diag(np.sqrt(linear.best_diagonal()[0])), objective)


def gradients(vae, x, seeds):
    """Returns the gradients of the mean objective, flat, for each seed: `(seeds, encoder)` and `(seeds, decoder)`."""
    parts = vae.encoder.trainable_variables, vae.decoder.trainable_variables

    @tf.function
    def step(seed):
        with tf.GradientTape() as tape:
            objective = vae.objective(vae.encode_batch(x, noise=Noise(seed), weight=tf.ones(len(x))), 1.0).objective
            value = tf.reduce_mean(objective)
        return value, [tf.concat([tf.reshape(g, [-1]) for g in part], 0) for part in tape.gradient(value, parts)]

    values, results = zip(*[step(tf.constant(seed)) for seed in range(seeds)], strict=True)
    encoder, decoder = (np.array(part, np.float64) for part in zip(*results, strict=True))
    return np.array(values), encoder, decoder


def test_dreg_has_the_value_and_decoder_gradient_of_iwae_and_an_encoder_gradient_of_less_variance(correlated):
    x = correlated.sample(6)
    value, encoder, decoder = gradients(wrong_vae(correlated, objectives.IWAE(8)), x, 500)
    dreg_value, dreg_encoder, dreg_decoder = gradients(wrong_vae(correlated, objectives.DReG(8)), x, 500)
    np.testing.assert_allclose(dreg_value, value, rtol=1e-5)
    np.testing.assert_allclose(dreg_decoder, decoder, rtol=1e-4, atol=1e-5)  # sums of 6 * 8 terms in float32
    assert np.abs(encoder.mean(0)).max() > 0.05
    assert reference.within_error(dreg_encoder - encoder, 0.0)
    assert dreg_encoder.var(0).sum() < 0.7 * encoder.var(0).sum()


def test_path_derivative_has_the_expected_gradient_and_less_variance_near_the_exact_posterior(correlated):
    x, scale_tril = correlated.sample(6), 0.9 * np.linalg.cholesky(correlated.posterior_covariance)
    path, analytic, estimated = (
        gradients(affine_vae(correlated, "FullGaussian", scale_tril, objectives.ELBO(kl=kl)), x, 500)
        for kl in ("path_derivative", "analytic", "monte_carlo")
    )
    assert np.abs(path[1].mean(0)).max() > 0.05
    for other in (analytic, estimated):
        assert reference.within_error(path[1] - other[1], 0.0)
        np.testing.assert_allclose(path[2], other[2], rtol=1e-4, atol=1e-5)
        assert path[1].var(0).sum() < 0.2 * other[1].var(0).sum()


@pytest.mark.parametrize(
    ("objective", "is_zero"),
    [(objectives.ELBO(kl="path_derivative"), True), (objectives.DReG(4), True), (objectives.ELBO(), False)],
    ids=["path_derivative", "dreg", "analytic"],
)
def test_at_the_exact_posterior_the_gradient_along_the_path_is_zero(correlated, objective, is_zero):
    largest = np.abs(gradients(exact_vae(correlated, objective), correlated.sample(6), 5)[1]).max()
    assert (largest < 1e-5) if is_zero else (largest > 0.1)


@pytest.mark.parametrize("objective", [objectives.ELBO(kl="path_derivative"), objectives.DReG(2)], ids=["elbo", "dreg"])
def test_a_gradient_along_the_path_refuses_a_flow_by_its_name(objective):
    head = kv.posteriors.Flow(2)
    head.build((None, 3))
    with pytest.raises(ValueError, match=r"`posterior` must be.*TransformedDistribution"):
        objective(make_pass(head(tf.ones((4, 3)))), 1.0)


# Objectives of the aggregate posterior.


@pytest.mark.parametrize("dataset_size", [1, 4, 1000])
def test_beta_tcvae_is_the_closed_form(moments, dataset_size):
    z, log_likelihood, _ = sampled(moments)
    information, correlation, dimensions = reference.total_correlation_terms(z, *moments, dataset_size)
    terms = objectives.BetaTCVAE(dataset_size, beta=6.0)(make_pass(diagonal(*moments)), 0.5)
    expected = log_likelihood - 0.5 * (information + 6.0 * correlation + dimensions)
    np.testing.assert_allclose(terms.objective, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(terms.metrics["kl"], kl_terms(*moments).sum(-1), rtol=1e-5)


def test_the_three_terms_of_the_kl_sum_to_its_estimate(moments):
    z, _, estimate = sampled(moments)
    terms = objectives.terms.total_correlation_terms(
        diagonal(*moments), kv.priors.StandardNormal(3)(), tf.constant(z, tf.float32), 1000, tf.ones(4)
    )
    np.testing.assert_allclose(tf.add_n(terms), estimate, rtol=1e-4, atol=1e-5)  # canceling terms of size 20


def test_beta_tcvae_with_beta_one_is_the_elbo(moments, correlated):
    tcvae = objectives.BetaTCVAE(1000, beta=1.0)
    elbo = objectives.ELBO(kl="monte_carlo")
    one, other = (objective(make_pass(diagonal(*moments)), 1.0).objective for objective in (tcvae, elbo))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    x = correlated.sample(30)
    np.testing.assert_allclose(loss(wrong_vae(correlated, tcvae), x), loss(wrong_vae(correlated, elbo), x), rtol=1e-5)


def test_beta_tcvae_leaves_out_examples_of_weight_zero(moments):
    loc, scale = (np.concatenate([part, part[:2]]) for part in moments)
    padded = objectives.BetaTCVAE(50)(make_pass(diagonal(loc, scale), weight=[1, 1, 1, 1, 0, 0]), 1.0)
    full = objectives.BetaTCVAE(50)(make_pass(diagonal(*moments)), 1.0)
    np.testing.assert_allclose(padded.objective[:4], full.objective, rtol=1e-5)
    assert np.all(np.isfinite(padded.objective))


def correlation_of(loc, dataset_size=1):
    """Mean total correlation of the aggregate of N(loc_i, 0.5^2), by minibatch-weighted sampling."""
    q = diagonal(loc, np.full_like(loc, 0.5))
    terms = objectives.terms.total_correlation_terms(
        q, kv.priors.StandardNormal(2)(), draw(q, Noise(0)), dataset_size, tf.ones(len(loc))
    )
    return terms[1].numpy()


def test_total_correlation_is_zero_for_a_factorized_aggregate_and_that_of_a_gaussian_for_a_correlated_one(random):
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 30), np.linspace(-2, 2, 30)), -1).reshape(-1, 2)
    # The mixture over a grid factorizes exactly, at every z: what is left is float32.
    np.testing.assert_allclose(correlation_of(grid), 0.0, atol=5e-5)
    assert abs(correlation_of(random.normal(size=(1500, 2))).mean()) < 0.02
    points = random.normal(size=(1500, 2)) @ np.linalg.cholesky([[1.0, 0.8], [0.8, 1.0]]).T
    # The aggregate is a Gaussian with variances 1.25 and covariance 0.8, up to 1500 points: -0.5 log(1 - rho^2).
    expected = -0.5 * np.log(1 - (0.8 / 1.25) ** 2)
    values = correlation_of(points)
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(1500) + 0.02
    assert expected > 0.25


def test_the_dataset_size_adds_a_constant_to_the_total_correlation(random):
    loc = random.normal(size=(20, 2))
    # log q(z) carries -log N once, sum_d log q(z_d) once for each dimension.
    np.testing.assert_allclose(correlation_of(loc, 1000) - correlation_of(loc), np.log(1000), rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "posterior"),
    [(objectives.FreeBits(), "FullGaussian"), (objectives.FreeBits(), "Laplace"), (objectives.BetaTCVAE(9), "Flow")],
    ids=["free bits of a full Gaussian", "free bits of a Laplace", "total correlation of a flow"],
)
def test_an_objective_of_single_dimensions_refuses_a_posterior_without_them(objective, posterior):
    head = getattr(kv.posteriors, posterior)(2)
    head.build((None, 3))
    with pytest.raises(ValueError, match="`posterior` and `prior` must factorize"):
        objective(make_pass(head(tf.ones((4, 3)))), 1.0)


def test_mmd_is_the_loop_over_pairs(random):
    a, b = random.normal(size=(12, 3)), random.normal(1.0, 2.0, size=(12, 3))
    actual = objectives.terms.maximum_mean_discrepancy(
        tf.constant(a, tf.float32), tf.constant(b, tf.float32), tf.ones(12)
    )
    np.testing.assert_allclose(actual, reference.maximum_mean_discrepancy(a, b), rtol=1e-4)


def mmd_runs(shift, runs=60):
    """Returns the MMD of 100 draws of N(shift, I) against 100 of the prior, for each run."""
    random = np.random.default_rng(0)
    pairs = random.normal(size=(runs, 2, 100, 2)).astype(np.float32)
    return [objectives.terms.maximum_mean_discrepancy(a + shift, b, tf.ones(100)) for a, b in tf.constant(pairs)]


@pytest.mark.slow
def test_mmd_is_zero_on_average_for_samples_of_the_prior_and_positive_for_others():
    assert reference.within_error(mmd_runs(0.0), 0.0)
    assert np.mean(mmd_runs(1.0)) > 50 * abs(np.mean(mmd_runs(0.0)))


def test_mmd_leaves_out_examples_of_weight_zero(random):
    a, b = random.normal(size=(8, 3)).astype(np.float32), random.normal(size=(8, 3)).astype(np.float32)
    weighted = objectives.terms.maximum_mean_discrepancy(a, b, tf.constant([1.0] * 5 + [0.0] * 3))
    np.testing.assert_allclose(weighted, reference.maximum_mean_discrepancy(a[:5], b), rtol=1e-4, atol=1e-5)


def test_wae_is_the_likelihood_less_the_mmd_of_its_samples(moments):
    noise = Noise(5)
    z, prior_z = draw(diagonal(*moments), noise).numpy(), noise.normal((4, 3)).numpy()
    terms = objectives.WAE(weight=30.0)(make_pass(diagonal(*moments), noise=Noise(5)), 0.5)
    log_likelihood = -0.5 * ((z - np.arange(4)[:, None]) ** 2).sum(-1)
    penalty = reference.maximum_mean_discrepancy(z, prior_z)
    np.testing.assert_allclose(terms.objective, log_likelihood - 0.5 * 30.0 * penalty, rtol=1e-4)
    np.testing.assert_allclose(terms.metrics["kl"], kl_terms(*moments).sum(-1), rtol=1e-5)


# Every objective as a part of a model.

OBJECTIVES = {
    "elbo": lambda: objectives.ELBO(kl="path_derivative"),
    "free_bits": lambda: objectives.FreeBits(0.3),
    "free_bits_of_z": lambda: objectives.FreeBits(0.3, of="z"),
    "capacity": lambda: objectives.Capacity(kv.schedules.Linear(10, 0.0, 5.0), weight=3.0),
    "iwae": lambda: objectives.IWAE(3),
    "dreg": lambda: objectives.DReG(3),
    "beta_tcvae": lambda: objectives.BetaTCVAE(40, beta=2.0),
    "wae": lambda: objectives.WAE(20.0),
    "reconstruction": objectives.Reconstruction,
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_config_comes_back_through_keras_serialization(name):
    config = keras.saving.serialize_keras_object(OBJECTIVES[name]())
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(OBJECTIVES[name]())
    assert keras.saving.serialize_keras_object(copy) == config


@pytest.mark.parametrize("name", slow_from(2, OBJECTIVES))
def test_each_objective_trains_and_is_kept_in_a_saved_model(correlated, name, tmp_path):
    x = correlated.sample(40)
    vae = wrong_vae(correlated, OBJECTIVES[name]())
    vae.compile(keras.optimizers.SGD(1e-3))
    before = loss(vae, x)
    vae.fit(x, batch_size=16, epochs=4, verbose=0)
    # Forty examples are two batches and a half: the last is filled up with examples of weight 0.
    vae.save(tmp_path / "m.keras")
    after = loss(vae, x)
    assert after < before
    np.testing.assert_allclose(loss(keras.saving.load_model(tmp_path / "m.keras"), x), after, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: objectives.ELBO(kl="exact"), "`kl` must be one of"),
        (lambda: objectives.FreeBits(-0.1), "`nats` must be a number of at least 0"),
        (lambda: objectives.FreeBits(of="x"), "`of` must be one of 'dimension', 'z'"),
        (lambda: objectives.Capacity(-1.0), "`capacity` must be a number of at least 0"),
        (lambda: objectives.Capacity(1.0, weight=0.0), "`weight` must be a positive number"),
        (lambda: objectives.IWAE(0), "`num_samples` must be a positive integer"),
        (lambda: objectives.DReG(1.5), "`num_samples` must be a positive integer"),
        (lambda: objectives.BetaTCVAE(0), "`dataset_size` must be a positive integer"),
        (lambda: objectives.BetaTCVAE(5, beta=-1), "`beta` must be a number of at least 0"),
        (lambda: objectives.WAE(0.0), "`weight` must be a positive number"),
    ],
)
def test_a_bad_argument_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# The conditional model: every term given a condition.

CLASS_MEANS = np.array([[0.0, 2.0, -1.0, 0.5], [1.0, -1.0, 0.0, 0.5], [-2.0, 0.0, 1.0, -1.5]])


def conditional_vae(condition_dim=3, latent_dim=1, dim_x=4, **kwargs):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(latent_dim, 1e-6), condition_dim),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((dim_x,), **kwargs), condition_dim),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(3e-2))
    return vae


def conditional_data(kind, count=300):
    """Returns x = condition @ CLASS_MEANS + noise, and the condition as class numbers or as vectors."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, count)
    vectors = np.eye(3)[labels] if kind == "labels" else random.normal(size=(count, 3))
    x = vectors @ CLASS_MEANS + 0.2 * random.normal(size=(count, 4))
    return x.astype(np.float32), labels if kind == "labels" else vectors.astype(np.float32)


def exact_conditional_vae(linear, shift):
    """Returns the linear-Gaussian model of x - shift^T c, with its exact posterior."""
    vae = conditional_vae(len(shift), LATENT_DIM, DIM_X)
    vae.encoder.posterior._projection.set_weights(linear_vae(linear).encoder.posterior._projection.get_weights())
    vae.encoder._condition_image.set_weights([-shift])
    vae.decoder.likelihood._projection.set_weights([np.concatenate([linear.weights.T, shift]), linear.bias])
    return vae


def test_at_the_exact_posterior_the_conditional_bounds_are_the_conditional_evidence(linear):
    random = np.random.default_rng(1)
    shift, condition = random.normal(size=(3, DIM_X)), random.normal(size=(20, 3)).astype(np.float32)
    vae, x = exact_conditional_vae(linear, shift), linear.sample(20) + (condition @ shift).astype(np.float32)
    evidence = linear.log_evidence(x - condition @ shift)
    np.testing.assert_allclose(vae.log_prob(x, 7, condition=condition), evidence, atol=1e-4)
    np.testing.assert_allclose(vae.bounds(x, 7, condition=condition)[0], evidence, atol=1e-4)
    assert np.abs(vae.log_prob(x, 7, condition=condition[::-1]) - evidence).max() > 1.0
    labels = random.integers(0, 3, 20)
    expected = linear.log_evidence(x - shift[labels])
    for kind in (np.int64, np.int32, np.uint8):
        np.testing.assert_allclose(vae.log_prob(x, 7, condition=labels.astype(kind)), expected, atol=1e-4)


def test_the_conditional_loss_with_several_samples_is_that_of_the_own_condition(linear):
    random = np.random.default_rng(1)
    shift, labels = random.normal(size=(3, DIM_X)), random.integers(0, 3, 20)
    vae, x = exact_conditional_vae(linear, shift), linear.sample(20)
    vae.objective = objectives.IWAE(4)
    metrics = vae.evaluate(x, labels, batch_size=20, verbose=0, return_dict=True)
    np.testing.assert_allclose(-metrics["loss"], linear.log_evidence(x - shift[labels]).mean(), atol=1e-4)


@pytest.mark.parametrize("kind", slow_from(1, ["labels", "vectors"]))
def test_a_conditional_model_learns_the_means_and_is_kept_in_a_saved_model(kind, tmp_path):
    x, condition = conditional_data(kind)
    vae = conditional_vae(scale="shared")
    vae.fit(x, condition, batch_size=50, epochs=50, verbose=0)
    codes = range(3) if kind == "labels" else np.eye(3, dtype=np.float32)
    # 0.08: noise of 0.2, a hundred examples, and what fifty epochs leave.
    for code, mean in zip(codes, CLASS_MEANS, strict=True):
        samples = vae.sample(200, seed=1, condition=code).numpy()
        np.testing.assert_allclose(samples.mean(0), mean, atol=0.08)
    # The same z under two conditions: the pictures differ by the difference of the means.
    first, second = (vae.sample(5, seed=1, condition=code).numpy() for code in list(codes)[:2])
    np.testing.assert_allclose(second - first, np.tile(CLASS_MEANS[1] - CLASS_MEANS[0], (5, 1)), atol=0.16)
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    assert copy.condition_dim == 3
    np.testing.assert_array_equal(copy.sample(5, seed=1, condition=codes[1]), second)
    np.testing.assert_allclose(
        copy.log_prob(x, 5, condition=condition), vae.log_prob(x, 5, condition=condition), rtol=1e-5
    )


def test_class_numbers_are_one_hot_vectors_and_each_sample_may_have_its_own():
    vae, labels = conditional_vae(), np.array([2, 0, 1, 2])
    x, vectors = np.ones((4, 4), np.float32), np.eye(3, dtype=np.float32)[labels]
    np.testing.assert_array_equal(vae.reconstruct(x, labels), vae.reconstruct(x, vectors))
    together = vae.sample(4, seed=1, condition=labels)
    np.testing.assert_array_equal(together, vae.sample(4, seed=1, condition=vectors))
    for i, label in enumerate(labels):
        np.testing.assert_allclose(together[i], vae.sample(4, seed=1, condition=label)[i], rtol=1e-5)
    np.testing.assert_array_equal(
        vae.sample(4, seed=1, condition=2), vae.sample(4, seed=1, condition=np.eye(3, dtype=np.float32)[2])
    )
    np.testing.assert_allclose(vae.predict((x, vectors), verbose=0), vae.reconstruct(x, vectors), rtol=1e-5)


X = np.zeros((5, 4), np.float32)
CALLS = {
    "sample": lambda vae, c: vae.sample(5, seed=0, condition=c),
    "reconstruct": lambda vae, c: vae.reconstruct(X, c),
    "encode": lambda vae, c: vae.encode(X, c),
    "decode": lambda vae, c: vae.decode(np.zeros((5, 1), np.float32), c),
    "log_prob": lambda vae, c: vae.log_prob(X, 2, condition=c),
    "fit": lambda vae, c: vae.fit(X, c, verbose=0),
    "evaluate": lambda vae, c: vae.evaluate(X, c, verbose=0),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, r"(`condition` must be given|`(y|condition)` must hold the condition)"),
        (np.zeros((5, 2)), r"`(y|condition)` must be integers \(batch,\) or numbers \(batch, 3\).*shape \(\d+, 2\)"),
        (np.zeros((5, 3, 1)), r"`(y|condition)` must be integers"),
    ],
    ids=["missing", "wrong size", "wrong rank"],
)
def test_a_missing_or_wrong_condition_is_named(call, condition, message):
    with pytest.raises(ValueError, match=message):
        CALLS[call](conditional_vae(), condition)


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("call", ["sample", "log_prob"])
def test_a_class_number_outside_the_range_is_named(call, label):
    with pytest.raises(ValueError, match="condition"):
        CALLS[call](conditional_vae(), np.full(5, label))


@pytest.mark.parametrize("count", [1, 4])
def test_conditions_of_another_number_than_the_samples_are_named(count):
    with pytest.raises(ValueError, match="`condition`"):
        conditional_vae().sample(5, seed=0, condition=np.zeros(count, np.int64))


@pytest.mark.parametrize("kind", [np.int16, np.uint16])
def test_class_numbers_may_be_of_any_integer_type(kind):
    assert conditional_vae().log_prob(X, 2, condition=np.ones(5, kind)).shape == (5,)


def test_fit_works_after_a_fit_that_raised():
    vae = conditional_vae()
    with pytest.raises(ValueError, match="`y`"):
        vae.fit(X, np.zeros((5, 2)), verbose=0)
    vae.fit(X, np.zeros((5, 3)), verbose=0)


def test_a_model_without_condition_names_a_condition_it_is_given(linear):
    vae = linear_vae(linear)
    for call in (lambda: vae.sample(2, condition=1), lambda: vae.encode(np.zeros((2, DIM_X)), np.zeros((2, 3)))):
        with pytest.raises(ValueError, match="`condition` must be"):
            call()


@pytest.mark.parametrize(
    ("encoder_dim", "decoder_dim", "prior", "message"),
    [
        (3, 2, None, "`decoder` must have the condition_dim of the encoder, 3. Received: decoder with condition_dim=2"),
        (3, None, None, "`decoder` must have the condition_dim of the encoder, 3"),
        (3, 3, kv.priors.VampPrior(1, (4,), 5), "`prior` must not be made of the encoder in a conditional model"),
        (0, 3, None, "`condition_dim` must be a positive integer"),
    ],
    ids=["other size", "only one", "VampPrior", "zero"],
)
def test_parts_that_do_not_fit_are_named(encoder_dim, decoder_dim, prior, message):
    with pytest.raises(ValueError, match=message):
        kv.VAE(
            kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(1), encoder_dim),
            kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((4,)), decoder_dim),
            prior=prior,
        )
