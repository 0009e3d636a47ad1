"""Priors: densities in closed form, their draws, and what a model makes of them."""

import keras
import numpy as np
import pytest
import reference
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import SHAPE, make_binary, make_vae, shake, slow_from

import keras_vae as kv
from keras_vae import objectives, priors
from keras_vae.data.examples import Examples
from keras_vae.distributions.coupling_flow import CouplingFlow
from keras_vae.distributions.noise import MultiSampleNoise, Noise, Tempered
from keras_vae.distributions.sampling import center, draw

tfd = tfp.distributions
WEIGHTS = np.array([0.5, 0.2, 0.3])
LOC = np.array([[-4.0, 0.0], [0.0, 5.0], [4.0, -1.0]])
SCALE = np.array([[0.5, 1.0], [0.2, 0.4], [1.0, 0.3]])


def make_mixture(**kwargs):
    prior = priors.MixtureOfGaussians(2, num_components=3, **kwargs)
    prior.build()
    prior.set_mixture(WEIGHTS, LOC, SCALE)
    return prior


FLOWS = {
    "flow": lambda latent_dim: priors.Flow(latent_dim, num_layers=3, hidden_units=8),
    "deep flow": lambda latent_dim: priors.Flow(latent_dim, num_layers=3, hidden_units=8, hidden_layers=2),
    "maf": lambda latent_dim: priors.MAF(latent_dim, num_layers=3, hidden_units=8),
}
flows = pytest.mark.parametrize("name", FLOWS)


def make_flow(name="flow", latent_dim=2):
    prior = FLOWS[name](latent_dim)
    prior.build()
    # Several hidden layers at random stretch z more.
    return shake(prior, 0.5 if name == "flow" else 0.3)


def make_points(count, latent_dim=2):
    return np.random.default_rng(0).normal(0.0, 3.0, (count, latent_dim)).astype(np.float32)


def vamp_vae(posterior="DiagonalGaussian", num_components=5, **kwargs):
    """Returns a VAE with a VampPrior whose posteriors differ from one another."""
    keras.utils.set_random_seed(0)
    head = getattr(kv.posteriors, posterior)(2)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), head),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        prior=priors.VampPrior(2, SHAPE, num_components, **kwargs),
        seed=0,
    )
    head.set_weights([w + np.random.default_rng(1).normal(0, 0.5, w.shape) for w in head.get_weights()])
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


@pytest.mark.parametrize("scale", [1.0, np.ones(3, np.float32)])
def test_a_prior_of_another_shape_is_named(scale):
    class Own(priors.Prior):
        def distribution(self):
            return tfd.Normal(0.0, scale)

    with pytest.raises(ValueError, match=r"^`distribution` of Own must have batch shape \(\) and event shape \(3,\)"):
        Own(3)()


# Densities.


def test_the_standard_normal_is_the_closed_form():
    z = make_points(5, 4)
    expected = reference.normal_log_prob(z, np.zeros(4), np.ones(4))
    np.testing.assert_allclose(priors.StandardNormal(4)().log_prob(z), expected, rtol=1e-5)


