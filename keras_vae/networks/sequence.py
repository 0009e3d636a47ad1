"""The trunk of an encoder of texts."""

import keras

from keras_vae.utils.arguments import PositiveInt, checked


@checked
def sequence_encoder(
    vocabulary_size: PositiveInt,
    units: PositiveInt = 256,
    embedding_dim: PositiveInt = 128,
    name: str | None = None,
) -> keras.Sequential:
    """Returns a trunk that reads a text forwards and backwards: embeddings, then a bidirectional GRU.

    The places after the end of a text, which hold token 0, are not read.

    Args:
      vocabulary_size: number of different tokens, token 0 among them.
      units: width of the GRU in each direction.
      embedding_dim: width of the embedding of a token.
      name: name of the model.

    Returns:
      A `keras.Sequential`, int `(batch, length)` -> `(batch, 2 * units)`: the last state of each direction.
    """
    layers = [
        keras.layers.Embedding(vocabulary_size, embedding_dim, mask_zero=True),
        keras.layers.Bidirectional(keras.layers.GRU(units)),
    ]
    return keras.Sequential(layers, name=name)
