"""Draws the digit that you ask for: `python examples/conditional.py --examples=55000 --epochs=20`.

Encoder and decoder see the label, so that the model is p(x|z, label). The result is conditional.png.
"""

import argparse

import keras
import numpy as np

import keras_vae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--examples", type=int, default=10_000, help="training images, of 55,000")
parser.add_argument("--epochs", type=int, default=5)
arguments = parser.parse_args()

keras.utils.set_random_seed(0)
data = kv.data.load("mnist")
encoder = kv.Encoder(kv.networks.mlp([256]), kv.posteriors.DiagonalGaussian(latent_dim=8), condition_dim=10)
decoder = kv.Decoder(kv.networks.mlp([256]), kv.likelihoods.Bernoulli(data.event_shape), condition_dim=10)
vae = kv.VAE(encoder, decoder, seed=0)
vae.adapt(data.train)
vae.compile(keras.optimizers.Adam(3e-3))
# The labels come with the data; with arrays they are the second argument, as in `vae.fit(x, y)`.
vae.fit(data.train[: arguments.examples], epochs=arguments.epochs, batch_size=100, verbose=2)

# The picture has a column for each digit. A temperature below 1 draws more typical pictures.
wanted = np.arange(40) % 10
digits = vae.sample(40, seed=3, temperature=0.7, condition=wanted)
kv.plotting.image_grid(digits.numpy(), columns=10).savefig("conditional.png")

# An image is more probable given its own label than given a wrong one.
x, labels = data.test[:300].numpy(), data.test[:300].labels
for name, condition in (("right", labels), ("wrong", (labels + 1) % 10)):
    nats = vae.log_prob(x, num_samples=20, condition=condition).mean()
    print(f"log p(x | {name} label): {nats:.1f} nats")
print("see conditional.png")
