"""What a log likelihood of texts is for each character and word, and how well texts are told by their codes."""

import math

import numpy as np
from absl import logging

from keras_vae.data.examples import Examples
from keras_vae.engine.inputs import data_examples
from keras_vae.models.codes import batches
from keras_vae.models.vae import VAE
from keras_vae.utils.arguments import ArrayLike, Texts, checked
from keras_vae.utils.tokens import END


@checked
def rates(vae: VAE, examples: Examples, log_likelihood: float) -> dict[str, float]:
    """Returns a mean log likelihood of texts for each of their characters and words, an end counted as one more.

        -log_likelihood / (characters + end),   exp(-log_likelihood / (words + end))

    A text that fills its row, as one that was cut does, has no end, so that 0 is added for it, and 1 for any other. The
    log says how many such texts there are. Words are what white space separates. A word that is not in the vocabulary
    counts as `<unk>`, so that a small vocabulary gives lower numbers; compare models of the same tokens.

    Args:
      vae: a model of texts with a tokenizer; for any other the result is empty.
      examples: rows of tokens.
      log_likelihood: mean log likelihood of a text, in nats.

    Returns:
      Dict with the keys `nats_per_character`, `bits_per_character` and `perplexity_per_word`.
    """
    if vae.tokenizer is None:
        return {}
    rows = examples.numpy()
    texts, ends = vae.tokenizer.decode(rows), (rows == END).any(axis=1)
    if not ends.all():
        message = "%d of %d texts fill their row of %d %s: they are cut or just as long, and have no end that counts"
        logging.info(message, int((~ends).sum()), len(rows), rows.shape[1], vae.tokenizer.tokens)
    nats = -log_likelihood / np.mean([len(text) for text in texts] + ends)
    words = np.mean([len(text.split()) for text in texts] + ends)
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
    examples = data_examples(vae, data)
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
