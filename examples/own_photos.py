"""Trains on a folder of your pictures and draws new ones: `python examples/own_photos.py --folder=PHOTOS --epochs=200`.

Without a folder it paints three hundred small pictures of its own. It writes photos.png into the current folder.
"""

import argparse
import pathlib
import tempfile

import keras
import numpy as np
from PIL import Image, ImageDraw

import keras_vae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--folder", type=pathlib.Path, help="folder of PNG, JPEG, BMP, GIF or WebP; may have sub-folders")
parser.add_argument("--image_size", type=int, default=16, help="side in pixels to which pictures are cut and resized")
parser.add_argument("--epochs", type=int, default=30)
arguments = parser.parse_args()


def paint(folder):
    """Paints discs of any color, size and place on a dark background."""
    random = np.random.default_rng(0)
    for number in range(300):
        picture = Image.new("RGB", (24, 24), (20, 20, 40))
        x, y, radius = *random.uniform(8, 16, 2), random.uniform(3, 7)
        color = tuple(int(value) for value in random.integers(80, 256, 3))
        ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), color)
        picture.save(pathlib.Path(folder, f"{number:03}.png"))


keras.utils.set_random_seed(0)
with tempfile.TemporaryDirectory() as painted:
    if arguments.folder is None:
        paint(painted)
    data = kv.data.load(str(arguments.folder or painted), image_size=arguments.image_size, dequantization="uniform")
print(f"{len(data.train)} training pictures of shape {data.event_shape}")

# Pixels are real numbers in [0, 1] plus noise as wide as one of 256 levels. All share a learned standard deviation.
vae = kv.VAE(
    kv.Encoder(kv.networks.mlp([128]), kv.posteriors.DiagonalGaussian(latent_dim=8)),
    kv.Decoder(kv.networks.mlp([128]), kv.likelihoods.Gaussian(data.event_shape, scale="shared")),
    seed=0,
)
vae.adapt(data.train)
vae.compile(keras.optimizers.Adam(2e-3))
history = vae.fit(
    data.train, validation_data=data.validation, epochs=arguments.epochs, batch_size=32, verbose=0
).history
print(f"validation ELBO: {history['val_elbo'][0]:.0f} nats after one epoch, {history['val_elbo'][-1]:.0f} at the end")
kv.plotting.image_grid(vae.sample(24, seed=0).numpy(), columns=8).savefig("photos.png")
print("see photos.png")
