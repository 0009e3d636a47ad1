"""`SubwordTokenizer`: texts -> rows of the tokens of a trained tokenizer, and back."""

import base64
import binascii
import json
import pathlib
from typing import Any

import keras
import numpy as np

from keras_vae.data.tokenizer import Tokenizer
from keras_vae.utils.arguments import Path, PositiveInt, checked
from keras_vae.utils.errors import reason
from keras_vae.utils.optional import library
from keras_vae.utils.tokens import UNKNOWN


@keras.saving.register_keras_serializable(package="keras_vae.data")
class SubwordTokenizer(Tokenizer):
    """Turns texts into rows of the tokens of a trained tokenizer of the library `tokenizers` or of SentencePiece.

    Token 0 ends a text and fills the row; token i + 2 is token i of the library. The unknown token of the library is
    its own, so that token 1 does not occur, and its text stands in what `decode` returns. The tokens that the library
    would put around a text are left out, and so is the text of its other special tokens. Texts of more than
    `max_length` tokens are cut.

    Args:
      model: what the file of the tokenizer holds: the JSON text of `tokenizers`, or a model of SentencePiece in Base64.
        `SubwordTokenizer.of_file` reads either.
      max_length: number of tokens in a row, a positive integer.

    Raises:
      ValueError: if `model` is neither.
      ImportError: without the library.
    """

    @checked
    def __init__(self, model: str, max_length: PositiveInt = 64) -> None:
        self.model = model
        if not model:
            raise ValueError("`model` must be what the file of a tokenizer holds. Received: an empty string")
        self._library = _Tokenizers(model) if model.lstrip().startswith("{") else _SentencePiece(model)
        super().__init__(self._library.pieces(), "pieces", max_length)

    @classmethod
    @checked
    def of_file(cls, path: Path, max_length: PositiveInt = 64) -> "SubwordTokenizer":
        """Returns the tokenizer of a file: the .json of `tokenizers`, or a .model of SentencePiece.

        Raises:
          ValueError: if there is none that can be read.
        """
        try:
            raw = pathlib.Path(path).expanduser().read_bytes()
        except OSError as error:
            raise ValueError(f"The file of a tokenizer cannot be read: {path} ({reason(error)})") from error
        try:
            if raw.lstrip().startswith(b"{"):
                return cls(raw.decode(), max_length)
            return cls(base64.b64encode(raw).decode(), max_length)
        except ValueError as error:
            raise ValueError(
                "The file of a tokenizer must be the .json of `tokenizers` or a model of SentencePiece. Received: "
                f"{path} ({error})"
            ) from error

    @property
    def unknown(self) -> frozenset[int]:
        return frozenset((UNKNOWN, *(number + UNKNOWN + 1 for number in self._library.unknown)))

    def _numbers_of(self, text: str) -> list[int]:
        return [number + UNKNOWN + 1 for number in self._library.encode(text)]

    def _text_of(self, numbers: np.ndarray) -> str:
        return self._library.decode([int(number) - UNKNOWN - 1 for number in numbers if number > UNKNOWN])

    def get_config(self) -> dict[str, Any]:
        return {"model": self.model, "max_length": self.max_length}


class _Tokenizers:
    """A tokenizer of the library `tokenizers`."""

    def __init__(self, model: str) -> None:
        try:
            self._tokenizer = library("tokenizers", "text").Tokenizer.from_str(model)
        except ImportError:
            raise
        except Exception as error:  # the library raises nothing else
            raise ValueError(f"`model` must be a tokenizer of `tokenizers`. Received: {error}") from None
        # What a file says of a length is for other models.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A model names its unknown token by its string, and Unigram by its number.
        inner = json.loads(model)["model"]
        number = inner["unk_id"] if "unk_id" in inner else self._tokenizer.token_to_id(inner.get("unk_token") or "")
        self.unknown = set() if number is None else {number}
        added = self._tokenizer.get_added_tokens_decoder()
        self._left_out = {number for number, token in added.items() if token.special} - self.unknown

    def pieces(self) -> list[str]:
        # A number without a piece of its own gets a name that no text has.
        size = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        return [self._tokenizer.id_to_token(i) or f"<{i}>" for i in range(size)]

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, numbers: list[int]) -> str:
        # The library would leave out the unknown token with the other special ones.
        kept = [number for number in numbers if number not in self._left_out]
        return self._tokenizer.decode(kept, skip_special_tokens=False)


class _SentencePiece:
    """A model of SentencePiece."""

    def __init__(self, model: str) -> None:
        sentencepiece = library("sentencepiece", "text")
        try:
            proto = base64.b64decode(model, validate=True)
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
        except (RuntimeError, binascii.Error, TypeError) as error:
            raise ValueError(f"`model` must be a model of SentencePiece. Received: {error}") from None
        self.unknown = {self._processor.unk_id()}

    def pieces(self) -> list[str]:
        return [self._processor.id_to_piece(i) for i in range(self._processor.get_piece_size())]

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(text)

    def decode(self, numbers: list[int]) -> str:
        return self._processor.decode(numbers)
