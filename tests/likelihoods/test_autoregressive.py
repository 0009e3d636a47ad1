"""`likelihoods.Autoregressive`: exact probabilities, draws that have them, and everything that a likelihood can do."""

import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_binary, slow_from
from tensorflow_probability import distributions as tfd

import keras_vae as kv
from keras_vae.networks.causal import check_causal

HEADS = {
    "bernoulli": (kv.likelihoods.Bernoulli, (0.0, 1.0)),
    "categorical": (lambda shape: kv.likelihoods.Categorical(shape, num_levels=2), (0.0, 1.0)),
    "logistic_mixture": (lambda shape: kv.likelihoods.DiscretizedLogisticMixture(shape, 3, 2), (0.0, 0.5, 1.0)),
}


def make(shape, head=kv.likelihoods.Bernoulli, network=None, latent_dim=1, stir=0.4, condition_dim=None, **kwargs):
    """Returns a model with noise on all its weights."""
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(latent_dim), condition_dim),
        kv.Decoder(
            kv.networks.mlp((8,)),
            kv.likelihoods.Autoregressive(head(shape), network or kv.networks.CausalConv(4, 2, kernel_size=3)),
            condition_dim,
        ),
        seed=0,
        **kwargs,
    )
    random = np.random.default_rng(0)
    for weight in vae.trainable_variables:
        weight.assign_add(stir * random.normal(size=weight.shape))
    return vae


def everything(shape, values=(0.0, 1.0)):
    """Returns all x of a small event."""
    return np.array(list(itertools.product(values, repeat=int(np.prod(shape)))), np.float32).reshape(-1, *shape)


@pytest.mark.parametrize("shape", [(2, 2, 1), (1, 2, 2), (1, 1, 4)], ids=str)
@pytest.mark.parametrize("head", HEADS)
def test_the_probabilities_of_all_pictures_sum_to_one(head, shape):
    make_head, values = HEADS[head]
    x = everything(shape, values)
    z = np.full((len(x), 1), 0.7, np.float32)
    total = np.exp(make(shape, make_head).decode(z).log_prob(x).numpy().astype(np.float64)).sum()
    assert total == pytest.approx(1.0, abs=1e-5)


def test_draws_have_the_probabilities_of_the_density():
    vae, x, count = make((2, 2, 1)), everything((2, 2, 1)), 20_000
    z = np.full((count, 1), -0.4, np.float32)
    drawn = kv.sampling.draw(vae.decode(z), kv.noise.Noise(3)).numpy().reshape(count, -1)
    seen = np.bincount((drawn @ (2 ** np.arange(4)[::-1])).astype(int), minlength=16) / count
    expected = np.exp(vae.decode(z[:16]).log_prob(x).numpy())
    assert (np.abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / count)).all()


def test_the_importance_weighted_bound_meets_the_exact_log_likelihood():
    vae, x = make((2, 2, 1)), everything((2, 2, 1))
    # This posterior is as wide as the prior, so that no x is missed.
    vae.encoder.posterior.set_weights([np.zeros_like(w) for w in vae.encoder.posterior.get_weights()])
    # p(x) is an integral over one number, on a grid that is fine and wide.
    z, step = np.linspace(-8, 8, 2001, retstep=True)
    prior = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    grid = z[:, None].astype(np.float32)
    exact = [
        np.log((np.exp(vae.decode(grid).log_prob(np.repeat(one[None], 2001, 0))) * prior).sum() * step) for one in x
    ]
    np.testing.assert_allclose(vae.log_prob(x, num_samples=5000), exact, atol=0.02)
    assert np.exp(exact).sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("height", "width", "channels"), slow_from(1, [(4, 6, 3), (5, 4, 1), (3, 3, 2)]))
def test_the_cached_loop_draws_what_the_naive_loop_draws(height, width, channels):
    class Naive(kv.networks.CausalConv):
        """The same network, which computes everything anew for each value."""

        order = kv.networks.CausalNetwork.order
        drawing = kv.networks.CausalNetwork.drawing

    cached, naive = (
        make((height, width, channels), network=network(4, 2), latent_dim=2).sample(64, seed=1, output="sample").numpy()
        for network in (kv.networks.CausalConv, Naive)
    )
    np.testing.assert_array_equal(cached, naive)
    assert 0.05 < cached.mean() < 0.95


def test_the_mean_of_a_draw_is_that_of_its_conditionals():
    vae = make((3, 3, 1), latent_dim=2)
    z, _ = vae.sample_latent(4, seed=5)
    x = vae.sample(4, seed=5, output="sample")
    conditional = vae.decode(z).factors.conditional(x)
    np.testing.assert_allclose(vae.sample(4, seed=5), conditional.mean(), rtol=1e-6)
    np.testing.assert_allclose(conditional.log_prob(x), vae.decode(z).log_prob(x), rtol=1e-6)
    # `mean` has noise of its own, the same for each row.
    same = vae.decode(tf.repeat(z[:1], 3, axis=0)).mean().numpy()
    np.testing.assert_allclose(same[0], same[2], rtol=1e-6)
    np.testing.assert_allclose(vae.decode(z).mean(), vae.decode(z).mean(), rtol=1e-6)


