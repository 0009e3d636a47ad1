"""Several stochastic layers: densities, draws, and a model whose evidence is known."""

import json

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from helpers import make_binary, make_vae

import keras_vae as kv
from export import exporter
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import center, draw
from keras_vae.distributions.softplus import UNIT
from keras_vae.measure import evaluation
from keras_vae.measure.information import split_kl
from keras_vae.runs.config import Config

DIMS, WIDTH = (3, 2), 5
SCALE = np.log1p(np.exp(UNIT)) + 1e-4  # of a network whose part for the scale is 0


def linear(layer, seed, num_in, num_out):
    """Makes the last layer of a network linear in the mean with a scale of SCALE; returns its matrix and bias."""
    random = np.random.default_rng(seed)
    kernel, bias = 0.7 * random.normal(size=(num_in, num_out)), random.normal(size=num_out)
    layer.kernel.assign(np.concatenate([kernel, np.zeros((num_in, num_out))], axis=1))
    layer.bias.assign(np.concatenate([bias, np.zeros(num_out)]))
    return np.float32(kernel).astype(np.float64), np.float32(bias).astype(np.float64)


@pytest.fixture(scope="module")
def model():
    """z_2 ~ N(0, I), z_1 = A z_2 + a + SCALE eps, x = B z_1 + b + eps: the model, and mean and covariance of x."""
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp(()), kv.posteriors.Hierarchical(DIMS, hidden_units=())),
        kv.Decoder(kv.networks.mlp(()), kv.likelihoods.Gaussian((WIDTH,)), latent_dim=DIMS[0]),
        prior=kv.priors.Hierarchical(DIMS, hidden_units=()),
        seed=0,
    )
    a_kernel, a_bias = linear(vae.prior._transitions[0]._network.layers[-1], 0, DIMS[1], DIMS[0])
    b = vae.decoder.likelihood._projection
    b.bias.assign(np.arange(WIDTH))
    b_kernel = np.float64(b.kernel.numpy())
    covariance_1 = a_kernel.T @ a_kernel + SCALE**2 * np.eye(DIMS[0])
    mean = a_bias @ b_kernel + np.arange(WIDTH)
    return vae, (a_kernel, a_bias), mean, b_kernel.T @ covariance_1 @ b_kernel + np.eye(WIDTH)


def test_the_prior_is_the_product_of_its_layers(model):
    vae, (kernel, bias), *_ = model
    z = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    z_1, z_2 = z[:, :3], z[:, 3:]
    expected = reference.normal_log_prob(z_2, 0.0, 1.0) + reference.normal_log_prob(z_1, z_2 @ kernel + bias, SCALE)
    np.testing.assert_allclose(vae.prior().log_prob(z), expected, rtol=1e-5)
    many = np.stack([z, z + 1.0])
    np.testing.assert_allclose(vae.prior().log_prob(many)[0], expected, rtol=1e-5)


def test_the_posterior_is_the_product_of_its_layers(model):
    vae = model[0]
    x = np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)
    z = np.random.default_rng(2).normal(size=(7, 4, 5)).astype(np.float32)
    head = vae.encoder.posterior
    first = head._first(vae.encoder.trunk(x - vae.encoder.input_mean))
    second = head._transitions[0](z[..., :3])
    expected = [
        reference.normal_log_prob(z[i, :, :3], first.mean(), first.stddev())
        + reference.normal_log_prob(z[i, :, 3:], second.mean()[i], second.stddev()[i])
        for i in range(7)
    ]
    np.testing.assert_allclose(vae.encode(x).log_prob(z), expected, rtol=1e-5)
    assert vae.encode(x).batch_shape == (4,)
    # The center: each layer's mean at the mean of the one before.
    middle = center(vae.encode(x)).numpy()
    np.testing.assert_allclose(middle[:, :3], first.mean(), rtol=1e-6)
    np.testing.assert_allclose(middle[:, 3:], head._transitions[0](first.mean()).mean(), rtol=1e-5)


