"""Trains a VAE on MNIST, measures it in nats and draws digits: `python examples/mnist.py --examples=55000 --epochs=20`.

It writes digits.png and digits.keras into the current folder.
"""

import argparse

import keras

import keras_vae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--examples", type=int, default=10_000, help="training images, of 55,000")
parser.add_argument("--epochs", type=int, default=5)
arguments = parser.parse_args()

keras.utils.set_random_seed(0)  # the weights start the same in every run
data = kv.data.load("mnist")

# The encoder turns an image into a distribution of codes, and the decoder a code into a distribution of images.
vae = kv.VAE(
    kv.Encoder(kv.networks.mlp([256, 256]), kv.posteriors.DiagonalGaussian(latent_dim=20)),
    kv.Decoder(kv.networks.mlp([256, 256]), kv.likelihoods.Bernoulli(data.event_shape)),
    seed=0,
)
vae.adapt(data.train)  # this starts the output at the mean image
vae.compile(keras.optimizers.Adam(2e-3))
vae.fit(
    data.train[: arguments.examples],
    validation_data=data.validation[:1000],
    epochs=arguments.epochs,
    batch_size=128,
    verbose=2,
)

elbo, bound = vae.bounds(data.test[:500], num_samples=50)
print(f"test ELBO {elbo.mean():.1f} nats, log p(x) at least {bound.mean():.1f} nats")

digits = vae.sample(40, seed=7)
kv.plotting.image_grid(digits.numpy(), columns=10).savefig("digits.png")
vae.save("digits.keras")
print("see digits.png, and load digits.keras with keras.saving.load_model after `import keras` and `import keras_vae`")
