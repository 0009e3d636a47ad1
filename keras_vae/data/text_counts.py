"""What is said of texts that a tokenizer cuts or does not know: one line of the log each, or one error."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_vae.data.tokenizer import Tokenizer, strings_of
from keras_vae.utils.tokens import END


def encode_and_log(tokenizer: Tokenizer, texts: Any) -> np.ndarray:
    """Returns the tokens of texts, warns of those that are cut, and logs how many tokens are unknown."""
    strings = strings_of(texts)
    rows = tokenizer.encode(strings)
    full = np.flatnonzero(rows[:, -1] != END)  # only texts without an end can be longer
    cut = int((tokenizer.lengths([strings[i] for i in full]) > tokenizer.max_length).sum()) if len(full) else 0
    log_cut(cut, len(rows), tokenizer.max_length, tokenizer.tokens, logging.warning)
    log_unknown([rows], tokenizer)
    return rows


def log_cut(cut: int, count: int, longest: int, tokens: str, log: Callable) -> None:
    """Says by `log` how many of some texts have more than `longest` tokens, if any have."""
    if cut:
        log("%d of %d texts have more than %d %s and are cut", cut, count, longest, tokens)


def log_unknown(parts: Sequence[np.ndarray], tokenizer: Tokenizer) -> None:
    """Logs how many tokens of some rows are unknown and how many rows hold none, if there are any such."""
    rows = np.concatenate(parts)
    unknown, all_tokens = int(_is_unknown(rows, tokenizer).sum()), int((rows != END).sum())
    if unknown:
        message = "%d of %d %s (%.3g%%) are not in the vocabulary of %d and become unknown"
        values = unknown, all_tokens, tokenizer.tokens, 100 * unknown / all_tokens, len(tokenizer.vocabulary)
        logging.info(message, *values)
    empty = int((rows[:, 0] == END).sum())
    if empty:
        logging.info(
            "%d of %d texts have no %s that the tokenizer knows and are empty", empty, len(rows), tokenizer.tokens
        )


def check_known(parts: Sequence[np.ndarray], tokenizer: Tokenizer, tokens: str) -> None:
    """Checks that a tokenizer knows something of each split.

    Args:
      parts: rows of the tokens of the training, the validation and the test texts.
      tokenizer: the one that made them.
      tokens: the setting that names it.

    Raises:
      ValueError: if all training texts are empty or unknown; a validation or test set of that kind is a warning.
    """
    for name, rows in zip(("training", "validation", "test"), parts, strict=True):
        if ((rows != END) & ~_is_unknown(rows, tokenizer)).any():
            continue
        what = "unknown" if (rows != END).any() else "empty"
        if name == "training":
            raise ValueError(
                f"`tokens` must know something of the training texts. Received: {tokens!r}, to which all of the "
                f"{len(rows)} texts are {what}"
            )
        logging.warning("all of the %d %s texts are %s to the tokenizer of the training texts", len(rows), name, what)


def _is_unknown(rows, tokenizer):
    return np.isin(rows, sorted(tokenizer.unknown))