@pytest.mark.parametrize("make", [lambda p, n: draw(p, Noise(3), (n,)), lambda p, n: p.sample(n, seed=(0, 3))])
def test_draws_have_the_moments_of_the_prior(model, make):
    vae, (kernel, bias), *_ = model
    count = 40_000
    z = make(vae.prior(), count).numpy()
    covariance = np.block([[kernel.T @ kernel + SCALE**2 * np.eye(3), kernel.T], [kernel, np.eye(2)]])
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / count)
    assert (np.abs(np.cov(z.T) - covariance) < 4.5 * error).all()
    mean = np.concatenate([bias, np.zeros(2)])
    assert (np.abs(z.mean(axis=0) - mean) < 4.5 * np.sqrt(np.diag(covariance) / count)).all()


def test_bounds_lie_below_the_evidence_and_reach_it(model):
    vae, _, mean, covariance = model
    x = np.random.default_rng(4).multivariate_normal(mean, covariance, 500).astype(np.float32)
    exact = reference.gaussian_log_prob(x, mean, covariance)
    vae.compile(keras.optimizers.Adam(2e-2))
    for part in (vae.decoder, vae.prior):
        part.trainable = False
    vae.compile(keras.optimizers.Adam(2e-2))
    vae.fit(x, batch_size=100, epochs=60, verbose=0)
    elbo, loose = vae.bounds(x, 10)
    tight = vae.log_prob(x, 2000)
    error = 4.0 * (exact - elbo).std() / np.sqrt(len(x) * 10)
    assert elbo.mean() < loose.mean() + error < tight.mean() + 2.0 * error
    # The posterior is a diagonal Gaussian times a linear one: near the exact one, and samples close the rest.
    assert 0.0 < exact.mean() - elbo.mean() < 1.0
    np.testing.assert_allclose(tight.mean(), exact.mean(), atol=0.02)


def test_the_kl_of_all_layers_is_split(model):
    vae = model[0]
    x = np.random.default_rng(5).normal(size=(300, WIDTH)).astype(np.float32)
    split = split_kl(vae.encode(x), vae.prior(), num_samples=20)
    z = vae.encode(x).sample(200, seed=(1, 2))
    kl = (vae.encode(x).log_prob(z) - vae.prior().log_prob(z)).numpy().mean(axis=0)
    # Both are Monte Carlo: 20 and 200 samples of 300 examples.
    assert split["kl"] == pytest.approx(kl.mean(), rel=0.05)
    assert split["mutual_information"] + split["marginal_kl"] == pytest.approx(split["kl"], rel=1e-6)
    assert 0 < split["mutual_information"] < split["max_mutual_information"]


@pytest.mark.slow
@pytest.mark.parametrize("top", ["mixture", "flow"])
def test_it_trains_saves_loads_and_exports(top, tmp_path):
    keras.utils.set_random_seed(0)
    tops = {"mixture": lambda: kv.priors.MixtureOfGaussians(2, 4), "flow": lambda: kv.priors.Flow(2, 2, 8)}
    x = make_binary(64, (4, 4, 1))
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.Hierarchical((4, 3, 2), hidden_units=(8,), activation="glu")),
        kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli((4, 4, 1)), latent_dim=4),
        prior=kv.priors.Hierarchical((4, 3, 2), tops[top](), hidden_units=(8,)),
        objective=kv.objectives.IWAE(3),
        seed=0,
    )
    assert vae.latent_dim == 9
    assert vae.kl_method == "monte_carlo"
    vae.compile(keras.optimizers.Adam(1e-2))
    loss = vae.fit(x, batch_size=64, epochs=20, verbose=0).history["loss"]
    assert loss[-1] < loss[0] - 0.5
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(copy.sample(3, seed=1), vae.sample(3, seed=1))
    # Compares each signature with Keras, `score` among them, and raises where they differ.
    exporter.export_model(vae, tmp_path / "export", exporter.Options(num_samples=2))
    card = json.loads((tmp_path / "export" / "model_card.json").read_text(encoding="utf-8"))
    assert (card["latent_dim"], card["decoder_latent_dim"]) == (9, 4)


