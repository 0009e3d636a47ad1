"""A prior of one's own that depends on the condition: p(z|c)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from exporting import NOISE
from helpers import SHAPE, make_binary

import keras_vae as kv
from export import exporter, runtimes

tfd = tfp.distributions
X, CLASSES = make_binary(60), np.arange(60) % 3


@keras.saving.register_keras_serializable(package="test")
class ClassMeans(kv.priors.Prior):
    """p(z|c) = N(means c, I)."""

    condition_dim = 3

    def build(self, input_shape=None):
        self.means = self.add_weight(
            name="means", shape=(self.condition_dim, self.latent_dim), initializer=keras.initializers.RandomNormal(1.0)
        )
        super().build(input_shape)

    def distribution(self, condition):
        loc = tf.matmul(condition, tf.convert_to_tensor(self.means))
        return tfd.Independent(tfd.Normal(loc, tf.ones_like(loc)), 1)


def make(prior=None, condition_dim=3):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(2), condition_dim),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), condition_dim),
        prior=prior or ClassMeans(2),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


def test_the_kl_is_that_from_the_prior_of_each_class():
    vae = make()
    posterior, means = vae.encode(X, CLASSES), vae.prior.means.numpy()[CLASSES]
    loc, scale = posterior.mean().numpy(), posterior.stddev().numpy()
    expected = (0.5 * (scale**2 + (loc - means) ** 2 - 1) - np.log(scale)).sum(axis=1).mean()
    found = vae.evaluate(X, CLASSES, batch_size=60, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["kl"], expected, rtol=1e-5)
    np.testing.assert_allclose(vae.prior_distribution(CLASSES).mean(), means, rtol=1e-6)


@pytest.mark.slow
def test_training_moves_the_means_of_the_classes():
    vae = make()
    before = vae.prior.means.numpy().copy()
    loss = vae.fit(X, CLASSES, epochs=5, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    assert np.abs(vae.prior.means.numpy() - before).min() > 0


def test_samples_come_from_the_prior_of_their_class_and_do_so_when_loaded(tmp_path):
    vae = make()
    z, _ = vae.sample_latent(3, seed=1, temperature=0.0, condition=np.arange(3))
    np.testing.assert_allclose(z, vae.prior.means, rtol=1e-6)
    x = vae.sample(6, seed=1, condition=np.arange(6) % 3)
    vae.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "m.keras").sample(6, 1, condition=np.arange(6) % 3), x
    )


def test_importance_weights_are_of_the_prior_of_each_class():
    # With one sample the bound is log p(x|z) + log p(z|c) - log q(z|x) itself, whose mean is the ELBO.
    vae = make()
    elbo = vae.bounds(X, 400, seed=0, condition=CLASSES)[0].mean()
    found = vae.evaluate(X, CLASSES, batch_size=60, verbose=0, return_dict=True)["elbo"]
    assert abs(elbo - found) < 0.5


@pytest.mark.slow
def test_the_exported_decoder_draws_from_the_prior_of_each_class(tmp_path):
    vae = make()
    exporter.export_model(vae, tmp_path / "export", exporter.Options(num_samples=3, files=("decoder",)))
    run = runtimes.litert_runner(tmp_path / "export" / "decoder.tflite")
    condition = np.eye(3, dtype=np.float32)
    drawn = run("sample", seed=np.int32(5), temperature=np.float32(1.0), condition=condition)
    np.testing.assert_allclose(drawn["mean"], vae.sample(3, seed=5, condition=np.arange(3)), atol=NOISE)


@pytest.mark.parametrize("condition_dim", [None, 4])
def test_a_prior_of_another_condition_is_named(condition_dim):
    with pytest.raises(ValueError, match=rf"`prior` must have the condition_dim of the encoder, {condition_dim}, or"):
        make(condition_dim=condition_dim)


def test_a_prior_without_a_row_for_each_condition_is_named():
    class Wrong(ClassMeans):
        def distribution(self, condition):
            return tfd.Independent(tfd.Normal(tf.zeros(2), tf.ones(2)), 1)

    with pytest.raises(
        ValueError, match=r"`distribution` of Wrong must have batch shape \(batch,\) and event shape \(2,\)"
    ):
        make(Wrong(2)).prior_distribution(CLASSES)


def test_it_is_measured_with_the_prior_of_each_class():
    vae = make()
    expected = vae.evaluate(X, CLASSES, batch_size=60, verbose=0, return_dict=True)["kl"]
    report = kv.measure.evaluate(vae, X, 20, condition=CLASSES)
    np.testing.assert_allclose(sum(report["kl_per_dimension"]), expected, rtol=1e-5)
    assert report["elbo"] < report["log_likelihood"]


def test_the_mmd_is_from_draws_of_the_prior_of_each_class():
    vae, plain = make(), make(kv.priors.StandardNormal(2))
    vae.prior.means.assign(tf.zeros((3, 2)))
    losses = []
    for model in (vae, plain):
        model.objective = kv.objectives.WAE()
        losses.append(model.evaluate(X, CLASSES, batch_size=60, verbose=0, return_dict=True)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_it_is_no_top_of_a_hierarchy():
    with pytest.raises(
        ValueError, match=r"`top` must be a prior of dimension 2, .* made of the encoder or of a condition"
    ):
        kv.priors.Hierarchical((3, 2), top=ClassMeans(2))
