"""Texts from files and folders, and as a `Dataset` of tokens."""

import csv
import gzip
import hashlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import logging
from trained_tokenizers import PIECES, TRAINED

from keras_vae import data
from keras_vae.data.sources import texts

LINES = ["one two three", "four", "five six", "seven eight", "nine", "ten eleven twelve thirteen"] * 4


def write(folder, name="a.txt", content=LINES):
    """Writes lines, or bytes as they are, and returns the path."""
    raw = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
    path = folder / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def test_the_sentences_are_shipped():
    dataset = data.load("sentences")
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [41813, 2000, 4000]
    assert dataset.event_shape == (100,)
    assert dataset.tokenizer.decode(dataset.test.values[:2]) == ["he is the best one", "she writes badly"]
    everything = "\n".join(dataset.tokenizer.decode(dataset.train.values)) + "\n"
    assert hashlib.sha256(everything.encode()).hexdigest().startswith("fd132cadc637")
    assert dataset.describe()["vocabulary"] == 80
    folder = pathlib.Path(data.sources.sentences.__file__).parent
    assert "WordNet" in (folder / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "A.TXT"])
def test_a_file_has_one_text_a_line(tmp_path, name):
    dataset = data.load(write(tmp_path, name))
    parts = [dataset.tokenizer.decode(part.values) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sorted(text for part in parts for text in part) == sorted(LINES)
    assert [len(part) for part in parts] == [18, 2, 4]


def test_a_folder_has_splits_or_is_all_for_training(tmp_path):
    for name, lines in (
        ("train.txt", LINES[:6]),
        ("dev.txt.gz", ["x"]),
        ("test.txt", ["y", "z"]),
        ("README.txt", ["?"]),
    ):
        write(tmp_path, name, lines)
    read = texts.read(tmp_path)
    assert read[:3] == (LINES[:6], ["x"], ["y", "z"])
    (tmp_path / "train.txt").rename(tmp_path / "more.txt")
    with pytest.raises(ValueError, match="must have a train file too"):
        texts.read(tmp_path)
    for name in ("dev.txt.gz", "test.txt"):
        (tmp_path / name).unlink()
    write(tmp_path, "other.txt", ["last"])
    assert texts.read(tmp_path)[:3] == ([*LINES[:6], "last"], None, None)
    assert texts.is_texts(tmp_path)
    write(tmp_path, "picture.png", b"")
    assert not texts.is_texts(tmp_path)


def test_tables_have_a_column_of_texts(tmp_path):
    table = write(tmp_path, "a.csv", ["n,text", '1,"one, two"', "2,", "3,three"])
    assert texts.read_file(table, "text") == ["one, two", "three"]
    rows = [json.dumps({"text": text, "n": 1}) for text in ("a\nb", "\u00e9")]
    assert texts.read_file(write(tmp_path, "a.jsonl.gz", [*rows, ""]), "text") == ["a\nb", "\u00e9"]


def test_words_and_long_texts(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "info", lambda text, *values: said.append(text % values))
    path = write(tmp_path, content=[*LINES, "", " "])
    cut = data.load_texts(path, "words", max_length=2, max_vocabulary=3)
    assert cut.event_shape == (2,)
    assert len(cut.tokenizer.vocabulary) == 3
    assert said[0] == f"2 of 26 texts in {path} are empty and left out"
    assert said[1] == "8 of 24 texts have more than 2 words and are cut"
    assert "are not in the vocabulary of 3 and become unknown" in said[2]
    dropped = data.load_texts(path, "words", max_length=2, on_long_text="drop")
    parts = (dropped.train, dropped.validation, dropped.test)
    assert sum(map(len, parts)) == 16
    assert all((part.values != 1).any() and part.dtype == np.int32 for part in parts)


def test_one_word_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    data.load(write(tmp_path, content=["aaa", "a", "aa"] * 5))
    assert said == ["the texts hold one of the characters alone: 'a'"]


@pytest.mark.parametrize(
    ("name", "content", "column", "words"),
    [
        ("a.txt", b"", "", "must hold at least one. Received: .*a.txt, without any"),
        ("a.txt", b"\n \n", "", "must hold at least one"),
        ("a.txt", b"one\nna\xefve\n", "", r"must be UTF-8. Received: .*, with byte 0xef in line 2"),
        ("a.txt", b"\x7fELF\0\0", "", "holds binary data"),
        ("a.txt", b"one\n", "text", "`text_column` must be empty for a .txt file"),
        ("a.csv", b"text\none\n", "", "`text_column` must name the column of texts of a .csv file"),
        ("a.csv", b"text,n\none,1\n", "word", "must be a column of .*: 'text', 'n'. Received: 'word'"),
        ("a.txt", "one\n".encode("utf-16"), "", "must be UTF-8. Received: .*, which is UTF-16. `iconv -f UTF-16 -t"),
        ("a.csv", b"text\none\n".decode().encode("utf-16-be"), "text", "holds binary data"),
        ("a.csv", "\ufefftext\none\n".encode("utf-16-be"), "text", "which is UTF-16"),
        ("a.jsonl", "{}".encode("utf-32"), "text", "which is UTF-32"),
        (
            "a.csv",
            b"n,text\n1,one\n2,two, three\n",
            "text",
            "Line 3 of .* a field for each of the 2 columns.*: 3 fields",
        ),
        ("a.csv", b"n,text\n1\n", "text", "Line 2 of .*a.csv must have a field for each .* Received: 1 fields"),
        ("a.csv", b'text\none\n"two\nthree\n', "text", "Line 3 of .*a.csv is no CSV, .*: unexpected end of data"),
        ("a.csv", b'text\n"one" two\n', "text", "Line 2 of .*a.csv is no CSV, .*: ',' expected after"),
        ("a.jsonl", b'{"text": 1}\n', "text", "Line 1 of .* must have a string as 'text'. Received: 1"),
        ("a.jsonl", b'{"text": "a"}\n{', "text", "Line 2 of .* is no JSON"),
        ("a.jsonl", b"[1]\n", "text", "Line 1 of .* must be a JSON object"),
    ],
)
def test_a_bad_file_is_one_error(tmp_path, name, content, column, words):
    with pytest.raises(ValueError, match=words):
        texts.read(write(tmp_path, name, content), column)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_a_text_may_have_any_length(tmp_path, name):
    long, limit = "x" * 200_000, csv.field_size_limit()
    lines = {"a.csv": ["text", long], "a.jsonl": [json.dumps({"text": long})], "a.txt": [long]}[name]
    assert texts.read_file(write(tmp_path, name, lines), "" if name == "a.txt" else "text") == [long]
    assert csv.field_size_limit() == limit


def test_line_feeds_alone_end_a_line(tmp_path):
    inner = "one\u2028two\u0085three\x0cfour\x1cfive"
    assert texts.read_file(write(tmp_path, "a.txt", f"{inner}\r\nsix\n".encode())) == [inner, "six"]
    rows = "\r\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in (inner, "six"))
    assert texts.read_file(write(tmp_path, "a.jsonl", rows.encode()), "text") == [inner, "six"]
    assert texts.read_file(write(tmp_path, "a.csv", f'text\r\n{inner}\r\n"a\nb"\r\n'.encode()), "text") == [
        inner,
        "a\nb",
    ]


def make_folder(folder, **parts):
    """Writes a .txt file for each split and returns the folder."""
    folder.mkdir()
    for name, lines in parts.items():
        write(folder, f"{name}.txt", lines)
    return folder


@pytest.mark.parametrize(("name", "what"), [("word_piece", "unknown"), ("no_unknown", "empty")])
def test_texts_that_a_tokenizer_does_not_know_are_said(tmp_path, monkeypatch, name, what):
    said, warned = [], []
    monkeypatch.setattr(logging, "info", lambda text, *values: said.append(text % values))
    monkeypatch.setattr(logging, "warning", lambda text, *values: warned.append(text % values))
    model = json.loads(TRAINED["word_piece" if name == "word_piece" else "bpe_no_decoder"]())
    if name == "no_unknown":  # such a model leaves out the characters that it does not know
        model["model"]["unk_token"] = None
    file, foreign = tmp_path / "tokenizer.json", ["\u0434\u0430", "\u043d\u0435\u0442"]
    file.write_text(json.dumps(model))
    bad = make_folder(tmp_path / "bad", train=foreign, dev=PIECES[:2], test=PIECES[:2])
    for max_length in (None, 5):
        words = rf"`tokens` must know something of the training texts. .*json', to which all of the 2 texts are {what}"
        with pytest.raises(ValueError, match=words):
            data.load_texts(bad, tokens=str(file), max_length=max_length)
    assert warned == []
    said.clear()
    good = make_folder(tmp_path / "good", train=PIECES[:4], dev=foreign, test=[*foreign, "a cat"])
    dataset = data.load_texts(good, tokens=str(file))
    assert warned == [f"all of the 2 validation texts are {what} to the tokenizer of the training texts"]
    if what == "unknown":
        count = sum(int((part.values != 0).sum()) for part in (dataset.train, dataset.validation, dataset.test))
        size = len(dataset.tokenizer.vocabulary)
        share = f"{400 / count:.3g}"
        assert said == [f"4 of {count} pieces ({share}%) are not in the vocabulary of {size} and become unknown"]
    else:
        assert said == ["4 of 9 texts have no pieces that the tokenizer knows and are empty"]


def test_a_folder_or_file_without_texts_is_one_error(tmp_path):
    (tmp_path / "readme.md").write_text("about")
    with pytest.raises(ValueError, match=r"^`name` must be a folder with \.txt, .* which holds none$"):
        data.load_texts(tmp_path)
    (tmp_path / "a.txt").write_text("a cat\n")
    (tmp_path / "notes.md").write_text("a dog\n")
    for name in (tmp_path, tmp_path / "notes.md"):
        with pytest.raises(ValueError, match=r"^Texts must be in .* files.*notes\.md$"):
            data.load_texts(name)
    with pytest.raises(ValueError, match=r"^No images .*folder of texts, .* such as a\.txt: there is notes\.md$"):
        data.load(tmp_path)
    (tmp_path / "notes.md").unlink()
    with pytest.raises(ValueError, match=r"a.txt' must hold at least 3 examples .*Received: 1$"):
        data.load_texts(tmp_path / "a.txt")
    (tmp_path / "more").mkdir()
    (tmp_path / "a.txt").rename(tmp_path / "more" / "a.txt")
    with pytest.raises(ValueError, match=r"^A folder of texts must hold files alone\. Received: the folder .*more$"):
        data.load_texts(tmp_path)


def test_other_bad_input_is_one_error(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="gz cannot be read"):
        data.load(tmp_path / "a.txt.gz")
    with pytest.raises(ValueError, match="There is no missing"):
        data.load("missing.txt")
    path = write(tmp_path)
    with pytest.raises(ValueError, match="`max_length` must leave texts that are not dropped"):
        data.load_texts(path, max_length=1, on_long_text="drop")
    for argument in ({"max_length": 0}, {"on_long_text": "stop"}, {"test_fraction": 1.0}):
        with pytest.raises(ValueError, match=f"`{next(iter(argument))}` must be"):
            data.load_texts(path, **argument)


class TinyReviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Some texts with a label, and a validation split."""

    VERSION = tfds.core.Version("1.0.0")
    PARTS = {"train": LINES, "validation": ["four", "nine"], "test": ["five six", "ten"]}

    def _info(self):
        features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(lines) for split, lines in self.PARTS.items()}

    def _generate_examples(self, lines):
        for number, line in enumerate(lines):
            yield number, {"text": line, "label": number % 2}


def test_a_prepared_data_set_has_a_feature_of_texts(tmp_path):
    tfds.disable_progress_bar()
    TinyReviews(data_dir=tmp_path).download_and_prepare()
    dataset = data.load_texts("tiny_reviews", text_column="text", tokens="words", data_dir=tmp_path)
    parts = (dataset.train, dataset.validation, dataset.test)
    read = [sorted(dataset.tokenizer.decode(part.values)) for part in parts]
    assert read[:2] == [sorted(LINES), ["four", "nine"]]
    assert read[2] == ["five six", "ten"]
    assert dataset.source.startswith("tensorflow-datasets tiny_reviews")
    assert data.is_texts("tiny_reviews", "text")
    assert not data.is_texts("tiny_reviews")
    with pytest.raises(ValueError, match=r"`text_column` must be a feature of strings of .* label, text\. .*'label'"):
        data.load_texts("tiny_reviews", text_column="label", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"must have a feature 'image'.*--text_column=text takes its texts"):
        data.load("tiny_reviews", data_dir=tmp_path)
    with pytest.raises(ValueError, match="Looked for a prepared data set 'other'"):
        data.load_texts("other", text_column="text", data_dir=tmp_path)