def test_the_mixture_is_the_logsumexp_of_its_components():
    z = np.concatenate([make_points(50), 30.0 * make_points(10)])
    expected = reference.gaussian_mixture_log_prob(z, WEIGHTS, LOC, SCALE)
    np.testing.assert_allclose(make_mixture()().log_prob(z), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("min_scale", [1e-3, 0.1])
def test_set_mixture_comes_back(min_scale):
    p = make_mixture(min_scale=min_scale)()
    np.testing.assert_allclose(p.mixture_distribution.probs_parameter(), WEIGHTS, rtol=1e-5)
    np.testing.assert_allclose(p.components_distribution.mean(), LOC, rtol=1e-6)
    np.testing.assert_allclose(p.components_distribution.stddev(), SCALE, rtol=1e-5)
    np.testing.assert_allclose(p.mean(), WEIGHTS @ LOC, rtol=1e-5)


def test_a_scale_below_the_floor_is_set_to_the_floor():
    prior = make_mixture(min_scale=0.1)
    prior.set_mixture(WEIGHTS, LOC, np.full_like(SCALE, 0.01))
    np.testing.assert_allclose(prior().components_distribution.stddev(), np.full((3, 2), 0.1), rtol=1e-4)


def test_a_new_mixture_has_equal_weights_and_unit_scales():
    prior = priors.MixtureOfGaussians(2, num_components=4, min_scale=1e-3)
    prior.build()
    np.testing.assert_allclose(prior().mixture_distribution.probs_parameter(), np.full(4, 0.25), rtol=1e-6)
    np.testing.assert_allclose(prior().components_distribution.stddev(), np.full((4, 2), 1.001), rtol=1e-5)
    assert len(np.unique(prior().components_distribution.mean())) == 8


@flows
def test_a_new_flow_is_the_standard_normal(name):
    prior = FLOWS[name](3)
    prior.build()
    z = make_points(20, 3)
    np.testing.assert_allclose(prior().log_prob(z), priors.StandardNormal(3)().log_prob(z), rtol=1e-5)
    np.testing.assert_array_equal(draw(prior(), Noise(0), (9,)), draw(priors.StandardNormal(3)(), Noise(0), (9,)))


def test_a_flow_of_an_earlier_version_has_one_hidden_layer():
    keras.utils.set_random_seed(0)
    prior = make_flow("flow", 3)
    earlier = {name: value for name, value in prior.get_config().items() if name != "hidden_layers"}
    copy = priors.Flow.from_config(earlier)
    copy.build()
    copy.set_weights(prior.get_weights())
    z = make_points(6, 3)
    np.testing.assert_array_equal(copy().log_prob(z), prior().log_prob(z))
    assert type(copy._flow) is CouplingFlow


@pytest.mark.parametrize("name", ["mixture", *FLOWS])
def test_leading_dimensions_of_z_stay(name):
    p, z = (make_mixture() if name == "mixture" else make_flow(name))(), make_points(24)
    expected = np.reshape(p.log_prob(z), (2, 3, 4))
    np.testing.assert_allclose(p.log_prob(z.reshape(2, 3, 4, 2)), expected, rtol=1e-5, atol=1e-5)


# Draws.


def test_draws_of_the_mixture_have_its_frequencies_moments_and_marginals():
    z = draw(make_mixture()(), Noise(0), (20_000,)).numpy()
    # The components lie apart: the nearest one is the one that was drawn.
    nearest = np.argmin((np.abs(z[:, None] - LOC) / SCALE).max(-1), axis=1)
    assert scipy.stats.chisquare(np.bincount(nearest), 20_000 * WEIGHTS).pvalue > 1e-3
    for k in range(3):
        standard = (z[nearest == k] - LOC[k]) / SCALE[k]
        for d in range(2):
            assert scipy.stats.kstest(standard[:, d], "norm").pvalue > 1e-3
        assert abs(np.corrcoef(standard.T)[0, 1]) < 4 / np.sqrt(len(standard))
    for d in range(2):
        marginal = lambda x, d=d: scipy.stats.norm.cdf(x[:, None], LOC[:, d], SCALE[:, d]) @ WEIGHTS  # noqa: E731
        assert scipy.stats.kstest(z[:, d], marginal).pvalue > 1e-3


def make_prior(name):
    """Returns p(z), and where a density inside it may stand."""
    if name == "mixture":
        return make_mixture()(), LOC[2], 0.7 * SCALE[2]
    if name in FLOWS:
        p = make_flow(name)()
    else:
        vae = vamp_vae(name)
        p = vae.prior_distribution()
    z = draw(p, Noise(9), (1000,)).numpy()
    return p, np.median(z, axis=0), 0.3 * z.std(0)


@pytest.mark.parametrize(
    "name", ["mixture", *FLOWS, "DiagonalGaussian", "IsotropicGaussian", "FullGaussian", "Laplace"]
)
def test_draws_pass_the_importance_check(name):
    """E_p[g(z) / p(z)] = 1 for a density g inside p: draws and log_prob are of one distribution."""
    p, center, width = make_prior(name)
    z = draw(p, Noise(1), (20_000,))
    ratio = np.exp(reference.normal_log_prob(z, center, width) - np.float64(p.log_prob(z)))
    assert reference.within_error(ratio, 1.0)
    # The weights are tame enough for their standard error to mean something.
    assert ratio.max() < 0.01 * ratio.sum()


@flows
def test_the_density_of_a_flow_prior_integrates_to_one(name):
    axis = np.linspace(-15, 15, 500, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    mass = np.exp(np.float64(make_flow(name)().log_prob(grid))).sum() * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(mass, 1.0, atol=5e-3)  # a grid of 500 x 500 that ends at 15


# Temperature.


class LaplacePrior(priors.Prior):
    """The prior of the guide on parts of one's own."""

    family = tfd.Laplace

    def build(self, input_shape=None):
        self.log_scale = self.add_weight(name="log_scale", shape=(self.latent_dim,), initializer="zeros")
        super().build(input_shape)

    def distribution(self):
        scale = tf.exp(tf.convert_to_tensor(self.log_scale))
        return tfd.Independent(self.family(tf.ones_like(scale), scale), reinterpreted_batch_ndims=1)


class LogisticPrior(LaplacePrior):
    family = tfd.Logistic


def made(prior):
    prior.build()
    return shake(prior)()


def made_vamp(posterior):
    vae = vamp_vae(posterior)
    return vae.prior_distribution()


LOCATION_SCALE = {
    "standard normal": lambda: made(priors.StandardNormal(3)),
    "mixture": lambda: made(priors.MixtureOfGaussians(3, 4)),
    "vamp": lambda: made_vamp("DiagonalGaussian"),
    "vamp of full gaussians": lambda: made_vamp("FullGaussian"),
    "vamp of laplaces": lambda: made_vamp("Laplace"),
    "laplace": lambda: made(LaplacePrior(3)),
    "logistic": lambda: made(LogisticPrior(3)),
}


@pytest.mark.parametrize("name", LOCATION_SCALE)
def test_temperature_multiplies_the_distance_from_the_center(name):
    p = LOCATION_SCALE[name]()
    cold, half, warm = (draw(p, Tempered(Noise(3), t), (40,)).numpy() for t in (0.0, 0.5, tf.constant(2.0)))
    z = draw(p, Noise(3), (40,)).numpy()
    assert np.abs(z - cold).min(axis=0).max() > 0
    np.testing.assert_array_equal(draw(p, Tempered(Noise(3), 1.0), (40,)), z)
    # The components of a mixture are drawn as at temperature 1: each draw keeps its center.
    np.testing.assert_allclose(half, cold + 0.5 * (z - cold), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(warm, cold + 2.0 * (z - cold), rtol=1e-5, atol=1e-5)
    if not isinstance(p, tfd.MixtureSameFamily):
        np.testing.assert_array_equal(cold, np.broadcast_to(center(p), cold.shape))


def test_a_laplace_is_drawn_as_ever_by_its_quantile_function():
    p, u = made(LaplacePrior(3)), np.float64(Noise(3).uniform((40, 3)))
    expected = 1.0 + p.distribution.scale * np.where(u < 0.5, np.log(2 * u), -np.log(2 - 2 * u))
    np.testing.assert_allclose(draw(p, Noise(3), (40,)), expected, rtol=1e-5, atol=1e-6)


@flows
def test_of_a_flow_the_base_is_tempered(name):
    p, eps = make_flow(name)(), Noise(3).normal((40, 2))
    np.testing.assert_array_equal(draw(p, Tempered(Noise(3), 0.5), (40,)), p.bijector.forward(0.5 * eps))


def test_of_a_hierarchy_every_layer_is_tempered_given_the_one_above():
    prior = priors.Hierarchical((3, 2), hidden_units=(4,))
    prior.build()
    p, noise = shake(prior)(), Noise(3)
    top = 0.5 * noise.normal((40, 2))
    below = prior._transitions[0](top)
    expected = below.mean() + 0.5 * below.stddev() * noise.normal((40, 3))
    np.testing.assert_allclose(
        draw(p, Tempered(Noise(3), 0.5), (40,)), np.concatenate([expected, top], axis=1), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["laplace", "vamp of laplaces"])
def test_several_samples_of_tempered_noise_can_be_drawn(name):
    p = LOCATION_SCALE[name]()
    z, cold = (draw(p, MultiSampleNoise(Tempered(Noise(3), t)), (4, 5)).numpy() for t in (0.5, 0.0))
    np.testing.assert_allclose(
        z, cold + 0.5 * (draw(p, MultiSampleNoise(Noise(3)), (4, 5)) - cold), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_a_rule_of_ones_own_has_the_temperature_of_its_uniforms(temperature):
    p, u = tfd.Independent(tfd.Kumaraswamy([2.0, 3.0], [1.0, 2.0]), 1), np.float64(Noise(3).uniform((40, 2)))

    @draw.register(type(p.distribution))
    def _(distribution, noise, sample_shape=()):
        return distribution.quantile(noise.uniform([*sample_shape, *distribution.batch_shape]))

    u = np.where(u < 0.5, 0.5 * (2 * u) ** temperature, 1 - 0.5 * (2 * (1 - u)) ** temperature)
    expected = (1 - (1 - u) ** (1 / np.array([1.0, 2.0]))) ** (1 / np.array([2.0, 3.0]))
    np.testing.assert_allclose(draw(p, Tempered(Noise(3), temperature), (40,)), expected, rtol=1e-4)


def test_at_temperature_zero_a_mixture_draws_its_means():
    z = draw(make_mixture()(), Tempered(Noise(0), 0.0), (500,)).numpy()
    np.testing.assert_allclose(np.unique(np.round(z, 5), axis=0), LOC, atol=1e-5)


def test_gradients_reach_every_weight_of_a_learned_prior():
    vae = vamp_vae()
    learned = [make_mixture(), *map(make_flow, FLOWS)]
    for prior, encoder in (*((prior, None) for prior in learned), (vae.prior, vae.encoder)):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(prior(encoder).log_prob(make_points(20)))
        for gradient in tape.gradient(value, prior.trainable_variables):
            assert np.all(np.isfinite(gradient))
            assert np.abs(gradient).max() > 0


def test_the_kl_of_a_mixture_is_estimated_and_that_of_one_component_is_the_closed_form():
    prior = priors.MixtureOfGaussians(2, num_components=1)
    prior.build()
    prior.set_mixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
    q = kv.posteriors.DiagonalGaussian(2).distribution(tf.constant([[0.5, -1.0, -0.5, 0.3]]))
    assert objectives.kl_method(q, prior()) == "monte_carlo"
    z = draw(q, Noise(0), (20_000,))
    estimates = np.float64(q.log_prob(z) - prior().log_prob(z))
    assert reference.within_error(estimates[:, 0], reference.standard_normal_kl(q.mean(), q.stddev())[0])
    np.testing.assert_allclose(objectives.kl_divergence(q, prior(), z), estimates.mean(0), rtol=1e-4)


# VampPrior.


@pytest.mark.parametrize("posterior", ["DiagonalGaussian", "IsotropicGaussian", "FullGaussian", "Laplace"])
def test_vamp_prior_is_the_mean_of_the_posteriors_at_its_pseudo_inputs(posterior):
    vae, z = vamp_vae(posterior), make_points(6)
    q = vae.encode(vae.prior.pseudo_inputs)
    expected = reference.log_mean_exp([q.log_prob(point) for point in z], axis=1)
    np.testing.assert_allclose(vae.prior_distribution().log_prob(z), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("call", [lambda prior: prior(), lambda prior: prior.distribution()])
def test_a_vamp_prior_asks_for_the_encoder(call):
    with pytest.raises(ValueError, match=r"^`encoder` must be given, .*VampPrior.*Received: encoder=None$"):
        call(vamp_vae().prior)


def test_a_vamp_prior_of_an_encoder_of_another_size_is_named():
    prior = priors.VampPrior(4, SHAPE, 5)
    prior.build()
    with pytest.raises(ValueError, match=r"`distribution` of VampPrior must have .* event shape \(4,\), .* \(2,\)"):
        prior(vamp_vae().encoder)


def test_vamp_prior_of_diagonal_gaussians_is_the_closed_form_mixture():
    vae, z = vamp_vae(), make_points(20)
    q = vae.encode(vae.prior.pseudo_inputs)
    expected = reference.gaussian_mixture_log_prob(z, np.full(5, 0.2), q.mean().numpy(), q.stddev().numpy())
    np.testing.assert_allclose(vae.prior_distribution().log_prob(z), expected, rtol=1e-4)


def test_pseudo_inputs_are_kept_within_their_range():
    vae, z = vamp_vae(low=-0.5, high=0.5), make_points(6)
    assert np.all(np.abs(vae.prior.pseudo_inputs) <= 0.5)
    values = np.random.default_rng(0).choice([-0.5, 0.5], (5, *SHAPE))
    vae.prior.pseudo_inputs.assign(values)
    inside = vae.prior_distribution().log_prob(z)
    vae.prior.pseudo_inputs.assign(7.0 * values)
    np.testing.assert_allclose(vae.prior_distribution().log_prob(z), inside, rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "index"), [(20, [0, 4, 8, 12, 16]), (23, [0, 4, 8, 12, 16]), (5, range(5)), (3, [0, 1, 2, 0, 1])]
)
def test_adapt_spreads_the_pseudo_inputs_over_the_data(count, index):
    vae, images = vamp_vae(), (np.arange(count) / 23.0).astype(np.float32)
    x = np.tile(images[:, None, None, None], (1, *SHAPE))
    vae.adapt(x)
    np.testing.assert_array_equal(vae.prior.pseudo_inputs, x[list(index)])


def test_adapt_presents_8_bit_images_as_training_does():
    vae = vamp_vae()
    values = np.random.default_rng(0).integers(0, 256, (10, *SHAPE)).astype(np.uint8)
    vae.adapt(Examples(values, divisor=255.0))
    np.testing.assert_allclose(vae.prior.pseudo_inputs, values[::2] / 255.0, rtol=1e-6)


# In a model.


def learned_vae(name, event_shape=(2,)):
    """Returns a VAE whose decoder is the identity, with a learned prior that is far from N(0, I)."""
    prior = make_mixture() if name == "mixture" else make_flow(name)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian(event_shape)),
        prior=prior,
        seed=0,
    )
    vae.decoder.likelihood._projection.set_weights([np.eye(2), np.zeros(2)])
    vae.compile()
    return vae


@pytest.mark.parametrize("name", ["mixture", *FLOWS])
def test_a_model_samples_from_its_learned_prior_and_still_does_when_loaded(name, tmp_path):
    vae = learned_vae(name)
    x = vae.sample(2000, seed=3).numpy()
    np.testing.assert_allclose(x, draw(vae.prior(), Noise(3), (2000,)), rtol=1e-5, atol=1e-5)
    if name == "mixture":
        expected = reference.gaussian_mixture_log_prob(x, WEIGHTS, LOC, SCALE)
        np.testing.assert_allclose(x.mean(0), WEIGHTS @ LOC, atol=4 * x.std(0).max() / np.sqrt(2000))
        assert expected.mean() > -4
    assert scipy.stats.kstest(x[:, 1], "norm").pvalue < 1e-10
    vae.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "m.keras").sample(2000, seed=3), x)


