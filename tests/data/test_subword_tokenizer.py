"""Texts in the tokens of a trained tokenizer of `tokenizers` or SentencePiece."""

import io
import sys

import keras
import numpy as np
import pytest
import sentencepiece
import tokenizers
from texts import NETWORKS, make_text_vae
from trained_tokenizers import TRAINED

import keras_vae as kv
from keras_vae.runs import build
from keras_vae.runs.config import Config

TEXTS = ["the cat sees the dog", "a dog sees a cat", "the bird sings", "no bird sees the cat"] * 6


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tokenizer of each library, trained on a few texts, with what the library makes of the first."""
    folder = tmp_path_factory.mktemp("tokenizers")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer, bpe.decoder = tokenizers.pre_tokenizers.Metaspace(), tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=40, special_tokens=["<unk>", "<s>"], show_progress=False, max_token_length=6
    )
    bpe.train_from_iterator(TEXTS, trainer)
    # A file may ask for tokens around a text and for a length, which are not those of our rows.
    bpe.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    bpe.enable_truncation(3)
    bpe.save(str(folder / "bpe.json"))
    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=proto, vocab_size=20, minloglevel=2
    )
    (folder / "sp.model").write_bytes(proto.getvalue())
    bpe.no_truncation()
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.getvalue())
    return {
        "bpe.json": (folder / "bpe.json", bpe.encode(TEXTS[0], add_special_tokens=False).ids),
        "sp.model": (folder / "sp.model", processor.encode(TEXTS[0])),
    }


@pytest.mark.parametrize("name", ["bpe.json", "sp.model"])
def test_its_tokens_are_those_of_the_library_after_the_end_and_the_unknown(files, name):
    path, numbers = files[name]
    tokenizer = kv.data.SubwordTokenizer.of_file(path, max_length=40)
    rows = tokenizer.encode(TEXTS)
    assert rows[0].tolist() == [number + 2 for number in numbers] + [0] * (40 - len(numbers))
    assert len(numbers) > 3
    assert tokenizer.lengths(TEXTS[:1]).tolist() == [len(numbers)]
    assert tokenizer.decode(rows) == TEXTS
    assert tokenizer.decode(np.zeros((1, 4), np.int32)) == [""]
    assert rows.max() < tokenizer.size == 2 + len(tokenizer.vocabulary)
    (cut,) = kv.data.SubwordTokenizer.of_file(path, max_length=3).encode(TEXTS[0])
    np.testing.assert_array_equal(cut, rows[0, :3])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bpe.json", "sp.model"])
def test_a_model_keeps_it(files, name, tmp_path):
    tokenizer = kv.data.SubwordTokenizer.of_file(files[name][0], max_length=24)
    vae = make_text_vae(network=NETWORKS["gru"](tokenizer.size), tokenizer=tokenizer)
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(TEXTS, batch_size=8, verbose=0)
    vae.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.generate(4, seed=7) == vae.generate(4, seed=7)
    assert loaded.tokenizer.get_config() == tokenizer.get_config()


def test_load_texts_and_runs_take_its_file(files, tmp_path):
    path = str(files["sp.model"][0])
    (tmp_path / "a.txt").write_text("\n".join(TEXTS) + "\n")
    dataset = kv.data.load_texts(tmp_path / "a.txt", tokens=path)
    assert type(dataset.tokenizer) is kv.data.SubwordTokenizer
    assert dataset.event_shape == (max(dataset.tokenizer.lengths(TEXTS)),)
    assert set(dataset.tokenizer.decode(dataset.train.values)) <= set(TEXTS)
    limit = int(np.median(dataset.tokenizer.lengths(TEXTS)))
    short = kv.data.load_texts(tmp_path / "a.txt", tokens=path, max_length=limit, on_long_text="drop")
    assert set(short.tokenizer.decode(short.train.values)) <= {
        text for text in TEXTS if short.tokenizer.lengths([text])[0] <= limit
    }
    config = Config(dataset=str(tmp_path / "a.txt"), tokens=path, text_units=8, embedding_dim=4)
    vae = build.build_model(config, build.load_data(config))
    assert vae.tokenizer.get_config() == dataset.tokenizer.get_config()
    with pytest.raises(ValueError, match="`max_vocabulary` must be None for the file of a tokenizer"):
        kv.data.load_texts(tmp_path / "a.txt", tokens=path, max_vocabulary=9)
    with pytest.raises(ValueError, match="`tokens` must be 'characters', 'words' or the file of a tokenizer"):
        kv.data.load_texts(tmp_path / "a.txt", tokens="syllables")


@pytest.mark.parametrize("content", [b"{}", b"no model", b""])
def test_a_file_that_holds_none_is_one_error(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"must be the .json of `tokenizers` or a model of SentencePiece.*file"):
        kv.data.SubwordTokenizer.of_file(tmp_path / "file")
    with pytest.raises(ValueError, match=r"The file of a tokenizer cannot be read: .*missing"):
        kv.data.SubwordTokenizer.of_file(tmp_path / "missing")


@pytest.mark.parametrize(("name", "library"), [("bpe.json", "tokenizers"), ("sp.model", "sentencepiece")])
def test_without_the_library_the_extra_is_named(files, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'needs {library}: pip install "keras_vae\[text\]"'):
        kv.data.SubwordTokenizer.of_file(files[name][0])


@pytest.mark.parametrize(
    ("name", "text", "unknown"),
    [
        ("word_piece", "the [UNK] dog", {1, 3}),
        ("bpe_metaspace", "the <unk>ebra dog", {1, 2}),
        ("unigram", "the <unk>ebra dog", {1, 2}),
        ("sentencepiece", "the  \u2047 ebra dog", {1, 2}),
        ("byte_level", " the zebra dog", {1}),
        ("sentencepiece_bytes", "the zebra dog", {1, 2}),
    ],
)
def test_unknown_parts_keep_their_place_in_the_text(name, text, unknown):
    tokenizer = kv.data.SubwordTokenizer(TRAINED[name](), max_length=24)
    assert tokenizer.unknown == unknown
    rows = tokenizer.encode("the zebra dog")
    assert tokenizer.decode(rows) == [text]
    assert np.isin(rows, sorted(unknown)).any() == ("z" not in text)


def test_other_special_tokens_are_left_out():
    tokenizer = kv.data.SubwordTokenizer(TRAINED["word_piece"](), max_length=24)
    (row,) = tokenizer.encode("a cat")
    padding = tokenizer.names.index("[PAD]")
    assert tokenizer.decode([[padding, *row[:8]], [*row[:5], padding, 1, 0, 0]]) == ["a cat", "a cat"]
