"""The pages of plain text that runs on texts have in place of pictures."""

from typing import Any

import numpy as np

from keras_vae.data import Dataset
from keras_vae.measure import latent
from keras_vae.models.codes import posterior_centers
from keras_vae.models.vae import VAE


def of_training(vae: VAE, dataset: Dataset) -> str:
    """Returns samples, reconstructions of the validation set and an interpolation between two of its texts."""
    tokenizer: Any = vae.tokenizer
    part = dataset.validation[:10]
    texts, told = tokenizer.decode(part.values), tokenizer.decode(vae.reconstruct(part))
    ends = posterior_centers(vae, part)[[0, -1]]
    return _page(
        {
            "Samples of the prior, each token drawn": vae.generate(20, seed=0),
            "Samples of the prior, each token the most probable one": vae.generate(20, seed=0, token_temperature=0.0),
            "Texts of the validation set, and below each its reconstruction": _with_lines_below(texts, zip(told)),
            f"From the code of {texts[0]!r} to that of {texts[-1]!r}": vae.texts_of(latent.interpolate(*ends, 7)),
        }
    )


def of_evaluation(vae: VAE, dataset: Dataset, activity: np.ndarray) -> str:
    """Returns samples with the training texts of the nearest codes, and a walk along each of the busiest dimensions.

    Args:
      vae: a model of texts.
      dataset: its data.
      activity: a number for each dimension of z; the larger, the busier.
    """
    tokenizer: Any = vae.tokenizer
    # The tokens are encoded as they were drawn: not every drawing is a text that a tokenizer splits in the same way.
    drawn = vae.sample(10, seed=0, output="sample").numpy()
    samples, codes = tokenizer.decode(drawn), posterior_centers(vae, dataset.train)
    nearest, _ = latent.nearest_neighbors(posterior_centers(vae, drawn), codes, min(3, len(codes)))
    neighbors = [tokenizer.decode(dataset.train.values[index]) for index in nearest]
    text = dataset.test[:1]
    start, values = posterior_centers(vae, text)[0], np.linspace(-3.0, 3.0, 7)
    walks = {
        f"Dimension {d} of the code of {tokenizer.decode(text.values)[0]!r}, from -3 to 3": vae.texts_of(
            latent.traverse(start, np.unravel_index(d, vae.latent_shape), values)
        )
        for d in np.argsort(activity)[::-1][:3]
    }
    title = "Samples of the prior, and below each the training texts whose codes are nearest to its code"
    return _page({title: _with_lines_below(samples, neighbors), **walks})


def _with_lines_below(texts, below):
    return [line for text, lines in zip(texts, below, strict=True) for line in (text, *(f"  {each}" for each in lines))]


def _page(sections):
    return "\n\n".join("\n".join([title, "-" * len(title), *lines]) for title, lines in sections.items()) + "\n"
