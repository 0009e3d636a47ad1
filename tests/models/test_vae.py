"""The model as its users meet it."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import SHAPE, make_vae, slow_from

import keras_vae as kv


def test_metrics_are_the_closed_form_of_one_step(binary):
    vae = make_vae(likelihood=kv.likelihoods.Gaussian(SHAPE), kl_weight=0.5)
    metrics = vae.evaluate(binary, batch_size=50, verbose=0, return_dict=True)
    posterior = vae.encode(binary)
    kl = reference.standard_normal_kl(posterior.mean(), posterior.stddev())
    np.testing.assert_allclose(metrics["kl"], kl.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], -(metrics["log_likelihood"] - 0.5 * metrics["kl"]), rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-5)
    assert metrics["kl_weight"] == 0.5


def test_unit_gaussian_loss_is_half_the_squared_distance_plus_constant_plus_kl(binary):
    vae = make_vae(likelihood=kv.likelihoods.Gaussian(SHAPE))
    # A posterior of no width: z is its mean, so the squared distance is that of the reconstruction.
    head = vae.encoder.posterior._projection
    kernel, bias = head.get_weights()
    kernel[:, 3:], bias[3:] = 0.0, -30.0
    head.set_weights([kernel, bias])
    metrics = vae.evaluate(binary, batch_size=50, verbose=0, return_dict=True)
    squared = ((binary - vae.reconstruct(binary).numpy()) ** 2).reshape(50, -1).sum(-1).mean()
    constant = 0.5 * np.prod(SHAPE) * np.log(2 * np.pi)
    # 1e-4: the floor of the scale leaves z a width of 1e-4.
    np.testing.assert_allclose(metrics["loss"], 0.5 * squared + constant + metrics["kl"], rtol=1e-4)


def test_training_raises_the_elbo(binary):
    history = make_vae().fit(binary, batch_size=10, epochs=30, verbose=0).history
    assert list(history) == ["elbo", "kl", "kl_weight", "log_likelihood", "loss"]
    # 30 pixels of a fair coin are 20.8 nats; two prototypes with 10% flips have 30 H(0.1) + log 2 = 10.4.
    assert history["elbo"][0] < -18
    assert history["elbo"][-1] > -14


def test_train_step_is_one_step_of_the_optimizer_on_the_elbo(binary):
    vae, copy = make_vae(), make_vae()
    for model in (vae, copy):
        model.compile(keras.optimizers.SGD(0.1))
    vae.train_on_batch(binary)
    with tf.GradientTape() as tape:
        posterior, prior = copy.encoder(binary), copy.prior()
        z = kv.sampling.draw(posterior, kv.noise.Noise(copy.seed, stream=1))
        elbo = copy.decoder(z).log_prob(binary) - tfp.distributions.kl_divergence(posterior, prior)
        loss = -tf.reduce_mean(elbo)
    gradients = tape.gradient(loss, copy.trainable_variables)
    for variable, gradient, updated in zip(copy.trainable_variables, gradients, vae.trainable_variables, strict=True):
        np.testing.assert_allclose(updated, variable - 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_regularizers_of_a_trunk_join_the_loss(binary):
    trunk = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))]
    )
    vae = kv.VAE(
        kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )
    vae.compile()
    metrics = vae.evaluate(binary, batch_size=50, verbose=0, return_dict=True)
    penalty = 0.5 * np.sum(trunk.layers[1].get_weights()[0] ** 2)
    np.testing.assert_allclose(metrics["loss"] + metrics["elbo"], penalty, rtol=1e-4)


def test_evaluation_repeats_and_does_not_disturb_training(binary):
    plain, watched = make_vae(), make_vae()
    expected = plain.fit(binary, epochs=3, verbose=0).history["loss"]
    actual = watched.fit(binary, epochs=3, verbose=0, validation_data=binary).history["loss"]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert plain.evaluate(binary, verbose=0) == plain.evaluate(binary, verbose=0)


def test_save_and_load_give_back_numbers_methods_and_optimizer(vae, binary, tmp_path):
    vae.adapt(binary)
    vae.fit(binary, epochs=2, verbose=0)
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")  # safe mode is the default
    np.testing.assert_array_equal(copy.sample(4, seed=3), vae.sample(4, seed=3))
    np.testing.assert_array_equal(copy.reconstruct(binary), vae.reconstruct(binary))
    np.testing.assert_array_equal(copy.log_prob(binary, 5), vae.log_prob(binary, 5))
    assert copy.evaluate(binary, verbose=0) == vae.evaluate(binary, verbose=0)
    histories = [m.fit(binary, epochs=4, initial_epoch=2, verbose=0).history["loss"] for m in (vae, copy)]
    np.testing.assert_allclose(*histories, rtol=1e-6)


def test_get_config_holds_every_argument(vae):
    config = vae.get_config()
    assert {"encoder", "decoder", "prior", "kl_weight", "seed", "name"} <= set(config)
    assert kv.VAE.from_config(config).get_config() == config


def test_save_weights_round_trip(vae, binary, tmp_path):
    vae.save_weights(tmp_path / "w.weights.h5")
    other = make_vae(seed=5)
    other.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(other.reconstruct(binary), vae.reconstruct(binary))


def test_encoder_and_decoder_return_distributions_with_summed_events(vae, binary):
    posterior, likelihood = vae.encode(binary[:4]), vae.decode(np.zeros((4, 3), np.float32))
    assert isinstance(posterior, tfp.distributions.Distribution)
    assert (posterior.batch_shape, posterior.event_shape) == ((4,), (3,))
    assert (likelihood.batch_shape, likelihood.event_shape) == ((4,), SHAPE)
    assert likelihood.log_prob(binary[:4]).shape == (4,)


def test_sample_decodes_prior_noise_of_the_seed(vae):
    z, _ = vae.sample_latent(5, seed=7)
    np.testing.assert_array_equal(z, kv.noise.Noise(7).normal((5, 3)))
    np.testing.assert_array_equal(vae.sample(5, seed=7), vae.decode(z).mean())


def test_a_picture_depends_on_seed_and_index_only(vae):
    np.testing.assert_allclose(vae.sample(16, seed=7)[:3], vae.sample(3, seed=7), rtol=1e-6)
    assert np.abs(vae.sample(3, seed=7) - vae.sample(3, seed=8)).max() > 1e-3


def test_samples_without_seed_differ_and_follow_the_global_seed(vae):
    keras.utils.set_random_seed(1)
    first, second = vae.sample(2), vae.sample(2)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(first, vae.sample(2))
    assert np.abs(first - second).max() > 1e-4


def test_temperature_zero_is_the_mode_of_the_prior(vae):
    np.testing.assert_allclose(vae.sample(2, seed=1, temperature=0.0), vae.decode(np.zeros((2, 3), np.float32)).mean())


def test_output_samples_are_draws_from_the_likelihood(vae):
    draws = vae.sample(4000, seed=1, temperature=0.0, output="sample").numpy()
    mean = vae.decode(np.zeros((1, 3), np.float32)).mean().numpy()[0]
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt(mean * (1 - mean) / len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 5 * error)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_samples": 0}, "num_samples"),
        ({"num_samples": 2.5}, "num_samples"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"output": "pixels"}, "output"),
    ],
)
def test_bad_arguments_of_sample_are_named(vae, arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        vae.sample(**arguments)


def test_parts_that_do_not_fit_are_named():
    encoder = kv.Encoder(kv.networks.mlp([4]), kv.posteriors.DiagonalGaussian(3))
    decoder = kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE))
    with pytest.raises(
        ValueError, match=r"`prior` must have the latent_shape of the posterior, \(3,\).*latent_shape=\(2,\)"
    ):
        kv.VAE(encoder, decoder, prior=kv.priors.StandardNormal(2))
    with pytest.raises(ValueError, match="`kl_weight` must be a number of at least 0"):
        kv.VAE(encoder, decoder, kl_weight=-1.0)


@pytest.mark.parametrize(
    ("outputs", "received"), [(list, "a list of 2"), (lambda h: {"mean": h[0], "scale": h[1]}, "a dict of 2")]
)
def test_a_trunk_of_several_outputs_is_named(outputs, received):
    inputs = keras.Input(SHAPE)
    hidden = keras.layers.Flatten()(inputs)
    trunk = keras.Model(inputs, outputs([keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)]))
    with pytest.raises(ValueError, match=f"`trunk` must return one tensor of features: the posterior .*: {received}"):
        kv.VAE(
            kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(2)),
            kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE)),
        )


def test_quantize_is_refused_and_names_the_export(vae):
    before = vae.get_weights()
    with pytest.raises(ValueError, match=r"^`quantize` must not be called on a VAE: .*--variants=int8.*mode='int8'$"):
        vae.quantize("int8")
    for weight, value in zip(vae.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_trunk_or_head_that_is_no_layer_is_named_when_it_is_given():
    trunk, head = kv.networks.mlp([4]), kv.posteriors.DiagonalGaussian(2)
    with pytest.raises(ValueError, match=r"`trunk` must be a Layer\. Received: trunk='mlp'"):
        kv.Encoder("mlp", head)
    with pytest.raises(ValueError, match=r"`posterior` must be a Posterior\. Received: posterior='diagonal'"):
        kv.Encoder(trunk, "diagonal")
    with pytest.raises(ValueError, match=r"`likelihood` must be a Likelihood\. Received: likelihood=<class"):
        kv.Decoder(trunk, kv.likelihoods.Bernoulli)


def test_adapt_centers_the_input_and_starts_at_the_mean(vae, binary):
    vae.adapt(binary)
    np.testing.assert_allclose(vae.encoder.input_mean, binary.mean(axis=0), rtol=1e-5)
    bias = vae.decoder.likelihood._projection.bias.numpy().reshape(SHAPE)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), 0.01 + 0.98 * binary.mean(axis=0), rtol=1e-4)


def test_bounds_do_not_depend_on_xla(vae, binary, monkeypatch):
    expected = vae.bounds(binary, 20)
    monkeypatch.setattr("keras_vae.models.importance.MIN_DECODES_FOR_XLA", 0)
    for actual, value in zip(vae.bounds(binary, 20), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-5)


def test_one_importance_sample_is_the_elbo(vae, binary):
    elbo, bound = vae.bounds(binary, 1)
    np.testing.assert_allclose(elbo, bound, rtol=1e-6)


def test_a_batch_of_one_trains(vae, binary):
    assert np.isfinite(vae.fit(binary[:1], epochs=1, verbose=0).history["loss"][0])


@pytest.mark.parametrize("policy", slow_from(1, ["mixed_bfloat16", "mixed_float16"]))
def test_mixed_precision_trains_to_the_same_elbo(policy, binary):
    expected = make_vae().fit(binary, batch_size=10, epochs=40, verbose=0).history["elbo"][-1]
    keras.config.set_dtype_policy(policy)
    try:
        actual = make_vae().fit(binary, batch_size=10, epochs=40, verbose=0).history["elbo"][-1]
    finally:
        keras.config.set_dtype_policy("float32")
    # Half precision rounds the activations, and float16 skips its first steps while it finds a loss scale.
    np.testing.assert_allclose(actual, expected, atol=0.5)


def test_a_functional_trunk_of_the_users_own(binary):
    inputs = keras.Input(SHAPE)
    trunk = keras.Model(inputs, keras.layers.Dense(8, activation="tanh")(keras.layers.Flatten()(inputs)))
    vae = kv.VAE(
        kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    losses = vae.fit(binary, batch_size=10, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize(
    ("policy", "part"),
    slow_from(
        1,
        [
            ("mixed_bfloat16", "mixture"),
            ("mixed_float16", "prior flow"),
            ("mixed_bfloat16", "IAF"),
            ("mixed_float16", "shared scale"),
            ("mixed_bfloat16", "posterior flow"),
            ("mixed_float16", "MAF"),
        ],
    ),
)
def test_every_learned_part_stays_in_float32_under_mixed_precision(policy, part, binary):
    keras.config.set_dtype_policy(policy)
    try:
        posteriors = {"posterior flow": kv.posteriors.Flow, "IAF": kv.posteriors.IAF}
        posterior = posteriors.get(part, kv.posteriors.DiagonalGaussian)(3)
        priors = {"prior flow": kv.priors.Flow, "MAF": kv.priors.MAF, "mixture": kv.priors.MixtureOfGaussians}
        prior = priors.get(part, lambda _: None)(3)
        likelihood = kv.likelihoods.Gaussian(SHAPE, scale="shared" if part == "shared scale" else 1.0)
        vae = kv.VAE(
            kv.Encoder(kv.networks.mlp([8]), posterior), kv.Decoder(kv.networks.mlp([8]), likelihood), prior, seed=0
        )
        vae.compile(keras.optimizers.Adam(1e-2))
        losses = vae.fit(binary, batch_size=10, epochs=4, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[-1] < losses[0]


def test_a_deterministic_posterior_has_no_bound_and_needs_reconstruction(binary):
    parts = (
        kv.Encoder(kv.networks.mlp([4]), kv.posteriors.Deterministic(2)),
        kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE)),
    )
    with pytest.raises(ValueError, match="`objective` must be Reconstruction"):
        kv.VAE(*parts)
    model = kv.VAE(*parts, objective=kv.objectives.Reconstruction())
    assert model.kl_method == "none"
    with pytest.raises(ValueError, match="`posterior` must have a density"):
        model.log_prob(binary)


@pytest.mark.parametrize("count", [2**31, 2**64, 10**25, 10**5000], ids=["2**31", "2**64", "10**25", "10**5000"])
def test_a_number_of_samples_that_tensorflow_cannot_count_is_refused_by_name(vae, binary, count):
    for ask in (vae.sample, vae.sample_latent, lambda num_samples: vae.log_prob(binary, num_samples)):
        with pytest.raises(ValueError, match=r"^`num_samples` must be at most 2147483647\. Received: num_samples="):
            ask(num_samples=count)
        with pytest.raises(ValueError, match=r"^`num_samples` must be a positive integer\. Received: num_samples="):
            ask(num_samples=-count)