def test_a_vamp_model_samples_from_its_pseudo_inputs_and_still_does_when_loaded(tmp_path):
    vae = vamp_vae()
    vae.adapt(make_binary())
    z, _ = vae.sample_latent(4000, seed=3)
    q = vae.encode(vae.prior.pseudo_inputs)
    marginal = lambda x: scipy.stats.norm.cdf(x[:, None], q.mean()[:, 0], q.stddev()[:, 0]).mean(1)  # noqa: E731
    assert scipy.stats.kstest(z[:, 0], marginal).pvalue > 1e-3
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(copy.prior.pseudo_inputs, vae.prior.pseudo_inputs)
    np.testing.assert_allclose(copy.sample(8, seed=3), vae.sample(8, seed=3), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "maf", "deep flow"])
def test_a_flow_beats_every_linear_gaussian_model_on_a_curve(name):
    """Under N(0, I) a linear decoder makes a Gaussian of x, which cannot be above the one with the data's moments.

    A flow prior bends z, which the same decoder only has to copy.
    """
    random = np.random.default_rng(0)
    first = random.normal(size=1000)
    x = np.stack([first, first**2 + 0.5 * random.normal(size=1000)], -1).astype(np.float32)
    best = reference.gaussian_log_prob(x, x.mean(0), np.cov(x.T, bias=True)).mean()
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([16]), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((2,), scale=0.3)),
        prior=FLOWS[name](2),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(x, batch_size=100, epochs=60, verbose=0)
    # A lower bound of log p(x), so that the distance is at least this.
    assert vae.bounds(x, 10)[0].mean() > best + 0.3


