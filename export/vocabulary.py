"""vocabulary.json: what a client needs to make texts of tokens, and tokens of texts."""

import itertools
import pathlib
from collections.abc import Sequence

from absl import logging

from export import pieces
from export.paths import VOCABULARY
from keras_vae.data.tokenizer import SEPARATORS
from keras_vae.models.vae import VAE
from keras_vae.utils.json_files import write_json
from keras_vae.utils.tokens import END, UNKNOWN

ABOUT = (
    "A text is tokens[t] for each of its tokens t before the first `end`, joined by `join`. Tokens whose string is "
    "empty are left out before that, and the first that is left has the string first[t] if there is one. Where `bytes` "
    "is true the characters of the result are bytes, from U+0000 to U+00FF, of a text in UTF-8, and those that are no "
    "UTF-8 become one U+FFFD or several; where `trim` is true the spaces at the two ends are left out. Where `exact` "
    "is false no such rule gives the texts of the tokenizer's library, and the text is the names of its tokens apart.",
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
    content = {
        "about": list(ABOUT),
        "tokens": names,
        "first": {},
        "split": split,
        "join": SEPARATORS[split],
        "bytes": False,
        "trim": False,
        "exact": True,
        "end": END,
        "unknown": None if tokenizer is None else UNKNOWN,
        "max_length": vae.event_shape[0],
    }
    return _with_rule(content, tokenizer) if split == "pieces" else content


def _with_rule(content, tokenizer):
    """Returns the content with the first rule that gives the texts of the library, or with the names apart."""
    rows = pieces.rows_to_compare(tokenizer)
    # Spaces at the ends of a text are nothing that a client shows.
    expected = [text.strip(" ") for text in tokenizer.decode(rows)]
    for rule in pieces.rules(tokenizer):
        ruled = {**content, **rule, "trim": True}
        if [text_of(ruled, row) for row in rows.tolist()] == expected:
            return ruled
    return {**content, "join": " ", "exact": False}


def text_of(content: dict, row: Sequence[int]) -> str:
    """Returns the text of a row of tokens as every client makes it of the content of the file."""
    read = itertools.takewhile(lambda token: token != content["end"], row)
    tokens = [token for token in read if content["tokens"][token]]
    strings = [content["tokens"][token] for token in tokens]
    if tokens:
        strings[0] = content["first"].get(str(tokens[0]), strings[0])
    text = content["join"].join(strings)
    if content["bytes"]:
        text = text.encode("latin-1").decode("utf-8", errors="replace")
    return text.strip(" ") if content["trim"] else text


def write(vae: VAE, folder: pathlib.Path) -> None:
    """Writes the file of a model of texts to a folder, and nothing for another model."""
    if file := file_of(vae):
        content = vocabulary(vae)
        if not content["exact"]:
            message = "%s has no rule that makes the texts of the tokenizer: the page and apps show its pieces apart"
            logging.warning(message, file)
        write_json(folder / file, content)
