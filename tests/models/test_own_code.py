"""What a user brings: data of every kind, networks, and distributions of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import SHAPE, make_binary, make_vae, slow_from

import keras_vae as kv
from export import exporter
from keras_vae.distributions.sampling import draw, full_shape

tfd = tfp.distributions
X = make_binary()
CLASSES = np.arange(50) % 3
WEIGHTS = np.random.default_rng(0).integers(0, 3, 50).astype(np.float32)


class Batches(keras.utils.PyDataset):
    """Arrays in batches of ten, as a user's own loader."""

    def __init__(self, *arrays, **kwargs):
        super().__init__(**kwargs)
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays[0]) // 10

    def __getitem__(self, index):
        parts = tuple(array[10 * index : 10 * index + 10] for array in self.arrays)
        return parts if len(parts) > 1 else parts[0]


def as_data_set(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(10)


KINDS = {
    "arrays": lambda x, y=None, w=None: ((x, y), {"sample_weight": w, "batch_size": 10}),
    "tf.data": lambda *parts: ((as_data_set(*parts),), {}),
    "PyDataset": lambda *parts: ((Batches(*parts),), {}),
    "PyDataset with workers": lambda *parts: ((Batches(*parts, workers=2, max_queue_size=3),), {}),
}


def conditional():
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(2), condition_dim=3),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), condition_dim=3),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


# Data.


@pytest.mark.parametrize(
    "parts", [(X, CLASSES, WEIGHTS), pytest.param((X,), marks=pytest.mark.slow)], ids=["x, y, w", "x"]
)
def test_every_kind_of_input_trains_to_the_same_numbers(parts):
    losses = {}
    for kind in list(KINDS)[: 1 + len(parts)]:
        data, options = KINDS[kind](*parts)
        losses[kind] = make_vae().fit(*data, shuffle=False, epochs=2, verbose=0, **options).history["loss"]
    for kind, values in losses.items():
        np.testing.assert_allclose(values, losses["arrays"], rtol=1e-4, err_msg=kind)
    assert losses["arrays"][1] < losses["arrays"][0]


@pytest.mark.slow
def test_y_is_the_condition_of_a_conditional_model_in_every_kind():
    losses = {}
    for kind, shift in (("arrays", 0), ("tf.data", 0), ("PyDataset", 0), ("PyDataset", 1)):
        data, options = KINDS[kind](X, (CLASSES + shift) % 3)
        losses[kind, shift] = conditional().fit(*data, shuffle=False, verbose=0, **options).history["loss"]
    for kind in ("tf.data", "PyDataset"):
        np.testing.assert_allclose(losses[kind, 0], losses["arrays", 0], rtol=1e-5, err_msg=kind)
    assert abs(losses["PyDataset", 0][0] - losses["PyDataset", 1][0]) > 1e-4


VALIDATION = {
    "array": X[:20],
    "tuple": (X[:20],),
    "pair": (X[:20], CLASSES[:20]),
    "triple": (X[:20], CLASSES[:20], np.ones(20)),
    "images": kv.data.Examples(X[:20]),
    "tf.data": as_data_set(X[:20]),
    "PyDataset": Batches(X[:20]),
}


@pytest.mark.parametrize("name", slow_from(2, sorted(VALIDATION, key=lambda name: name not in ("tf.data", "pair"))))
@pytest.mark.parametrize("kind", slow_from(1, ["tf.data", "arrays"]))
def test_every_kind_of_validation_data_gives_the_same_numbers(kind, name):
    vae = make_vae()
    vae.compile(keras.optimizers.SGD(0.0))
    expected = vae.evaluate(X[:20], batch_size=10, verbose=0, return_dict=True)["elbo"]
    data, _ = KINDS[kind](X)
    found = vae.fit(*data, validation_data=VALIDATION[name], validation_batch_size=10, epochs=2, verbose=0).history
    np.testing.assert_allclose(found["val_elbo"], [expected] * 2, rtol=1e-5)


