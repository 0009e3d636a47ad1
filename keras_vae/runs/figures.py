"""The figures of a run."""

import pathlib

import numpy as np

from keras_vae import plotting
from keras_vae.data import Dataset
from keras_vae.distributions.sampling import center
from keras_vae.measure import latent
from keras_vae.models.codes import posterior_centers
from keras_vae.models.vae import VAE
from keras_vae.runs import text_pages
from keras_vae.utils.atomic_files import mark


def draw_figures(vae: VAE, dataset: Dataset, history: dict, folder: pathlib.Path) -> None:
    """Writes reconstructions, samples, an interpolation, the learning curve and, for two dimensions, the latent map.

    Of texts, the first three are one page of text, texts.txt.
    """
    folder.mkdir(exist_ok=True)
    mark(folder)
    if vae.tokenizer is not None:
        (folder / "texts.txt").write_text(text_pages.of_training(vae, dataset), encoding="utf-8")
        plotting.learning_curve(history).savefig(folder / "learning_curve.png", dpi=150)
        return
    examples = dataset.validation[:20]
    x, condition, rows = examples.numpy(), None, None
    if vae.condition_dim is not None:
        # Each class has a column of samples. The path leads from one example to another in the class of the first.
        condition, rows = examples.labels, np.arange(100) % min(10, vae.condition_dim)
    ends = center(vae.encode(x, condition)).numpy()[[0, -1]]
    path = latent.interpolate(*ends, 10)
    figures = {
        "reconstructions": plotting.reconstructions(x, vae.reconstruct(x, condition).numpy()),
        "samples": plotting.example_grid(
            vae.sample(100, seed=0, condition=rows).numpy(),
            10,
            "" if rows is None else f"samples, a column for each class from 0 to {rows.max()}",
        ),
        "interpolation": plotting.example_grid(
            vae.decode(path, None if condition is None else np.repeat(condition[:1], 10)).mean().numpy(), 10
        ),
        "learning_curve": plotting.learning_curve(history),
    }
    if vae.latent_shape == (2,):
        centers = posterior_centers(vae, dataset.validation)
        figures["latent_map"] = plotting.latent_map(centers, dataset.validation.labels)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=150)