@pytest.mark.parametrize("name", slow_from(2, ["mixture", "vamp", *FLOWS]))
def test_training_moves_the_prior_and_raises_the_elbo(binary, name):
    make = {
        "mixture": lambda: make_vae(latent_dim=2, prior=priors.MixtureOfGaussians(2, 3)),
        "vamp": vamp_vae,
    }
    vae = make[name]() if name in make else make_vae(latent_dim=2, prior=FLOWS[name](2))
    vae.adapt(binary)
    before = [np.array(w) for w in vae.prior.get_weights()]
    history = vae.fit(binary, batch_size=10, epochs=8, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0] + 0.5
    assert vae.kl_method == "monte_carlo"
    assert all(np.abs(w - b).max() > 1e-4 for w, b in zip(vae.prior.get_weights(), before, strict=True))


def test_importance_weights_under_a_mixture_average_to_its_evidence():
    """With x = W z + b + noise, x is a mixture of N(W loc_k + b, W diag(scale_k^2) W^T + I)."""
    linear = reference.LinearGaussian([[1.0, 0.3], [-0.5, 0.8], [0.2, -1.0]], [0.5, 0.0, -1.0])
    x = draw(make_mixture()(), Noise(0), (6,)).numpy() @ np.float32(linear.weights.T) + np.float32(linear.bias)
    components = [
        reference.gaussian_log_prob(
            x, linear.weights @ m + linear.bias, np.eye(3) + (linear.weights * s**2) @ linear.weights.T
        )
        for m, s in zip(LOC, SCALE, strict=True)
    ]
    evidence = np.logaddexp.reduce(np.stack(components, -1) + np.log(WEIGHTS), axis=-1)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([]), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([]), kv.likelihoods.Gaussian((3,))),
        prior=make_mixture(),
        seed=0,
    )
    vae.decoder.likelihood._projection.set_weights([linear.weights.T, linear.bias])
    inverse = np.linalg.pinv(linear.weights).T
    bias = np.concatenate([-linear.bias @ inverse, [0.5, 0.5]])
    vae.encoder.posterior._projection.set_weights([np.concatenate([inverse, np.zeros((3, 2))], axis=1), bias])
    runs = np.exp([vae.log_prob(x, 1000, seed) - evidence for seed in range(40)])
    assert reference.within_error(runs, 1.0)
    assert runs.std(0).max() < 0.2


