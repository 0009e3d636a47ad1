"""Data sets: `load` turns a name, folder or file into training, validation and test examples in memory.

`Examples` holds the examples of one split and says how they are presented to a model. `Tokenizer` makes
tokens of texts.
"""

from keras_vae.data.dataset import Dataset
from keras_vae.data.examples import BINARIZATIONS, Examples
from keras_vae.data.loading import load
from keras_vae.data.loading_texts import is_texts, load_texts
from keras_vae.data.presentation import binarize, dequantize
from keras_vae.data.tokenizer import Tokenizer

__all__ = [
    "BINARIZATIONS",
    "Dataset",
    "Examples",
    "Tokenizer",
    "binarize",
    "dequantize",
    "is_texts",
    "load",
    "load_texts",
]
