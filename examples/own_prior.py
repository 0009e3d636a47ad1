"""Defines a prior and compares it with N(0, I): `python examples/own_prior.py --examples=55000 --epochs=20`.

The prior learns the width of each dimension, and has the long tails of a Laplace distribution.
"""

import argparse

import keras
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--examples", type=int, default=5_000, help="training images, of 55,000")
parser.add_argument("--epochs", type=int, default=4)
arguments = parser.parse_args()


@keras.saving.register_keras_serializable("examples")  # this lets a saved model be loaded in Keras's safe mode
class LaplacePrior(kv.priors.Prior):
    """p(z) = prod_d Laplace(z_d; 0, scale_d), with learned scales."""

    def build(self, input_shape=None):
        """Makes the weights."""
        self.log_scale = self.add_weight(name="log_scale", shape=(self.latent_dim,), initializer="zeros")
        super().build(input_shape)

    def distribution(self):
        """Returns p(z), of batch shape () and event shape (latent_dim,)."""
        scale = tf.exp(tf.convert_to_tensor(self.log_scale))
        return tfp.distributions.Independent(tfp.distributions.Laplace(tf.zeros_like(scale), scale), 1)


data = kv.data.load("mnist")
for prior in (kv.priors.StandardNormal(latent_dim=16), LaplacePrior(latent_dim=16)):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([256]), kv.posteriors.DiagonalGaussian(latent_dim=16)),
        kv.Decoder(kv.networks.mlp([256]), kv.likelihoods.Bernoulli(data.event_shape)),
        prior=prior,
        seed=0,
    )
    vae.adapt(data.train)
    vae.compile(keras.optimizers.Adam(2e-3))
    vae.fit(data.train[: arguments.examples], epochs=arguments.epochs, batch_size=100, verbose=0)
    elbo, bound = vae.bounds(data.test[:500], num_samples=20)
    print(f"{type(prior).__name__:15} ELBO {elbo.mean():6.1f}, log p(x) at least {bound.mean():6.1f} nats")
