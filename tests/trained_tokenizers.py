"""Small trained tokenizers of each kind, as the models that `SubwordTokenizer` takes."""

import base64
import io

import sentencepiece
import tokenizers

# These texts have accents, marks and a word in two parts, each of which some library joins in its own way.
PIECES = [
    "the cat sees the dog.",
    "a dog sees a cat, doesn't it",
    "the bird sings in the caf\u00e9",
    "no bird sees it",
] * 6


def _library(model, before, decoder, trainer, **options):
    """Returns the JSON text of a tokenizer of `tokenizers` that is trained on `PIECES`."""
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = before
    if decoder is not None:
        made.decoder = decoder
    made.train_from_iterator(PIECES, trainer(show_progress=False, **{"vocab_size": 60, **options}))
    return made.to_str()


def _sentencepiece(**options):
    """Returns a model of SentencePiece in Base64 that is trained on `PIECES`."""
    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(PIECES), model_writer=proto, minloglevel=2, hard_vocab_limit=False, **options
    )
    return base64.b64encode(proto.getvalue()).decode()


def _bpe(before, decoder, suffix=None, **options):
    unknown = {} if "initial_alphabet" in options else {"unk_token": "<unk>"}
    end = {} if suffix is None else {"end_of_word_suffix": suffix}
    model, special = tokenizers.models.BPE(**unknown, **end), ["<unk>" if unknown else "<s>"]
    return _library(model, before, decoder, tokenizers.trainers.BpeTrainer, special_tokens=special, **end, **options)


def _word_piece(cleanup=True):
    return _library(
        tokenizers.models.WordPiece(unk_token="[UNK]"),
        tokenizers.pre_tokenizers.BertPreTokenizer(),
        tokenizers.decoders.WordPiece(cleanup=cleanup),
        tokenizers.trainers.WordPieceTrainer,
        special_tokens=["[PAD]", "[UNK]"],
    )


_BEFORE, _DECODERS = tokenizers.pre_tokenizers, tokenizers.decoders
# name -> a function that makes the model of a `SubwordTokenizer`.
TRAINED = {
    "word_piece": _word_piece,
    "bpe_metaspace": lambda: _bpe(_BEFORE.Metaspace(), _DECODERS.Metaspace()),
    "bpe_no_decoder": lambda: _bpe(_BEFORE.Whitespace(), None),
    "bpe_suffix": lambda: _bpe(_BEFORE.Whitespace(), _DECODERS.BPEDecoder(), suffix="</w>"),
    "byte_level": lambda: _bpe(
        _BEFORE.ByteLevel(), _DECODERS.ByteLevel(), vocab_size=300, initial_alphabet=_BEFORE.ByteLevel.alphabet()
    ),
    "unigram": lambda: _library(
        tokenizers.models.Unigram(),
        _BEFORE.Metaspace(),
        _DECODERS.Metaspace(),
        tokenizers.trainers.UnigramTrainer,
        unk_token="<unk>",
        special_tokens=["<unk>"],
    ),
    "sentencepiece": lambda: _sentencepiece(vocab_size=40),
    "sentencepiece_bytes": lambda: _sentencepiece(vocab_size=300, byte_fallback=True, model_type="bpe"),
    # This decoder drops repeated pieces, which no rule of vocabulary.json does.
    "without_a_rule": lambda: _bpe(_BEFORE.Whitespace(), _DECODERS.CTC()),
}
