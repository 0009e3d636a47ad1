"""What the tokens of a trained tokenizer add to a text: strings or bytes, found by asking its library.

A library makes a text of tokens in ways of its own: WordPiece marks what continues a word, other tokenizers what begins
or ends one, and byte-level ones have bytes for pieces. Each rule here is one guess at strings that need only be joined.
`export.vocabulary` compares its texts with those of the library.
"""

import re
from collections.abc import Iterator

import numpy as np

from keras_vae.data.tokenizer import Tokenizer
from keras_vae.utils.tokens import UNKNOWN

NUM_ROWS = 200
_LONGEST_ROW = 32
_SENTENCES = (
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "caf\u00e9, na\u00efve, 5 \u20ac - \u00dcbergr\u00f6\u00dfe!",
    "\u4f60\u597d \u041f\u0440\u0438\u0432\u0435\u0442 \U0001f600",
)


def rows_to_compare(tokenizer: Tokenizer) -> np.ndarray:
    """Returns rows of tokens drawn at random, of the texts that they make, and of the words of some sentences.

    Rows whose bytes are no text are left out, because libraries show broken characters in ways of their own.
    """
    random = np.random.default_rng(0)
    shape = NUM_ROWS, min(tokenizer.max_length, _LONGEST_ROW)
    rows = np.zeros((NUM_ROWS, tokenizer.max_length), np.int32)
    lengths = random.integers(1, shape[1] + 1, (NUM_ROWS, 1))
    drawn = random.integers(1, tokenizer.size, shape)
    rows[:, : shape[1]] = np.where(np.arange(shape[1]) < lengths, drawn, 0)
    words = [word for sentence in _SENTENCES for word in (sentence, *sentence.split())]
    rows = np.concatenate([rows, tokenizer.encode([*tokenizer.decode(rows), *words])])
    return rows[["\N{REPLACEMENT CHARACTER}" not in text for text in tokenizer.decode(rows)]]


def rules(tokenizer: Tokenizer) -> Iterator[dict]:
    """Yields the entries `tokens`, `first` and `bytes` of vocabulary.json by each of the rules.

    Args:
      tokenizer: one whose tokens are pieces.
    """
    every = np.arange(1, tokenizer.size)
    alone = ["", *tokenizer.decode(every[:, None])]
    whole = next((t for t in every if alone[t].isascii() and alone[t].isalnum()), UNKNOWN)
    beside = np.full_like(every, whole)
    after = tokenizer.decode(np.stack([beside, every], axis=1))
    before = tokenizer.decode(np.stack([every, beside], axis=1))
    strings = ["", *(text.removeprefix(alone[whole]) for text in after)]
    first = {str(t): alone[t] for t in every if alone[t].strip(" ") != strings[t].strip(" ")}
    yield {"tokens": strings, "first": first, "bytes": False}
    yield {"tokens": ["", *(text.removesuffix(alone[whole]) for text in before)], "first": {}, "bytes": False}
    named = list(zip(tokenizer.names, alone, strict=True))
    yield {"tokens": [_of_byte_level(name) if text else "" for name, text in named], "first": {}, "bytes": True}
    yield {
        "tokens": [_of_byte(name) or _as_bytes(text) for name, text in zip(tokenizer.names, strings, strict=True)],
        "first": {t: _as_bytes(text) for t, text in first.items() if not _of_byte(tokenizer.names[int(t)])},
        "bytes": True,
    }


def _as_bytes(text):
    """Returns the bytes of a text in UTF-8, each as the character of that number."""
    return text.encode().decode("latin-1")


def _of_byte(name):
    """Returns the byte that a piece such as `<0xC3>` stands for, as a character; "" for any other piece."""
    found = re.fullmatch("<0x([0-9A-F]{2})>", name)
    return chr(int(found[1], 16)) if found else ""


def _byte_characters():
    """Returns the byte that each character of GPT-2's byte-level pieces stands for.

    A visible character of Latin-1 stands for itself, and those from U+0100 on for the other bytes in order.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(b): b for b in visible} | {chr(0x100 + i): b for i, b in enumerate(others)}


_BYTES = _byte_characters()


def _of_byte_level(name):
    """Returns the bytes of a byte-level piece; another, such as an added token, stands for its own."""
    return "".join(chr(_BYTES[c]) for c in name) if all(c in _BYTES for c in name) else _as_bytes(name)
