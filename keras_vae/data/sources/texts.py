"""Files of texts: one text a line, or a column of a table."""

import codecs
import contextlib
import csv
import gzip
import io
import json
import os
import pathlib
import zlib
from typing import NamedTuple

from absl import logging

from keras_vae.utils.errors import reason

LINES, TABLES = (".txt",), (".csv", ".jsonl")
_KINDS = ".txt, .csv or .jsonl"
_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
# The byte order marks of other encodings. That of UTF-32 begins with that of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_LONGEST_FIELD = 2**31 - 1  # of a table, in characters: as much as a C long holds everywhere


class Texts(NamedTuple):
    """The texts of a source; what is None is cut from the training texts.

    Attributes:
      train: texts to fit.
      validation: texts to choose settings by.
      test: texts to measure with.
      source: where they come from, one line for a report, as in `keras_vae.data.splits.Splits`.
    """

    train: list[str]
    validation: list[str] | None = None
    test: list[str] | None = None
    source: str = ""


def kind_of(path: pathlib.Path) -> str:
    """Returns the suffix of a file of texts without that of its compression: ".txt", ".csv" or ".jsonl", or ""."""
    suffix = pathlib.Path(path.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in LINES + TABLES else ""


def are_texts(name: str, text_column: str = "", data_dir: str | os.PathLike | None = None) -> bool:
    """Whether a name is one of texts: "sentences", a file or folder of texts, or a prepared set with a text column."""
    if data_dir and not text_column:  # a folder of prepared data sets, which hold images unless a column is named
        return False
    path = pathlib.Path(os.path.expanduser(name))
    if name == "sentences" or kind_of(path):
        return True
    return is_texts(path) if os.path.exists(path) else bool(text_column)


def is_texts(path: pathlib.Path) -> bool:
    """Whether a path is a file of texts, or a folder of such files and nothing else but a README or a license."""
    if not path.is_dir():
        return bool(kind_of(path))
    try:
        kinds = {bool(kind_of(file)) for file in content_of(path)}
    except OSError:  # the reader of folders says what is wrong
        return False
    return kinds == {True}


def content_of(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns what a folder holds, apart from hidden files and what only describes the others."""
    described = ("readme", "license", "licence", "changelog")
    return [file for file in folder.iterdir() if not file.name.lower().startswith((".", *described))]


def read(path: pathlib.Path, text_column: str = "") -> Texts:
    """Reads a file of texts, or a folder of them.

    A folder may have files train, validation and test; any other names are all texts to fit.

    Args:
      path: a .txt file with one text a line, a .csv file, or a .jsonl file with one object a line; each may be
        compressed (.txt.gz). Or a folder of such files.
      text_column: the column of a .csv file, or the key of a .jsonl file, that holds the text.

    Raises:
      ValueError: if there is none that can be read; it names the file and the line.
    """
    if not path.is_dir():
        return Texts(read_file(path, text_column), source=f"texts in {path}")
    files = sorted(content_of(path))
    if not files:
        raise ValueError(f"`name` must be a folder with {_KINDS} files of texts. Received: {path}, which holds none")
    found = {name: [file for file in files if _stem(file) in names] for name, names in _NAMES.items()}
    if any(found.values()):
        if not found["train"]:
            raise ValueError(
                f"A folder of texts with a test or validation file must have a train file too. Received: {path}"
            )
        parts = {name: _joined(some, text_column) if some else None for name, some in found.items()}
    else:
        parts = {"train": _joined(files, text_column)}
    return Texts(**parts, source=f"texts in {path}")  # type: ignore[arg-type]


def _stem(file):
    return file.name.lower().removesuffix(".gz").rpartition(".")[0]


def _joined(files, text_column):
    return [text for file in files for text in read_file(file, text_column)]


def read_file(path: pathlib.Path, text_column: str = "") -> list[str]:
    """Returns the texts of one file, without those that are empty.

    Raises:
      ValueError: as `read`.
    """
    if path.is_dir():
        raise ValueError(f"A folder of texts must hold files alone. Received: the folder {path}")
    kind = kind_of(path)
    if kind in LINES:
        if text_column:
            raise ValueError(
                f"`text_column` must be empty for a .txt file. Received: text_column={text_column!r} for {path}"
            )
        return read_lines(path)
    if not kind:
        raise ValueError(f"Texts must be in {_KINDS} files, which may be compressed (.gz). Received: {path}")
    if not text_column:
        raise ValueError(
            f"`text_column` must name the column of texts of a {kind} file: --text_column, or an argument of "
            f"keras_vae.data.load_texts. Received: none for {path}"
        )
    return _not_empty((_of_csv if kind == ".csv" else _of_jsonl)(path, text_column), path)


def read_lines(path: pathlib.Path) -> list[str]:
    """Returns the lines of a file that are not empty."""
    return _not_empty(_lines(path), path)


def _lines(path):
    """Returns the lines of a file. Other characters at which `str.splitlines` splits, as U+2028, may be in a text."""
    lines = _content(path).split("\n")
    return [line.rstrip("\r") for line in (lines if lines[-1] else lines[:-1])]


def _not_empty(texts, path):
    kept = [text for text in texts if text.strip()]
    if not kept:
        raise ValueError(f"A file of texts must hold at least one. Received: {path}, without any")
    if len(kept) < len(texts):
        logging.info("%d of %d texts in %s are empty and left out", len(texts) - len(kept), len(texts), path)
    return kept


def _content(path):
    """Returns the text of a file, which may be compressed."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.name.lower().endswith(".gz") else raw
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {reason(error)}") from error
    if encoding := next((name for mark, name in _OTHER_MARKS.items() if raw.startswith(mark)), None):
        raise ValueError(
            f"A file of texts must be UTF-8. Received: {path}, which is {encoding}. `iconv -f {encoding} -t UTF-8` "
            "converts it"
        )
    if b"\0" in raw[: 2**20]:
        raise ValueError(f"A file of texts must be UTF-8. Received: {path}, which holds binary data")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise ValueError(
            f"A file of texts must be UTF-8. Received: {path}, with byte 0x{raw[error.start]:02x} in line {line}. "
            "`iconv -f WINDOWS-1252 -t UTF-8` converts the most usual other encoding"
        ) from error


def _of_csv(path, column):
    with _fields_of_any_length():
        rows = _rows_of_csv(_content(path), path)
        _, names = next(rows, (1, []))
        _check_column(column, names, path)
        texts = []
        for number, row in rows:
            if len(row) != len(names):
                raise ValueError(
                    f"Line {number} of {path} must have a field for each of the {len(names)} columns, and quotes "
                    f"around one that holds a comma. Received: {len(row)} fields"
                )
            texts.append(row[names.index(column)])
        return texts


def _rows_of_csv(content, path):
    """Yields the number of the first line of each row that is not empty, and its fields."""
    reader, number = csv.reader(io.StringIO(content, newline=""), strict=True), 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"Line {number} of {path} is no CSV, or begins a row that is none: {error}") from error
        if row is None:
            return
        if row:
            yield number, row
        number = reader.line_num + 1


@contextlib.contextmanager
def _fields_of_any_length():
    """Sets the limit of Python's reader, which is 131,072 characters a field, and sets it back."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _of_jsonl(path, column):
    texts = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"Line {number} of {path} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"Line {number} of {path} must be a JSON object. Received: {line[:40]}")
        _check_column(column, row, path)
        if not isinstance(row[column], str):
            raise ValueError(f"Line {number} of {path} must have a string as {column!r}. Received: {row[column]!r:.40}")
        texts.append(row[column])
    return texts


def _check_column(column, names, path):
    if column not in names:
        raise ValueError(
            f"`text_column` must be a column of {path}: {', '.join(map(repr, list(names)[:20]))}. Received: {column!r}"
        )