@pytest.mark.parametrize("train", ["arrays", "tf.data"])
@pytest.mark.parametrize("kind", ["array", "tf.data", "PyDataset"])
def test_wrong_validation_data_is_called_by_its_name(train, kind):
    wrong = np.zeros((20, 28, 28, 1), np.float32)
    validation = {"array": wrong, "tf.data": as_data_set(wrong), "PyDataset": Batches(wrong)}[kind]
    data, _ = KINDS[train](X)
    with pytest.raises(ValueError, match=r"`validation_data` must fit the model: .*\(batch, 6, 5, 1\).*28, 28, 1\)"):
        make_vae().fit(*data, validation_data=validation, verbose=0)


@pytest.mark.parametrize(
    ("x", "message"),
    [(255 * X, r"`x` must lie in \[0, 1\]"), (np.zeros((20, 3, 3, 1)), r"`x` must have shape \(batch, 6, 5, 1\)")],
    ids=["scale", "shape"],
)
def test_the_first_batch_of_a_py_dataset_is_checked(x, message):
    with pytest.raises(ValueError, match=message):
        make_vae().fit(Batches(x), verbose=0)


def one_step(vae, x, **options):
    """Returns the weights after one step of gradient descent on all of x."""
    vae.compile(keras.optimizers.SGD(0.1))
    vae.fit(x, batch_size=len(x), shuffle=False, verbose=0, **options)
    return [np.array(weight) for weight in vae.trainable_weights]