# Arguments.


@pytest.mark.parametrize(
    "make",
    [
        lambda: priors.StandardNormal(3),
        lambda: priors.MixtureOfGaussians(3, 4, min_scale=0.01),
        lambda: priors.VampPrior(3, SHAPE, 4, low=-1.0, high=2.0),
        lambda: priors.Flow(3, 2, 5),
        lambda: priors.Flow(3, 2, 5, 4),
        lambda: priors.MAF((3, 1), 2, 5, 4),
    ],
    ids=["normal", "mixture", "vamp", "flow", "deep flow", "maf"],
)
def test_config_comes_back_through_keras_serialization(make):
    prior = make()
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    assert type(copy) is type(prior)
    assert copy.get_config() == prior.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.MixtureOfGaussians(2, 0), "`num_components` must be a positive integer"),
        (lambda: priors.MixtureOfGaussians(2, min_scale=0), "`min_scale` must be a positive number"),
        (lambda: priors.VampPrior(2, 28), "`event_shape` must be a tuple of positive integers"),
        (lambda: priors.VampPrior(2, SHAPE, 1.5), "`num_components` must be a positive integer"),
        (lambda: priors.Flow(1, hidden_layers=2), "`latent_dim` must be at least 2 for a flow of halves. Received"),
        (
            lambda: priors.Flow(2, hidden_layers=0),
            "`hidden_layers` must be a positive integer. Received: hidden_layers=0",
        ),
        (lambda: priors.MAF(2, hidden_layers=1.5), "`hidden_layers` must be a positive integer"),
        (lambda: priors.MAF(0), "`latent_dim` must be a positive integer or a tuple of positive integers"),
        (lambda: vamp_vae("IAF"), "`prior` must not be made of the encoder .* Received: VampPrior"),
        (lambda: vamp_vae("Flow"), "`prior` must not be made of the encoder .* Received: VampPrior"),
        (lambda: make_vae(latent_dim=3, prior=priors.StandardNormal(2)), "`prior` must have the latent_shape of"),
    ],
)
def test_a_bad_argument_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
