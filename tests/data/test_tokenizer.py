"""`data.Tokenizer`: texts -> tokens -> texts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae.data import Tokenizer

TEXTS = ["one two", "two  three", "na\u00efve \u20ac", ""]


def test_characters_come_back_as_they_were():
    tokenizer = Tokenizer.of(TEXTS)
    tokens = tokenizer.encode(TEXTS)
    assert (tokens.dtype, tokens.shape) == (np.int32, (4, len("two  three")))
    assert tokenizer.decode(tokens) == TEXTS
    assert tokenizer.size == 2 + len(set("".join(TEXTS)))
    assert not tokens[3].any()


def test_words_are_separated_by_white_space_and_rare_ones_are_unknown():
    tokenizer = Tokenizer.of(TEXTS, "words", max_vocabulary=2)
    assert tokenizer.vocabulary == ("two", "na\u00efve")
    assert tokenizer.encode(TEXTS).tolist() == [[1, 2], [2, 1], [3, 1], [0, 0]]
    assert tokenizer.decode(tokenizer.encode(TEXTS)) == ["<unk> two", "two <unk>", "na\u00efve <unk>", ""]


def test_words_of_the_vocabulary_are_known_whatever_white_space_separates_them():
    texts = ["a\u00a0b c\u2003d\te"]
    tokenizer = Tokenizer.of(texts, "words")
    assert tokenizer.encode(texts).tolist() == [[2, 3, 4, 5, 6]]
    assert tokenizer.lengths(texts).tolist() == [5]


def test_the_most_frequent_come_first_and_ties_are_sorted():
    for texts in (["bca", "cab", "aa"], ["aa", "bca", "cab"]):
        assert Tokenizer.of(texts).vocabulary == ("a", "b", "c")


def test_long_texts_are_cut_and_their_length_is_known():
    tokenizer = Tokenizer(["a", "b"], max_length=3)
    assert tokenizer.encode("abab").tolist() == [[2, 3, 2]]
    assert tokenizer.lengths(["abab", "", "a"]).tolist() == [4, 0, 1]
    assert tokenizer.decode([[2, 3, 2], [2, 0, 3]]) == ["aba", "a"]
    assert tokenizer.decode(np.zeros((0, 4), int)) == []
    assert tokenizer.decode(np.zeros((2, 0), int)) == ["", ""]
    assert tokenizer.unknown == {1}


@pytest.mark.parametrize("texts", [("a b", "b"), np.array(["a b", "b"]),
                                   tf.constant(["a b", "b"]), [b"a b", b"b"], np.array([b"a b", b"b"]),
                                   np.array(["a b", "b"], object)],
                         ids=lambda t: type(t).__name__)  # fmt: skip
def test_every_container_of_strings_is_a_list_of_texts(texts):
    tokenizer = Tokenizer.of(texts)
    assert tokenizer.vocabulary == ("b", " ", "a")
    assert tokenizer.encode(texts).tolist() == [[4, 3, 2], [2, 0, 0]]


def test_it_is_kept_in_a_config():
    tokenizer = Tokenizer.of(TEXTS, "words", max_vocabulary=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    assert again.get_config() == tokenizer.get_config()
    np.testing.assert_array_equal(again.encode(TEXTS), tokenizer.encode(TEXTS))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Tokenizer.of([""]), "`texts` must hold characters. Received: 1 texts without any"),
        (lambda: Tokenizer.of(["  "], "words"), "`texts` must hold words"),
        (lambda: Tokenizer.of([1, 2]), "`texts` must be a list of strings"),
        (lambda: Tokenizer.of(["a"], "syllables"), "`tokens` must be"),
        (lambda: Tokenizer.of(["a"], max_length=0), "`max_length` must be a positive integer"),
        (lambda: Tokenizer([]), "`vocabulary` must hold at least one"),
        (lambda: Tokenizer(["a", "a"]), "`vocabulary` must hold each character or word once"),
        (lambda: Tokenizer(["a"]).decode([1, 2]), r"`tokens` must have shape \(count, length\)"),
        (lambda: Tokenizer(["a"]).decode(np.zeros((0,), int)), r"`tokens` must have shape \(count, length\)"),
        (lambda: Tokenizer(["a"]).decode(np.array([], str)), "`tokens` must be an array of numbers"),
        (lambda: Tokenizer(["a"]).encode(np.array([["a", "b"]])), "`texts` must be a list of strings"),
        (lambda: Tokenizer(["a"]).encode([b"a", b"na\xefve"]), "`texts` must be strings, or bytes that are UTF-8. "
         "Received: byte 0xef at place 2 of text 1"),
        (lambda: Tokenizer(["a"]).decode([[1, 3]]), "`tokens` must be integers from 0 to 2"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_error(make, words):
    with pytest.raises(ValueError, match=words):
        make()
