"""`load_texts`: a name, folder or file of texts -> a `Dataset` of tokens."""

import os
import pathlib
from typing import Literal

import numpy as np
from absl import logging

from keras_vae.data.dataset import Dataset
from keras_vae.data.examples import Examples
from keras_vae.data.sources import prepared, sentences, texts
from keras_vae.data.splits import Splits, divide
from keras_vae.data.subword_tokenizer import SubwordTokenizer
from keras_vae.data.text_counts import check_known, log_cut, log_unknown
from keras_vae.data.tokenizer import Tokenizer
from keras_vae.utils.arguments import Fraction, NonNegativeInt, Path, PositiveInt, checked


@checked
def is_texts(name: Path, text_column: str = "", data_dir: Path | None = None) -> bool:
    """Whether a name is one of texts: "sentences", a file or folder of texts, or a prepared set with a text column."""
    return texts.are_texts(os.fspath(name), text_column, data_dir)


@checked
def load_texts(
    name: Path = "sentences",
    tokens: str = "characters",
    max_length: PositiveInt | None = None,
    max_vocabulary: PositiveInt | None = None,
    on_long_text: Literal["cut", "drop"] = "cut",
    text_column: str = "",
    test_fraction: Fraction = 1 / 6,
    validation_fraction: Fraction = 1 / 12,
    seed: NonNegativeInt = 0,
    data_dir: Path | None = None,
) -> Dataset:
    """Loads texts as rows of tokens, with the vocabulary of the training texts.

    Args:
      name: "sentences" ships with the package: 47,813 short English sentences. A path is a .txt file with one text a
        line, a .csv or .jsonl file, or a folder of them (train.txt, validation.txt and test.txt are splits), each of
        which may be compressed (.txt.gz). Every other name with a `text_column` is one of tensorflow-datasets.
      tokens: "characters", "words", which white space separates, or the file of a trained tokenizer: the .json of the
        library `tokenizers`, or a model of SentencePiece (`SubwordTokenizer`).
      max_length: number of tokens of the longest text; None is that of the longest that there is.
      max_vocabulary: number of characters or words that get a token, the most frequent; None is all that occur in the
        training texts. It must be None for the file of a tokenizer, which has a vocabulary.
      on_long_text: whether texts of more tokens than `max_length` are "cut" or left out, "drop". The log counts them.
      text_column: the column of a .csv file, the key of a .jsonl file, or the feature of a data set of
        tensorflow-datasets, that holds the text.
      test_fraction: share of the texts that becomes the test set if the source has none, between 0 and 1.
      validation_fraction: share of the training texts that becomes the validation set if the source has none.
      seed: seed of the splits that the source does not make.
      data_dir: folder of prepared tensorflow-datasets; None is their default, `~/tensorflow_datasets`.

    Raises:
      ValueError: if a value is out of range, or the texts cannot be found or read; the message says why.
    """
    name = os.fspath(name)
    trained = _trained(tokens, max_vocabulary)
    read = _read(name, text_column, None if data_dir is None else os.fspath(data_dir))
    parts = _divided(read, test_fraction, validation_fraction, seed, name)
    counter = trained or Tokenizer(["?"], tokens)  # the vocabulary does not matter for lengths
    lengths = [counter.lengths(part) for part in parts]
    longest = max_length or max(1, *(int(part.max()) for part in lengths))
    if on_long_text == "drop":
        parts = [_without_long(*pair, counter.tokens, longest) for pair in zip(parts, lengths, strict=True)]
    else:
        together = np.concatenate(lengths)
        log_cut(int((together > longest).sum()), len(together), longest, counter.tokens, logging.info)
    if trained is None:
        tokenizer = Tokenizer.of(parts[0], tokens, longest, max_vocabulary)
    else:
        tokenizer = SubwordTokenizer(trained.model, longest)
    encoded = [tokenizer.encode(part) for part in parts]
    check_known(encoded, tokenizer, tokens)
    log_unknown(encoded, tokenizer)
    if len(tokenizer.vocabulary) == 1:
        logging.warning("the texts hold one of the %s alone: %r", tokenizer.tokens, tokenizer.vocabulary[0])
    train, validation, test = (Examples(rows, present_as="int32") for rows in encoded)
    return Dataset(name, train, validation, test, binarization="none", source=read.source, tokenizer=tokenizer)


def _read(name, text_column, data_dir):
    if name == "sentences":
        return sentences.read()
    path = pathlib.Path(os.path.expanduser(name))
    if path.exists() and data_dir is None:
        return texts.read(path, text_column)
    if text_column and not texts.kind_of(path):
        return prepared.read_texts(name, text_column, data_dir)
    raise ValueError(
        "`name` must be 'sentences', a file or folder of texts, or with a text_column the name of a prepared data set "
        f"of tensorflow-datasets. There is no {path} (from {pathlib.Path.cwd()})"
    )


def _divided(read, test_fraction, validation_fraction, seed, name):
    """Returns training, validation and test texts."""
    numbered = [part and Examples(np.arange(len(part))[:, None]) for part in read[:3]]
    ordered = read.validation is not None and read.test is not None
    splits = Splits(numbered[0], validation=numbered[1], test=numbered[2], ordered=ordered)
    of_parts = divide(splits, test_fraction, validation_fraction, seed, name)
    sources = (read.train, read.validation or read.train, read.test or read.train)
    return [[own[i] for i in part.values[:, 0]] for part, own in zip(of_parts, sources, strict=True)]


def _trained(tokens, max_vocabulary):
    """Returns the tokenizer of a file, or None if `tokens` names none."""
    if tokens in ("characters", "words"):
        return None
    if not os.path.exists(os.path.expanduser(tokens)):
        raise ValueError(
            "`tokens` must be 'characters', 'words' or the file of a tokenizer. There is no file of that name. "
            f"Received: {tokens!r}"
        )
    if max_vocabulary is not None:
        raise ValueError(
            "`max_vocabulary` must be None for the file of a tokenizer, which has a vocabulary. Received: "
            f"max_vocabulary={max_vocabulary}"
        )
    return SubwordTokenizer.of_file(tokens)


def _without_long(part, lengths, tokens, longest):
    kept = [text for text, length in zip(part, lengths, strict=True) if length <= longest]
    if not kept:
        raise ValueError(
            f"`max_length` must leave texts that are not dropped. Received: max_length={longest}, with "
            f"{len(part)} texts that are all longer"
        )
    if len(kept) < len(part):
        counts = len(part) - len(kept), len(part)
        logging.info("%d of %d texts have more than %d %s and are left out", *counts, longest, tokens)
    return kept