def test_active_units_are_counted_for_each_layer():
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp(()), kv.posteriors.Hierarchical(DIMS, hidden_units=())),
        kv.Decoder(kv.networks.mlp(()), kv.likelihoods.Gaussian((WIDTH,)), latent_dim=DIMS[0]),
        prior=kv.priors.Hierarchical(DIMS, hidden_units=()),
    )
    first = vae.encoder.posterior._first._projection
    kernel = np.zeros(first.kernel.shape)
    kernel[0, 0], kernel[1, 1] = 1.0, 2.0  # z_1 follows two values of x in two of its three dimensions
    first.kernel.assign(kernel)
    second = vae.encoder.posterior._transitions[0]._network.layers[-1]
    kernel = np.zeros(second.kernel.shape)
    kernel[1, 0] = 0.5  # and z_2 the second of them in one of its two
    second.kernel.assign(kernel)
    x = np.random.default_rng(6).normal(size=(200, WIDTH)).astype(np.float32)
    report = evaluation.evaluate(vae, x, 2)
    assert (report["active_units"], report["active_units_per_layer"]) == (3, [2, 1])
    assert evaluation.describe_active_units(report) == "3 (2 of z_1, 1 of z_2)"
    variances = x.astype(np.float64).var(axis=0)[:2]
    expected = [variances[0], 4 * variances[1], 0.0, variances[1], 0.0]
    np.testing.assert_allclose(report["variance_per_dimension"], expected, rtol=1e-4, atol=1e-10)
    one_layer = evaluation.evaluate(make_vae(), make_binary(), 2)
    assert "active_units_per_layer" not in one_layer
    assert evaluation.describe_active_units(one_layer) == str(one_layer["active_units"])


def test_the_trunk_sees_the_lowest_layer_alone():
    decoder = kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli((2, 2, 1)), condition_dim=2, latent_dim=3)
    decoder.build((None, 5))
    z, condition = np.ones((1, 5), np.float32), tf.constant([[1.0, 0.0]])
    upper, lower = z.copy(), z.copy()
    upper[:, 3:], lower[:, 2] = 7.0, 7.0
    mean = decoder(z, condition).mean().numpy()
    np.testing.assert_array_equal(decoder(upper, condition).mean(), mean)
    assert np.abs(decoder(lower, condition).mean() - mean).max() > 1e-3
    assert np.abs(decoder(z, tf.constant([[0.0, 1.0]])).mean() - mean).max() > 1e-3


@pytest.mark.parametrize("make", [kv.posteriors.Hierarchical, kv.priors.Hierarchical])
@pytest.mark.parametrize("latent_dims", [3, (3,), (3, 0), (3, 2.5), "32"])
def test_layers_are_two_or_more_positive_integers(make, latent_dims):
    with pytest.raises(ValueError, match=r"`latent_dims` must be .*positive integer.*Received: latent_dims="):
        make(latent_dims)


def test_the_prior_of_the_top_layer_must_fit_it():
    with pytest.raises(
        ValueError, match=r"`top` must be a prior of dimension 2.*Received: StandardNormal of shape \(3,\)"
    ):
        kv.priors.Hierarchical((4, 2), kv.priors.StandardNormal(3))


@pytest.mark.parametrize("settings", [{"posterior": "flow"}, {"prior": "vamp"}])
def test_settings_that_do_not_go_with_layers_are_refused(settings):
    with pytest.raises(ValueError, match="`upper_latent_dims` needs posterior=diagonal and a prior other than vamp"):
        Config(upper_latent_dims=(2,), **settings)


@pytest.mark.parametrize(
    "settings", [{"objective": "free_bits"}, {"objective": "dreg"}, {"kl_estimator": "path_derivative"}]
)
def test_objectives_that_need_a_factorized_posterior_are_refused(settings):
    with pytest.raises(ValueError, match="`upper_latent_dims` needs another objective than"):
        Config(upper_latent_dims=(2,), **settings)