@pytest.mark.slow
def test_an_example_of_weight_0_is_absent():
    weights = np.r_[np.ones(30), np.zeros(20)]
    # float32 sums over fifty terms instead of thirty.
    for a, b in zip(one_step(make_vae(), X, sample_weight=weights), one_step(make_vae(), X[:30]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def deterministic():
    keras.utils.set_random_seed(0)
    return kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.Deterministic(2)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        objective=kv.objectives.Reconstruction(),
        seed=0,
    )


def test_an_integer_weight_is_as_many_copies():
    # Without noise: copies of an example would draw different noise.
    repeated = np.repeat(X, WEIGHTS.astype(int), axis=0)
    for a, b in zip(
        one_step(deterministic(), X, sample_weight=WEIGHTS), one_step(deterministic(), repeated), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_the_loss_is_the_weighted_mean_of_the_examples():
    vae = deterministic()
    vae.compile("adam")
    logits = vae.decode(vae.encode(X).mean()).distribution.logits.numpy().astype(np.float64)
    each = (X * logits - np.logaddexp(0.0, logits)).sum((1, 2, 3))
    loss = vae.evaluate(X, sample_weight=WEIGHTS, batch_size=7, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, -np.average(each, weights=WEIGHTS), rtol=1e-5)


# Networks.


@keras.saving.register_keras_serializable(package="test_own_code")
class Gated(keras.layers.Layer):
    """A trunk as a user writes it, with neither `build` nor `compute_output_shape`."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.flatten = keras.layers.Flatten()
        self.value = keras.layers.Dense(units)
        self.gate = keras.layers.Dense(units, activation="sigmoid")

    def call(self, x):
        x = self.flatten(x)
        return self.value(x) * self.gate(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def functional():
    x = keras.Input(SHAPE)
    y = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    return keras.Model(x, keras.layers.Concatenate()([keras.layers.Flatten()(part) for part in (x, y)]))


def sequential():
    layers = keras.layers.Flatten(), keras.layers.Dense(8, activation="gelu"), keras.layers.Dropout(0.1)
    return keras.Sequential(layers)


def train_save_load(vae, x, path):
    """Trains and checks that the model loads in safe mode with the same outputs."""
    vae.compile(keras.optimizers.Adam(1e-2))
    losses = vae.fit(x, epochs=3, batch_size=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    vae.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    np.testing.assert_allclose(loaded.encode(x).mean(), vae.encode(x).mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loaded.reconstruct(x), vae.reconstruct(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(loaded.sample(3, seed=1), vae.sample(3, seed=1))
    return loaded


@pytest.mark.parametrize("trunk", slow_from(1, [Gated, functional, sequential]))
def test_a_trunk_of_ones_own_trains_saves_and_loads(trunk, tmp_path):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(trunk(), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(Gated() if trunk is Gated else kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )
    before = [np.array(weight) for weight in vae.encoder.trunk.trainable_weights]
    train_save_load(vae, X, tmp_path / "model.keras")
    moved = [np.abs(a - b).max() for a, b in zip(vae.encoder.trunk.trainable_weights, before, strict=True)]
    assert len(moved) >= 2
    assert min(moved) > 1e-4


@pytest.mark.slow
def test_a_frozen_backbone_stays_as_it_is(tmp_path):
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.35, weights=None, include_top=False, pooling="avg"
    )
    # The first blocks are a backbone of a few layers.
    backbone = keras.Model(backbone.input, backbone.get_layer("expanded_conv_project_BN").output)
    backbone.trainable = False
    x = make_binary(20, (32, 32, 3))
    vae = kv.VAE(
        kv.Encoder(backbone, kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli((32, 32, 3))),
        seed=0,
    )
    before = [np.array(weight) for weight in backbone.weights]
    loaded = train_save_load(vae, x, tmp_path / "model.keras")
    assert len(before) > 10
    # The running statistics of batch normalization too.
    for a, b, c in zip(backbone.weights, before, loaded.encoder.trunk.weights, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)
    assert loaded.encoder.trunk.trainable_weights == []


# Distributions.


@keras.saving.register_keras_serializable(package="test_own_code")
class LogNormal(kv.posteriors.DiagonalGaussian):
    """A posterior on positive z."""

    def distribution(self, parameters):
        normal = super().distribution(parameters).distribution
        return tfd.Independent(tfd.LogNormal(normal.loc, normal.scale), reinterpreted_batch_ndims=1)


@keras.saving.register_keras_serializable(package="test_own_code")
class Poisson(kv.likelihoods.Likelihood):
    """Counts: p(x|z) = prod_i Poisson(x_i; rate_i), with log rate_i the projected features."""

    is_density = False
    support = (0.0, float("inf"))

    def distribution(self, parameters):
        return tfd.Independent(tfd.Poisson(log_rate=tf.squeeze(parameters, -1)), len(self.event_shape))

    def initial_parameters(self, mean):
        return np.log(np.maximum(mean, 0.01))[..., None]


@keras.saving.register_keras_serializable(package="test_own_code")
class StudentT(kv.priors.Prior):
    """p(z) = prod_i t(z_i; df): heavier tails than the normal."""

    def __init__(self, latent_dim, df=4, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.df = df

    def distribution(self):
        zeros = tf.zeros((self.latent_dim,))
        return tfd.Independent(tfd.StudentT(float(self.df), zeros, tf.ones_like(zeros)), 1)

    def get_config(self):
        return {**super().get_config(), "df": self.df}


@draw.register(tfd.StudentT)
def _(distribution, noise, sample_shape=()):
    # t = eps / sqrt(chi2 / df); for df = 4, chi2 = -2 log(u v), with two uniforms.
    shape = full_shape(distribution, sample_shape)
    chi2 = -2.0 * (tf.math.log(noise.uniform(shape)) + tf.math.log(noise.uniform(shape)))
    return distribution.loc + distribution.scale * noise.normal(shape) * tf.sqrt(distribution.df / chi2)


def counts():
    return np.random.default_rng(0).poisson(1.0 + 3.0 * X).astype(np.float32)


def poisson_vae(prior=None):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([8]), Poisson(SHAPE)),
        prior=prior,
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


def test_heads_and_a_prior_of_ones_own_train_save_load_and_sample(tmp_path):
    x = counts()
    vae = poisson_vae(StudentT(2))
    vae.adapt(x)
    # Started at the mean of the data, and the bound holds.
    np.testing.assert_allclose(np.log(x.mean(0)).reshape(-1), vae.decoder.likelihood._projection.bias, rtol=1e-4)
    loaded = train_save_load(vae, x, tmp_path / "model.keras")
    assert loaded.prior.df == 4
    assert vae.kl_method == "monte_carlo"
    elbo, bound = vae.bounds(x[:5], num_samples=50)
    assert (bound >= elbo - 1e-4).all()


def test_the_rule_of_the_new_prior_draws_from_it():
    z = np.sort(draw(StudentT(1)(), kv.noise.Noise(0), (20_000,)).numpy()[:, 0])
    # Kolmogorov's distance of 20,000 draws exceeds 1.95 / sqrt(20,000) once in 1,000 seeds; this is one seed.
    expected = tfd.StudentT(4.0, 0.0, 1.0).cdf(z).numpy()
    assert np.abs(expected - (np.arange(20_000) + 0.5) / 20_000).max() < 1.95 / np.sqrt(20_000)


def test_a_distribution_without_a_rule_says_so_where_it_is_drawn(tmp_path):
    vae = poisson_vae()
    assert np.isfinite(vae.sample(2, seed=0)).all()
    message = "`distribution` must have a sampling rule. Received: Poisson"
    with pytest.raises(TypeError, match=message):
        vae.sample(2, seed=0, output="sample")
    with pytest.raises(TypeError, match=message):
        exporter.export_model(vae, tmp_path / "export", exporter.Options(), {})


@pytest.mark.slow
def test_a_posterior_of_ones_own_that_transforms_a_normal_needs_no_rule(tmp_path):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), LogNormal(2)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )
    train_save_load(vae, X, tmp_path / "model.keras")
    assert (draw(vae.encode(X), kv.noise.Noise(0)).numpy() > 0.0).all()


# Precision.


@pytest.fixture(params=slow_from(1, ["mixed_float16", "mixed_bfloat16"]))
def policy(request):
    """A global policy, and float32 again after the test."""
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def digits():
    return kv.data.load("mnist").train[:1000].numpy()


def trained(digits):
    vae = make_vae((28, 28, 1), latent_dim=4, units=(64,))
    assert vae.encoder.trunk.layers[-1].compute_dtype == keras.mixed_precision.dtype_policy().compute_dtype
    vae.compile(keras.optimizers.Adam(2e-3))
    vae.fit(digits, batch_size=100, epochs=8, verbose=0)
    return vae


@pytest.fixture(scope="module")
def elbo_in_float32(digits):
    keras.mixed_precision.set_global_policy("float32")
    return trained(digits).evaluate(digits, batch_size=100, verbose=0, return_dict=True)["elbo"]


@pytest.mark.slow
def test_mixed_precision_reaches_the_elbo_of_float32(elbo_in_float32, policy, digits, tmp_path):
    start = make_vae((28, 28, 1), latent_dim=4, units=(64,)).evaluate(digits, verbose=0, return_dict=True)["elbo"]
    vae = trained(digits)
    elbo = vae.evaluate(digits, batch_size=100, verbose=0, return_dict=True)["elbo"]
    # Of some 300 nats gained. Other seeds of the noise differ by about 1 nat after 80 steps.
    assert elbo_in_float32 - start > 200.0
    assert abs(elbo - elbo_in_float32) < 3.0
    scaled = isinstance(vae.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    q = vae.encode(digits[:5])
    p = vae.decode(q.mean())
    assert {t.dtype for t in (q.mean(), q.log_prob(q.mean()), p.log_prob(digits[:5]), p.mean())} == {tf.float32}
    assert {bound.dtype for bound in vae.bounds(digits[:5], num_samples=2)} == {np.dtype(np.float32)}
    vae.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.encoder.trunk.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(loaded.sample(3, seed=1), vae.sample(3, seed=1))


def test_large_logits_in_half_precision_have_a_finite_loss_and_gradient(policy, binary):
    vae = make_vae()
    bias = vae.decoder.likelihood._projection.bias
    for logit in (100.0, -100.0):
        bias.assign(np.full(bias.shape, logit))
        metrics = vae.evaluate(binary, verbose=0, return_dict=True)
        assert np.isfinite(list(metrics.values())).all()
        # Every pixel on the wrong side costs 100 nats; the features move the logits by less than a tenth.
        wrong = (binary != (logit > 0)).sum((1, 2, 3)).mean()
        np.testing.assert_allclose(-metrics["log_likelihood"], 100.0 * wrong, rtol=0.1)
        before = np.array(bias)
        vae.fit(binary, batch_size=50, verbose=0)
        assert np.isfinite(np.array(bias)).all()
        assert np.abs(np.array(bias) - before).max() > 1e-3
