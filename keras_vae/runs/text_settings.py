"""The settings of a run that act on texts alone: their tokens, and the networks that read and write them."""

import dataclasses

from keras_vae.runs.options import MANY, option

NUM_HEADS = 4


@dataclasses.dataclass(frozen=True)
class TextSettings:
    """The part of `Config` that is about texts. The settings of other data do nothing for them."""

    tokens: str = option(
        "characters",
        "what a text is made of: 'characters', 'words', which white space separates, or the file of a tokenizer of the "
        "library tokenizers (.json) or of SentencePiece; this and the settings that follow up to word_dropout act on "
        "texts",
    )
    max_length: int = option(0, "tokens of the longest text; 0 is the longest that there is", low=0, high=100_000)
    max_vocabulary: int = option(
        0, "characters or words that get a token, the most frequent; 0 is all of the training texts", low=0, high=MANY
    )
    on_long_text: str = option("cut", "what to do about texts of more than max_length tokens", choices=("cut", "drop"))
    text_column: str = option(
        "",
        "column of a .csv file, key of a .jsonl file, or feature of a data set of tensorflow-datasets, that holds the "
        "text",
    )
    text_network: str = option(
        "gru",
        "causal network of the decoder of texts: a recurrent one (gru, lstm), attention to the tokens before, or "
        "convolutions over the last of them",
        choices=("gru", "lstm", "transformer", "conv"),
    )
    text_encoder: str = option(
        "gru",
        "network of the encoder of texts: a recurrent one in both directions (gru, lstm), or attention of each token "
        "to all",
        choices=("gru", "lstm", "transformer"),
    )
    dilation_rates: tuple = option(
        (1, 2),
        "how far apart the three tokens are that each layer of text_network=conv reads, separated by commas; in all it "
        "sees 1 + 2 x their sum tokens, and must ask z for what came before",
        low=1,
        high=10_000,
        acts_with=("text_network", ("conv",)),
    )
    text_units: int = option(
        256,
        "width of the networks of texts; in a recurrent encoder that of both directions together",
        low=1,
        high=10_000,
    )
    embedding_dim: int = option(
        128,
        "width of the embedding of a token; that of a transformer is text_units",
        low=1,
        high=10_000,
        acts_with=[("text_network", ("gru", "lstm", "conv")), ("text_encoder", ("gru", "lstm"))],
    )
    word_dropout: float = option(
        0.0,
        "probability that a token is hidden from the decoder of texts in training, so that it must ask z (Bowman et "
        "al., 2016)",
        low=0,
        high=1,
    )

    def check_texts(self) -> None:
        """Raises `ValueError` if settings of texts, each of the right kind, do not fit together."""
        if "transformer" in (self.text_network, self.text_encoder) and self.text_units % NUM_HEADS:
            raise ValueError(
                f"`text_units` must be a multiple of {NUM_HEADS}, the heads of a transformer. "
                f"Received: {self.text_units}"
            )


# What texts have of their own, or cannot have.
NOT_FOR_TEXTS = (
    *("network", "hidden_units", "filters", "blocks", "activation", "likelihood", "likelihood_scale", "autoregressive"),
    *("causal_blocks", "causal_filters", "conditional", "data_kind", "image_size", "on_bad_image", "cache_dir"),
    *("background", "binarization", "dequantization", "image_grid_epochs"),
)
