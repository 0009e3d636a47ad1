"""`Tokenizer`: texts -> rows of tokens, and back."""

import collections
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_vae.utils.arguments import Numbers, PositiveInt, Texts, checked
from keras_vae.utils.tokens import END, UNKNOWN

SEPARATORS = {"characters": "", "words": " ", "pieces": ""}
# What a token outside of the vocabulary is decoded to.
_UNKNOWN = {"characters": "\N{REPLACEMENT CHARACTER}", "words": "<unk>", "pieces": "<unk>"}


@keras.saving.register_keras_serializable(package="keras_vae.data")
class Tokenizer:
    """Turns texts into rows of tokens `(count, max_length)`, and back.

    Token 0 ends a text and fills the row; token 1 stands for what is not in the vocabulary. Texts of more than
    `max_length` tokens are cut.

    Args:
      vocabulary: the characters or words that have tokens of their own, from token 2 on.
      tokens: "characters", or "words", which white space separates; "pieces" are those of `SubwordTokenizer`.
      max_length: number of tokens in a row, a positive integer.

    >>> tokenizer = Tokenizer(["a", "b"], max_length=4)
    >>> tokenizer.encode(["ab", "abcab"])
    array([[2, 3, 0, 0],
           [2, 3, 1, 2]], dtype=int32)
    >>> tokenizer.decode([[2, 3, 0, 0]])
    ['ab']
    """

    @checked
    def __init__(
        self,
        vocabulary: Sequence[str],
        tokens: Literal["characters", "words", "pieces"] = "characters",
        max_length: PositiveInt = 64,
    ) -> None:
        self.vocabulary, self.tokens, self.max_length = tuple(vocabulary), tokens, int(max_length)
        if not self.vocabulary:
            raise ValueError("`vocabulary` must hold at least one character or word. Received: none")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("`vocabulary` must hold each character or word once. Received: some of them twice")
        self._names = np.array(["", _UNKNOWN[tokens], *self.vocabulary], object)
        self._numbers = {name: number for number, name in enumerate(self.vocabulary, start=UNKNOWN + 1)}

    @classmethod
    @checked
    def of(
        cls,
        texts: Texts,
        tokens: Literal["characters", "words"] = "characters",
        max_length: PositiveInt | None = None,
        max_vocabulary: PositiveInt | None = None,
    ) -> "Tokenizer":
        """Returns a tokenizer with the vocabulary of some texts, the most frequent first.

        Args:
          texts: list of strings.
          tokens: "characters" or "words".
          max_length: number of tokens in a row; None is the length of the longest of the texts.
          max_vocabulary: number of characters or words that get a token; None is all that occur.

        Raises:
          ValueError: if the texts hold nothing.
        """
        rows = [split(text, tokens) for text in strings_of(texts)]
        counts = collections.Counter(itertools.chain.from_iterable(rows))
        if not counts:
            raise ValueError(f"`texts` must hold {tokens}. Received: {len(rows)} texts without any")
        # Those of equal frequency are sorted, so that the order of the texts does not matter.
        vocabulary = sorted(counts, key=lambda name: (-counts[name], name))[:max_vocabulary]
        return cls(vocabulary, tokens, max_length or max(map(len, rows)))

    @property
    def names(self) -> tuple[str, ...]:
        """What each token is decoded to, in the order of the tokens; "" stands for the end."""
        return tuple(self._names)

    @property
    def size(self) -> int:
        """Number of different tokens, the end and the unknown among them."""
        return len(self._names)

    @property
    def unknown(self) -> frozenset[int]:
        """The tokens that stand for what is not in the vocabulary."""
        return frozenset((UNKNOWN,))

    @checked
    def encode(self, texts: Texts) -> np.ndarray:
        """Returns tokens int32 `(count, max_length)` of a list of strings; a single string is a list of one.

        Raises:
          ValueError: if the texts are bytes that are not UTF-8.
        """
        strings = strings_of(texts)
        rows = np.full((len(strings), self.max_length), END, np.int32)
        for row, text in zip(rows, strings, strict=True):
            numbers = self._numbers_of(text)[: self.max_length]
            row[: len(numbers)] = numbers
        return rows

    @checked
    def lengths(self, texts: Texts) -> np.ndarray:
        """Returns the number of tokens of each text, uncut, `(count,)`."""
        return np.array([len(self._numbers_of(text)) for text in strings_of(texts)])

    @checked
    def decode(self, tokens: Numbers) -> list[str]:
        """Returns the texts of tokens `(count, length)`; `count` may be 0."""
        rows = np.asarray(tokens)
        if rows.ndim != 2:
            raise ValueError(f"`tokens` must have shape (count, length). Received: tokens with shape {rows.shape}")
        if not rows.size:
            return [""] * len(rows)
        if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= self.size:
            raise ValueError(
                f"`tokens` must be integers from 0 to {self.size - 1}. Received: tokens from {rows.min()} to "
                f"{rows.max()}"
            )
        lengths = (np.cumsum(rows == END, axis=1) == 0).sum(axis=1)
        return [self._text_of(row[:length]) for row, length in zip(rows, lengths, strict=True)]

    def _numbers_of(self, text: str) -> list[int]:
        """Returns the tokens of a text, uncut and without its end."""
        return [self._numbers.get(name, UNKNOWN) for name in split(text, self.tokens)]

    def _text_of(self, numbers: np.ndarray) -> str:
        """Returns the text of tokens without an end."""
        return SEPARATORS[self.tokens].join(self._names[numbers])

    def get_config(self) -> dict[str, Any]:
        return {"vocabulary": list(self.vocabulary), "tokens": self.tokens, "max_length": self.max_length}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Tokenizer":
        return cls(**config)


def split(text: str, tokens: str) -> Sequence[str]:
    """Returns the characters or words of a text."""
    return text.split() if tokens == "words" else text


def strings_of(texts: Any) -> list[str]:
    """Returns texts as a list of `str`; a single text is a list of one."""
    texts = texts.numpy() if isinstance(texts, tf.Tensor) else texts
    texts = [texts] if isinstance(texts, str | bytes) else list(texts)
    return [_decoded(text, number) if isinstance(text, bytes) else str(text) for number, text in enumerate(texts)]


def _decoded(raw, number):
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`texts` must be strings, or bytes that are UTF-8. Received: byte 0x{raw[error.start]:02x} at place "
            f"{error.start} of text {number}"
        ) from None
