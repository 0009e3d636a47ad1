"""vocabulary.json: what a client needs to make texts of tokens, and tokens of texts."""

import pathlib

from export.paths import VOCABULARY
from keras_vae.data.tokenizer import SEPARATORS
from keras_vae.models.vae import VAE
from keras_vae.utils.json_files import write_json
from keras_vae.utils.tokens import END, UNKNOWN

ABOUT = (
    "A text is tokens[t] for each of its tokens t before the first `end`, joined by `join`; then each `space`, if "
    "there is one, becomes a space, and those at the two ends are left out.",
    "The tokens of a text: split it into `split`, where characters are Unicode code points and words lie between white "
    "space; take the place of each part in `tokens`, or `unknown` where it has none there but those of `end` and "
    "`unknown` themselves; keep the first `max_length` of them, and fill the row of `max_length` numbers with `end`. "
    'Where `split` is "pieces", the library of the tokenizer alone can split a text.',
)


def file_of(vae: VAE) -> str | None:
    """Returns the name of the vocabulary's file beside the model card; None for a model that is not of texts."""
    return VOCABULARY if vae.decoder.likelihood.has_lengths else None


def vocabulary(vae: VAE) -> dict:
    """Returns the content of the file: the strings of all tokens in order, and how texts are made of them.

    The tokens of a model without a tokenizer are written as their numbers, and none of them is unknown.
    """
    likelihood = vae.decoder.likelihood
    tokenizer = likelihood.tokenizer
    if tokenizer is None:
        names, split = ["", *map(str, range(1, int(likelihood.support[1]) + 1))], "words"
    else:
        names, split = list(tokenizer.names), tokenizer.tokens
    return {
        "about": list(ABOUT),
        "tokens": names,
        "split": split,
        "join": SEPARATORS[split],
        "space": _mark_of_space(names) if split == "pieces" else None,
        "end": END,
        "unknown": None if tokenizer is None else UNKNOWN,
        "max_length": vae.event_shape[0],
    }


def _mark_of_space(names):
    """Returns what stands for a space in the pieces of SentencePiece, or of byte-level pieces; None if nothing does."""
    marks = ("\N{LOWER ONE EIGHTH BLOCK}", "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}")
    return next((mark for mark in marks if any(name.startswith(mark) for name in names)), None)


def write(vae: VAE, folder: pathlib.Path) -> None:
    """Writes the file of a model of texts to a folder, and nothing for another model."""
    if file := file_of(vae):
        write_json(folder / file, vocabulary(vae))