@pytest.mark.parametrize(
    "objective",
    slow_from(1, [kv.objectives.IWAE(3), kv.objectives.ELBO(), kv.objectives.DReG(3)]),
    ids=lambda o: type(o).__name__,
)
def test_it_trains_and_is_kept_in_a_file(objective, tmp_path):
    x = make_binary(64, (4, 4, 1))
    vae = make((4, 4, 1), latent_dim=2, stir=0.0, objective=objective)
    vae.adapt(x)
    vae.compile(keras.optimizers.Adam(1e-2))
    history = vae.fit(x, batch_size=16, epochs=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 1.0
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(copy.sample(3, seed=2, output="sample"), vae.sample(3, seed=2, output="sample"))
    np.testing.assert_array_equal(copy.log_prob(x[:4], 5), vae.log_prob(x[:4], 5))


@pytest.mark.slow
def test_a_gaussian_head_with_a_learned_scale_follows_its_residuals():
    # Each row is a ramp from a random start, so that a value is known from its neighbor up to the noise of 0.1.
    random = np.random.default_rng(0)
    x = (
        random.normal(size=(256, 1, 1, 1))
        + 0.5 * np.arange(6).reshape(1, 1, 6, 1)
        + 0.1 * random.normal(size=(256, 1, 6, 1))
    )
    vae = make((1, 6, 1), lambda shape: kv.likelihoods.Gaussian(shape, scale="shared"), stir=0.0)
    vae.adapt(x)
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(x, batch_size=32, epochs=30, verbose=0)
    scale = float(vae.decode(np.zeros((1, 1), np.float32)).factors.template().distribution.scale)
    assert 0.08 < scale < 0.25
    assert vae.sample(5, seed=1, output="sample").shape == (5, 1, 6, 1)


def test_a_conditional_model_draws_by_its_class():
    x = make_binary(200, (3, 3, 1))
    labels = (x.mean(axis=(1, 2, 3)) > x.mean()).astype(int)
    vae = make((3, 3, 1), stir=0.0, condition_dim=2)
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(x, labels, batch_size=20, epochs=15, verbose=0)
    dark, bright = (float(tf.reduce_mean(vae.sample(50, seed=1, output="sample", condition=c))) for c in (0, 1))
    assert bright > dark + 0.1


def test_under_mixed_precision_the_density_is_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        vae = make((4, 4, 1), latent_dim=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert vae.decode(np.zeros((2, 2), np.float32)).log_prob(np.zeros((2, 4, 4, 1))).dtype == tf.float32
    assert vae.sample(2, seed=0, output="sample").dtype == tf.float32


class WithoutRule(kv.likelihoods.Likelihood):
    """A head whose distribution cannot be drawn from base noise."""

    def distribution(self, parameters):
        return self._independent(tfd.Cauchy(parameters[..., 0], 1.0))

    def initial_parameters(self, mean):
        return mean[..., None]


def test_a_head_without_a_sampling_rule_is_one_error():
    with pytest.raises(ValueError, match=r"`head` must have a distribution that can be drawn: .*Cauchy"):
        make((2, 2, 1), WithoutRule)


def test_a_head_that_is_autoregressive_itself_is_one_error():
    inner = kv.likelihoods.Autoregressive(kv.likelihoods.Bernoulli((2, 2, 1)), kv.networks.CausalConv())
    with pytest.raises(ValueError, match=r"`head` must be a factorized likelihood\. Received: Autoregressive"):
        kv.likelihoods.Autoregressive(inner, kv.networks.CausalConv())


def test_a_head_of_another_model_is_one_error():
    head = kv.likelihoods.Bernoulli((2, 2, 1))
    head.build((None, 3))
    with pytest.raises(ValueError, match=r"`head` must be a new likelihood, .* Received: Bernoulli of another model"):
        kv.likelihoods.Autoregressive(head, kv.networks.CausalConv())


class SeesItself(kv.networks.CausalNetwork):
    """A network that hands on x as it is."""

    def call(self, x, features):
        return x[..., None]


def test_a_network_that_looks_ahead_is_one_error():
    with pytest.raises(ValueError, match=r"`network` must be causal: .*SeesItself"):
        make((2, 2, 1), network=SeesItself())


class LeaksThroughZeros(kv.networks.CausalNetwork):
    """Sees its own value through a layer whose weights are zero until it is trained."""

    def build(self, x_shape, features_shape):
        self.dense = keras.layers.Dense(2, kernel_initializer="zeros")
        self.dense.build((*x_shape, 1))
        super().build(x_shape, features_shape)

    def call(self, x, features):
        return self.dense(x[..., None])


def test_weights_that_are_zero_do_not_hide_that_a_network_looks_ahead():
    with pytest.raises(ValueError, match=r"`network` must be causal: .*LeaksThroughZeros"):
        make((2, 2, 1), network=LeaksThroughZeros())


def test_the_check_leaves_the_weights_as_they_are():
    network = kv.networks.CausalConv(4, 1, kernel_size=3)
    network.build((None, 2, 2, 1), (None, 3))
    before = network.get_weights()
    check_causal(network, (2, 2, 1), (3,))
    for weight, expected in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("head", "network", "message"),
    [
        (
            lambda: kv.likelihoods.Tokens(5, 10),
            lambda: kv.networks.CausalGRU(8),
            "`network` must be for the 10 values that x of Tokens may have. Received: CausalGRU, which is for 8",
        ),
        (
            lambda: kv.likelihoods.Bernoulli((5, 1)),
            lambda: kv.networks.CausalTransformer(8, 4, 2),
            "`network` must take x of float32, that of Bernoulli. Received: CausalTransformer, which takes int32",
        ),
        (
            lambda: kv.likelihoods.Tokens(5, 10),
            lambda: kv.networks.CausalConv(),
            "`network` must take x of int32, that of Tokens. Received: CausalConv, which takes float32",
        ),
    ],
)
def test_a_network_for_another_head_is_one_error(head, network, message):
    likelihood = kv.likelihoods.Autoregressive(head(), network())
    with pytest.raises(ValueError, match=re.escape(message)):
        likelihood.build((None, 3))
