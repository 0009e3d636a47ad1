"""Compares samples of a plain autoencoder, of the same with a density fitted to its codes, and of a VAE.

python benchmarks/autoencoders.py

It trains a plain autoencoder and a VAE with the same trunks on gray MNIST. The autoencoder minimizes the squared
distance, and the VAE's Gaussian has one learned scale. The autoencoder decodes samples of N(0, I) and of a mixture that
is fitted to its codes, and the VAE decodes as many samples of its prior. Each is measured by a Frechet distance in the
features of a small MNIST classifier. The results are docs/autoencoders.png and benchmarks/results/autoencoders.json.
"""

import json
import pathlib

import keras
import numpy as np

import keras_vae as kv
from keras_vae import plotting
from keras_vae.measure.frechet import ClassifierFeatures, sample_quality
from keras_vae.models.autoencoder import with_fitted_density

ROOT = pathlib.Path(__file__).resolve().parents[1]
LATENT_DIM, EPOCHS, NUM_SAMPLES, NUM_COMPONENTS, SEED = 16, 20, 5000, 50, 0


def train(data, posterior, likelihood, objective):
    """Returns a trained model."""
    keras.utils.set_random_seed(SEED)
    model = kv.VAE(
        kv.Encoder(kv.networks.mlp([512, 512]), posterior),
        kv.Decoder(kv.networks.mlp([512, 512]), likelihood),
        objective=objective,
        seed=SEED,
    )
    model.adapt(data.train)
    steps = EPOCHS * -(-len(data.train) // 128)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)))
    model.fit(data.train, batch_size=128, epochs=EPOCHS, verbose=2)
    return model


def main() -> None:
    """Trains the models, measures their samples, and draws the figure."""
    data = kv.data.load("mnist", binarization="none")
    likelihood = kv.likelihoods.Gaussian
    autoencoder = train(
        data,
        kv.posteriors.Deterministic(LATENT_DIM),
        likelihood(data.event_shape),
        kv.objectives.Reconstruction(),
    )
    models = {
        "autoencoder, N(0, I)": autoencoder,
        "autoencoder, fitted density": with_fitted_density(autoencoder, data.train, NUM_COMPONENTS, SEED),
        "VAE": train(
            data,
            kv.posteriors.DiagonalGaussian(LATENT_DIM),
            likelihood(data.event_shape, scale="shared"),
            kv.objectives.ELBO(),
        ),
    }
    classifier = ClassifierFeatures(data.event_shape, 10, seed=SEED).fit(data.train)
    report, rows = {"classifier_accuracy": classifier.accuracy(data.test)}, []
    for name, model in models.items():
        samples = np.concatenate([model.sample(500, seed=SEED + i).numpy() for i in range(NUM_SAMPLES // 500)])
        report[name] = sample_quality(samples, data.test, classifier, seed=SEED)
        rows.append(samples[:15])
    figure = plotting.image_grid(
        np.concatenate(rows),
        15,
        "; ".join(f"{name}: {report[name]['frechet_distance']:.0f}" for name in models) + "  (rows; Frechet distance)",
    )
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    figure.savefig(ROOT / "docs/autoencoders.png", dpi=100)
    path = ROOT / "benchmarks/results/autoencoders.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
