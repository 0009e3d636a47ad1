"""What a log likelihood of texts is for each character and word, and how well texts are told by their codes."""

import math

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.engine.inputs import as_examples, encoded
from keras_vae.models.codes import batches
from keras_vae.models.vae import VAE
from keras_vae.utils.arguments import ArrayLike, Texts, checked


@checked
def rates(vae: VAE, examples: Examples, log_likelihood: float) -> dict[str, float]:
    """Returns a mean log likelihood of texts for each of their characters and words, the end counted as one more.

        -log_likelihood / (characters + 1),   exp(-log_likelihood / (words + 1))

    Words are what white space separates. A word that is not in the vocabulary counts as `<unk>`, so that a small
    vocabulary gives lower numbers; compare models of the same tokens.

    Args:
      vae: a model of texts with a tokenizer; for any other the result is empty.
      examples: rows of tokens.
      log_likelihood: mean log likelihood of a text, in nats.

    Returns:
      Dict with the keys `nats_per_character`, `bits_per_character` and `perplexity_per_word`.
    """
    if vae.tokenizer is None:
        return {}
    texts = vae.tokenizer.decode(examples.numpy())
    nats = -log_likelihood / np.mean([len(text) + 1 for text in texts])
    words = np.mean([len(text.split()) + 1 for text in texts])
    return {
        "nats_per_character": float(nats),
        "bits_per_character": float(nats / math.log(2.0)),
        "perplexity_per_word": float(np.exp(-log_likelihood / words)),
    }


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
