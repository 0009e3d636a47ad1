"""How well the texts of a model are told by their codes."""

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.engine.inputs import as_examples, encoded
from keras_vae.models.codes import batches
from keras_vae.models.vae import VAE
from keras_vae.utils.arguments import ArrayLike, Texts, checked


@checked
def text_measures(vae: VAE, data: Examples | ArrayLike | Texts) -> dict[str, float]:
    """Compares texts with their reconstructions, each the most probable text, token by token, at the center of q(z|x).

    Args:
      vae: a model with a likelihood of texts, `keras_vae.likelihoods.Tokens`.
      data: texts, or rows of tokens `(count, max_length)`.

    Returns:
      Dict of numbers in [0, 1] with the keys
        `token_accuracy`, the share of the places up to the end of each text, that included, which have the right token;
        `exact_match`, the share of the texts that are reconstructed as a whole.
    """
    examples = as_examples(encoded(vae, data), names=("data", "y"))
    lengths = vae.lengths_of(examples)
    if lengths is None:
        raise ValueError("`vae` must have a likelihood of texts, Tokens. Received: a model of data of one length")
    right = [x.numpy() == vae.reconstruct(x, c).numpy() for x, c in batches(vae, examples)]
    equal = np.concatenate(right)
    counts = np.arange(equal.shape[1]) < lengths[:, None]
    return {
        "token_accuracy": float(equal[counts].mean()),
        "exact_match": float((equal | ~counts).all(axis=1).mean()),
    }
