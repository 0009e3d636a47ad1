"""A z with places, `(height, width, channels)`: a model with it has the numbers of a flat one with the same weights."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, shake, slow_from

import keras_vae as kv
from export import exporter
from keras_vae.models import autoencoder

PLACES, COUNT = (2, 3, 2), 12
PRIORS = {
    "normal": kv.priors.StandardNormal,
    "mixture": lambda size: kv.priors.MixtureOfGaussians(size, 3),
    "vamp": lambda size: kv.priors.VampPrior(size, SHAPE, 4),
    "flow": lambda size: kv.priors.Flow(size, 2, 8),
    "deep flow": lambda size: kv.priors.Flow(size, 2, 8, 2),
    "maf": lambda size: kv.priors.MAF(size, 2, 8),
}
OBJECTIVES = {
    "dreg": lambda: kv.objectives.DReG(3),
    "free_bits": lambda: kv.objectives.FreeBits(0.1),
    "beta_tcvae": lambda: kv.objectives.BetaTCVAE(50),
    "wae": kv.objectives.WAE,
}


def make(size, prior="normal", posterior=kv.posteriors.DiagonalGaussian, objective=None):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), posterior(size)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        prior=PRIORS[prior](size),
        objective=objective,
        seed=0,
    )
    shake(vae, 0.3)
    vae.compile(keras.optimizers.SGD(0.0), run_eagerly=True)  # for a single evaluation a graph costs more than it saves
    return vae


def twins(**options):
    """Returns a model whose z has places and a flat one that computes the same."""
    vae, flat = make(PLACES, **options), make(COUNT, **options)
    # One head has location and scale of each place in turn, the other all locations first.
    order = np.arange(2 * COUNT).reshape(6, 2, 2).swapaxes(0, 1).reshape(-1)
    for mine, other in zip(flat.weights, vae.weights, strict=True):
        value = other.numpy()
        if other.path.endswith(("parameters/kernel", "parameters/bias")) and value.shape[-1] == 2 * COUNT:
            value = value[..., order]
        mine.assign(value.reshape(mine.shape))
    return vae, flat


@pytest.mark.parametrize("prior", slow_from(2, PRIORS))
def test_a_model_has_the_numbers_of_its_flat_twin(prior):
    vae, flat = twins(prior=prior)
    x = make_binary()
    assert vae.latent_shape == PLACES
    assert vae.latent_dim == COUNT
    assert vae.evaluate(x, verbose=0) == pytest.approx(flat.evaluate(x, verbose=0), rel=1e-5)
    np.testing.assert_allclose(vae.log_prob(x, 20), flat.log_prob(x, 20), rtol=1e-5)
    z, _ = vae.sample_latent(5, seed=3)
    assert z.shape == (5, *PLACES)
    np.testing.assert_allclose(tf.reshape(z, (5, -1)), flat.sample_latent(5, seed=3)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vae.sample(5, seed=3), flat.sample(5, seed=3), rtol=1e-5)
    np.testing.assert_allclose(vae.decode(z).mean(), flat.decode(tf.reshape(z, (5, -1))).mean(), rtol=1e-6)
    assert vae.prior_distribution().event_shape == PLACES
    assert vae.encode(x).event_shape == PLACES


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_has_the_numbers_of_the_flat_twin(objective):
    vae, flat = twins(objective=OBJECTIVES[objective]())
    x = make_binary()
    assert vae.evaluate(x, verbose=0) == pytest.approx(flat.evaluate(x, verbose=0), rel=1e-5)


@pytest.mark.parametrize("posterior", ["Laplace", "Deterministic"])
def test_other_posteriors_with_places(posterior):
    objective = kv.objectives.Reconstruction() if posterior == "Deterministic" else None
    vae = make(PLACES, posterior=getattr(kv.posteriors, posterior), objective=objective)
    x = make_binary()
    assert vae.encode(x).sample().shape == (50, *PLACES)
    vae.compile("adam")
    history = vae.fit(x, epochs=1, batch_size=10, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_measures_and_report_are_those_of_the_flat_twin():
    vae, flat = twins()
    x = make_binary()
    mine, other = (kv.measure.evaluate(each, x, 10) for each in (vae, flat))
    assert len(mine["kl_per_dimension"]) == len(mine["variance_per_dimension"]) == COUNT
    for key, value in other.items():
        assert mine[key] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-4)), key
    split, expected = (kv.measure.split_kl(each.encode(x), each.prior_distribution(), 5) for each in (vae, flat))
    assert split["kl"] == pytest.approx(expected["kl"], abs=4 * expected["kl_standard_error"])
    assert split["kl"] == pytest.approx(split["mutual_information"] + split["marginal_kl"], rel=1e-5)


def test_features_with_the_places_of_z_are_projected_place_by_place():
    head = kv.posteriors.DiagonalGaussian(PLACES)
    features = np.random.default_rng(0).normal(size=(1, 2, 3, 5)).astype(np.float32)
    before = head(features).mean().numpy()
    features[0, 1, 2] += 1.0
    changed = head(features).mean().numpy() != before
    expected = np.zeros((1, *PLACES), bool)
    expected[0, 1, 2] = True
    np.testing.assert_array_equal(changed, expected)
    assert [tuple(weight.shape) for weight in head.weights] == [(5, 4), (4,)]


def test_features_with_other_places_are_flattened():
    head = kv.posteriors.DiagonalGaussian(PLACES)
    assert head(np.zeros((7, 4, 6, 5), np.float32)).sample().shape == (7, *PLACES)
    assert [tuple(weight.shape) for weight in head.weights] == [(120, 24), (24,)]


def convolutional(num_classes=None, prior=None):
    keras.utils.set_random_seed(0)
    conv = {"strides": 2, "padding": "same", "activation": "gelu"}
    encoder = keras.Sequential([keras.layers.Conv2D(8, 3, **conv), keras.layers.Conv2D(8, 3, **conv)])
    decoder = keras.Sequential([keras.layers.Conv2DTranspose(8, 3, **conv) for _ in range(2)])
    vae = kv.VAE(
        kv.Encoder(encoder, kv.posteriors.DiagonalGaussian((2, 2, 3)), num_classes),
        kv.Decoder(decoder, kv.likelihoods.Bernoulli((8, 8, 1)), num_classes),
        prior=prior,
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


@pytest.mark.slow
def test_a_convolutional_model_without_a_flat_layer_trains_saves_and_loads(tmp_path):
    x = make_binary(64, (8, 8, 1))
    vae = convolutional()
    history = vae.fit(x, epochs=4, batch_size=16, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0] + 1.0
    vae.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.latent_shape == (2, 2, 3)
    np.testing.assert_array_equal(loaded.sample(3, seed=1), vae.sample(3, seed=1))
    assert not any(isinstance(layer, keras.layers.Flatten) for layer in vae._flatten_layers())


@pytest.mark.slow
def test_a_condition_is_beside_the_channels_of_every_place():
    x, y = make_binary(64, (8, 8, 1)), np.arange(64) % 3
    vae = convolutional(3)
    vae.fit(x, y, epochs=1, batch_size=16, verbose=0)
    assert np.isfinite(vae.log_prob(x, 5, condition=y)).all()
    pictures = vae.sample(2, seed=0, condition=[0, 1]).numpy()
    other = vae.sample(2, seed=0, condition=[2, 1]).numpy()
    assert (pictures[0] != other[0]).any()
    np.testing.assert_array_equal(pictures[1], other[1])
    trunk = vae.decoder.trunk_shape((None, 2, 2, 3))
    assert trunk == (None, 2, 2, 6)


@pytest.mark.slow
def test_every_signature_is_exported_and_agrees_with_keras(tmp_path):
    vae = convolutional(prior=kv.priors.MixtureOfGaussians((2, 2, 3), 2))
    options = exporter.Options(num_samples=2, batch_size=2)
    exporter.export_model(vae, tmp_path / "export", options)
    card = json.loads((tmp_path / "export" / "model_card.json").read_text())
    assert card["latent_shape"] == [2, 2, 3]
    assert card["latent_dim"] == 12
    assert card["signatures"]["decode"]["inputs"]["z"]["shape"] == ["batch", 2, 2, 3]
    assert len(card["files"]["decoder.tflite"]["signatures"]) == 5


def test_paths_directions_and_probes_have_the_shape_of_z():
    random = np.random.default_rng(0)
    start, end = random.normal(size=(2, *PLACES))
    for mode in ("linear", "spherical"):
        path = kv.latent.interpolate(start, end, 5, mode)
        flat = kv.latent.interpolate(start.reshape(-1), end.reshape(-1), 5, mode)
        np.testing.assert_array_equal(path, flat.reshape(5, *PLACES))
    swept = kv.latent.traverse(start, (1, 2, 0), [-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(swept[:, 1, 2, 0], [-1.0, 0.0, 1.0])
    assert (swept != start.astype(np.float32)).sum() == 3
    codes, labels = random.normal(size=(60, *PLACES)), np.arange(60) % 2
    codes[labels == 1, 0, 1, 1] += 3.0
    assert np.unravel_index(kv.latent.attribute_vector(codes, labels == 1).argmax(), PLACES) == (0, 1, 1)
    probe = kv.latent.attribute_probe(codes, labels)
    assert probe.directions.shape == (1, *PLACES)
    assert np.unravel_index(probe.directions[0].argmax(), PLACES) == (0, 1, 1)


@pytest.mark.slow
def test_a_density_is_fitted_to_codes_with_places():
    vae, flat = twins()
    x = make_binary()
    fitted, expected = (autoencoder.with_fitted_density(each, x, 2) for each in (vae, flat))
    np.testing.assert_allclose(fitted.sample(4, seed=1), expected.sample(4, seed=1), rtol=1e-4)


WRONG = {
    "a code of another shape": (
        lambda: make(PLACES).decode(np.zeros((1, 3, 2, 2))),
        r"`z` must have shape \(batch, 2, 3, 2\). Received: z with shape \(1, 3, 2, 2\)",
    ),
    "a flat code": (
        lambda: make(PLACES).decode(np.zeros((1, 12))),
        r"`z` must have shape \(batch, 2, 3, 2\). Received: z with shape \(1, 12\)",
    ),
    "a prior of another shape": (
        lambda: kv.VAE(make(PLACES).encoder, make(PLACES).decoder, kv.priors.StandardNormal(12)),
        r"`prior` must have the latent_shape of the posterior, \(2, 3, 2\). Received: prior with latent_shape=\(12,\)",
    ),
    "a decoder of a part of z": (
        lambda: kv.VAE(
            make(PLACES).encoder,
            kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), latent_dim=2),
        ),
        r"`decoder` must have a latent_dim only for a z that is a vector.* latent_dim=2 for z of shape \(2, 3, 2\)",
    ),
    "a decoder of more than z": (
        lambda: kv.VAE(
            make(12).encoder,
            kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), latent_dim=13),
        ),
        r"`decoder` must have .* at most its 12 dimensions. Received: latent_dim=13 for z of shape \(12,\)",
    ),
    "no places": (lambda: kv.posteriors.DiagonalGaussian(()), r"`latent_dim` must be a positive integer or a tuple"),
    "a size of 0": (lambda: kv.priors.StandardNormal((2, 0)), r"`latent_dim` must be a positive integer or a tuple"),
    "a full covariance": (
        lambda: kv.posteriors.FullGaussian(PLACES),
        r"`latent_dim` must be a positive integer. Received: latent_dim=\(2, 3, 2\)",
    ),
    "a flow": (lambda: kv.posteriors.Flow(PLACES), r"`latent_dim` must be a positive integer. Received"),
    "an IAF": (lambda: kv.posteriors.IAF(PLACES), r"`latent_dim` must be a positive integer. Received"),
    "ends of two shapes": (
        lambda: kv.latent.interpolate(np.zeros(PLACES), np.zeros(12)),
        r"`end` must have the shape of `start`, \(2, 3, 2\). Received: end with shape \(12,\)",
    ),
    "a dimension without places": (
        lambda: kv.latent.traverse(np.zeros(PLACES), 3, [0.0]),
        r"`dimension` must be an index inside of the shape \(2, 3, 2\). Received: dimension=3",
    ),
    "a dimension outside": (
        lambda: kv.latent.traverse(np.zeros(PLACES), (0, 3, 0), [0.0]),
        r"`dimension` must be an index inside of the shape \(2, 3, 2\). Received: dimension=\(0, 3, 0\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_shapes_are_one_clear_error(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()
