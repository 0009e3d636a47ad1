"""Exports a decoder and draws with it in LiteRT, the runtime of phones: `python examples/export_and_draw.py --seed=7`.

It writes the folder exported and the picture drawn.png into the current folder.
"""

import argparse

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_vae as kv
from export import exporter

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--seed", type=int, default=7, help="seed of the pictures")
parser.add_argument("--examples", type=int, default=10_000, help="training images, of 55,000")
parser.add_argument("--epochs", type=int, default=3)
arguments = parser.parse_args()

keras.utils.set_random_seed(0)
data = kv.data.load("mnist")
vae = kv.VAE(
    kv.Encoder(kv.networks.mlp([128]), kv.posteriors.DiagonalGaussian(latent_dim=10)),
    kv.Decoder(kv.networks.mlp([128]), kv.likelihoods.Bernoulli(data.event_shape)),
    seed=0,
)
vae.adapt(data.train)
vae.compile(keras.optimizers.Adam(3e-3))
vae.fit(data.train[: arguments.examples], epochs=arguments.epochs, batch_size=100, verbose=2)

# Each file is run in its own runtime and compared with Keras before the folder gets its name.
folder = exporter.export_model(vae, "exported", exporter.Options(num_samples=16))

# From here on nothing but the file and LiteRT is used, as in an app.
interpreter = Interpreter(model_path=str(folder / "decoder.tflite"))
sample = interpreter.get_signature_runner("sample")
drawn = sample(seed=np.int32(arguments.seed), temperature=np.float32(1.0))["mean"]

difference = np.abs(drawn - vae.sample(16, seed=arguments.seed).numpy()).max()
print("the same pictures as in Python:", bool(difference < 1e-4))
kv.plotting.image_grid(drawn, columns=8).savefig("drawn.png")
print("see drawn.png, and exported/model_card.json")
