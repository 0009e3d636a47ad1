"""Finds what a model has never seen: `python examples/anomalies.py --unseen=0 --examples=55000 --epochs=20`.

It trains on MNIST without one digit, scores test images by minus log p(x), and writes those with the highest scores to
anomalies.png. A simple digit, such as 1, gets a low score even if the model has not seen it.
"""

import argparse

import keras
import numpy as np

import keras_vae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--unseen", type=int, default=0, choices=range(10), help="the digit that is left out")
parser.add_argument("--examples", type=int, default=10_000, help="training images, of about 50,000")
parser.add_argument("--epochs", type=int, default=5)
arguments = parser.parse_args()

keras.utils.set_random_seed(0)
data = kv.data.load("mnist")
seen = np.flatnonzero(data.train.labels != arguments.unseen)[: arguments.examples]
vae = kv.VAE(
    kv.Encoder(kv.networks.mlp([256]), kv.posteriors.DiagonalGaussian(latent_dim=16)),
    kv.Decoder(kv.networks.mlp([256]), kv.likelihoods.Bernoulli(data.event_shape)),
    seed=0,
)
vae.adapt(data.train[seen])
vae.compile(keras.optimizers.Adam(2e-3))
vae.fit(data.train[seen], epochs=arguments.epochs, batch_size=128, verbose=2)

test = data.test[:1000]
score = kv.latent.anomaly_score(vae, test, num_samples=20)
new = test.labels == arguments.unseen
print(f"mean score: {score[new].mean():.0f} nats of the unseen digit, {score[~new].mean():.0f} of the others")
# The area under the ROC curve is how often an unseen digit scores above another one.
print(f"AUC: {(score[new][:, None] > score[~new]).mean():.2f}")
strangest = np.argsort(-score)[:20]
kv.plotting.image_grid(test.numpy()[strangest], columns=10).savefig("anomalies.png")
print("see anomalies.png")
