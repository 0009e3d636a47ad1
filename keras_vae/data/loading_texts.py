"""`load_texts`: a name, folder or file of texts -> a `Dataset` of tokens."""

import os
import pathlib
from typing import Literal

import numpy as np
from absl import logging

from keras_vae.data.dataset import Dataset
from keras_vae.data.examples import Examples
from keras_vae.data.sources import sentences, texts
from keras_vae.data.splits import Splits, divide
from keras_vae.data.tokenizer import Tokenizer, split
from keras_vae.utils.arguments import Fraction, NonNegativeInt, Path, PositiveInt, checked


@checked
def is_texts(name: Path) -> bool:
    """Whether a name of a data set is one of texts: "sentences", or a file or folder of texts."""
    path = pathlib.Path(os.path.expanduser(name))
    return name == "sentences" or (os.path.exists(path) and texts.is_texts(path)) or bool(texts.kind_of(path))


@checked
def load_texts(
    name: Path = "sentences",
    tokens: Literal["characters", "words"] = "characters",
    max_length: PositiveInt | None = None,
    max_vocabulary: PositiveInt | None = None,
    on_long_text: Literal["cut", "drop"] = "cut",
    text_column: str = "",
    test_fraction: Fraction = 1 / 6,
    validation_fraction: Fraction = 1 / 12,
    seed: NonNegativeInt = 0,
) -> Dataset:
    """Loads texts as rows of tokens, with the vocabulary of the training texts.

    Args:
      name: "sentences" ships with the package: 47,813 short English sentences. A path is a .txt file with one text a
        line, a .csv or .jsonl file, or a folder of them (train.txt, validation.txt and test.txt are splits), each of
        which may be compressed (.txt.gz).
      tokens: "characters", or "words", which white space separates.
      max_length: number of tokens of the longest text; None is that of the longest that there is.
      max_vocabulary: number of characters or words that get a token, the most frequent; None is all that occur in the
        training texts.
      on_long_text: whether texts of more tokens than `max_length` are "cut" or left out, "drop". The log counts them.
      text_column: the column of a .csv file, or the key of a .jsonl file, that holds the text.
      test_fraction: share of the texts that becomes the test set if the source has none, between 0 and 1.
      validation_fraction: share of the training texts that becomes the validation set if the source has none.
      seed: seed of the splits that the source does not make.

    Raises:
      ValueError: if a value is out of range, or the texts cannot be found or read; the message says why.
    """
    name = os.fspath(name)
    if name == "sentences":
        read = sentences.read()
    else:
        path = pathlib.Path(os.path.expanduser(name))
        if not path.exists():
            raise ValueError(
                f"`name` must be 'sentences', or a file or folder of texts. There is no {path} (from "
                f"{pathlib.Path.cwd()})"
            )
        read = texts.read(path, text_column)
    parts = _divided(read, test_fraction, validation_fraction, seed, name)
    longest = max_length or int(max(max(_lengths(part, tokens)) for part in parts))
    if on_long_text == "drop":
        parts = [_without_long(part, tokens, longest) for part in parts]
    else:
        _count_cut(parts, tokens, longest)
    tokenizer = Tokenizer.of(parts[0], tokens, longest, max_vocabulary)
    encoded = [tokenizer.encode(part) for part in parts]
    _count_unknown(encoded, tokenizer)
    train, validation, test = (Examples(rows, present_as="int32") for rows in encoded)
    return Dataset(name, train, validation, test, binarization="none", source=read.source, tokenizer=tokenizer)


def _divided(read, test_fraction, validation_fraction, seed, name):
    """Returns training, validation and test texts."""
    numbered = [part and Examples(np.arange(len(part))[:, None]) for part in read[:3]]
    ordered = read.validation is not None and read.test is not None
    splits = Splits(numbered[0], validation=numbered[1], test=numbered[2], ordered=ordered)
    of_parts = divide(splits, test_fraction, validation_fraction, seed, name)
    sources = (read.train, read.validation or read.train, read.test or read.train)
    return [[own[i] for i in part.values[:, 0]] for part, own in zip(of_parts, sources, strict=True)]


def _lengths(part, tokens):
    return [len(split(text, tokens)) for text in part]


def _without_long(part, tokens, longest):
    kept = [text for text, length in zip(part, _lengths(part, tokens), strict=True) if length <= longest]
    if not kept:
        raise ValueError(
            f"`max_length` must leave texts that are not dropped. Received: max_length={longest}, with "
            f"{len(part)} texts that are all longer"
        )
    if len(kept) < len(part):
        counts = len(part) - len(kept), len(part)
        logging.info("%d of %d texts have more than %d %s and are left out", *counts, longest, tokens)
    return kept


def _count_cut(parts, tokens, longest):
    lengths = [length for part in parts for length in _lengths(part, tokens)]
    cut = sum(length > longest for length in lengths)
    if cut:
        logging.info("%d of %d texts have more than %d %s and are cut", cut, len(lengths), longest, tokens)


def _count_unknown(encoded, tokenizer):
    rows = np.concatenate([part.ravel() for part in encoded])
    unknown, all_tokens = int((rows == 1).sum()), int((rows != 0).sum())
    if unknown:
        message = "%d of %d %s (%.2g%%) are not in the vocabulary of %d and become unknown"
        values = unknown, all_tokens, tokenizer.tokens, 100 * unknown / all_tokens, len(tokenizer.vocabulary)
        logging.info(message, *values)
    if len(tokenizer.vocabulary) == 1:
        logging.warning("the texts hold one of the %s alone: %r", tokenizer.tokens, tokenizer.vocabulary[0])
