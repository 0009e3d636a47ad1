"""The plain autoencoder and the density fitted to its codes."""

import keras
import numpy as np
import pytest
from helpers import SHAPE, make_binary

import keras_vae as kv
from keras_vae.models.autoencoder import with_fitted_density
from keras_vae.models.codes import posterior_centers


@pytest.fixture(scope="module")
def autoencoder():
    """A plain autoencoder with the squared distance, trained on 500 images."""
    keras.utils.set_random_seed(0)
    model = kv.VAE(
        kv.Encoder(kv.networks.mlp((32,)), kv.posteriors.Deterministic(2)),
        kv.Decoder(kv.networks.mlp((32,)), kv.likelihoods.Gaussian(SHAPE)),
        objective=kv.objectives.Reconstruction(),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(make_binary(500), batch_size=50, epochs=20, verbose=0)
    return model


def test_its_loss_is_half_the_squared_distance_plus_a_constant(autoencoder):
    x = make_binary(50)
    loss = autoencoder.evaluate(x, batch_size=50, verbose=0, return_dict=True)["loss"]
    squared = ((x - autoencoder.reconstruct(x).numpy()) ** 2).reshape(50, -1).sum(1).mean()
    np.testing.assert_allclose(loss, 0.5 * squared + 15 * np.log(2 * np.pi), rtol=1e-5)


def test_fitted_density_has_the_moments_of_the_codes(autoencoder):
    x = make_binary(500)
    codes = posterior_centers(autoencoder, x)
    fitted = with_fitted_density(autoencoder, x, num_components=2)
    z = fitted.sample_latent(20_000, seed=0)[0].numpy()
    error = codes.std(axis=0) / np.sqrt(len(z))
    assert np.all(np.abs(z.mean(axis=0) - codes.mean(axis=0)) < 5 * error + 1e-2)
    np.testing.assert_allclose(z.std(axis=0), codes.std(axis=0), rtol=0.05)


def test_fitted_density_raises_the_likelihood_of_the_codes(autoencoder):
    x = make_binary(500)
    codes = posterior_centers(autoencoder, x)
    fitted = with_fitted_density(autoencoder, x, num_components=2)
    gain = fitted.prior().log_prob(codes).numpy().mean() - autoencoder.prior().log_prob(codes).numpy().mean()
    assert gain > 1.0
    np.testing.assert_array_equal(fitted.reconstruct(x), autoencoder.reconstruct(x))


def test_a_bad_number_of_components_is_named(autoencoder):
    with pytest.raises(ValueError, match="`num_components` must be a positive integer"):
        with_fitted_density(autoencoder, make_binary(10), num_components=0)
