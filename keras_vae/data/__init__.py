"""Data sets: `load` turns a name, folder or file into training, validation and test examples.

`Examples` holds the examples of one split, in memory or as `Rows` on the disk, and says how they are presented to a
model. `Tokenizer` makes tokens of texts.
"""

from typing import TYPE_CHECKING

from keras_vae.utils import lazy

if TYPE_CHECKING:
    from keras_vae.data.dataset import Dataset
    from keras_vae.data.examples import BINARIZATIONS, Examples
    from keras_vae.data.loading import load
    from keras_vae.data.loading_texts import is_texts, load_texts
    from keras_vae.data.presentation import binarize, dequantize
    from keras_vae.data.rows import Rows
    from keras_vae.data.subword_tokenizer import SubwordTokenizer
    from keras_vae.data.tokenizer import Tokenizer

__all__ = [
    "BINARIZATIONS",
    "Dataset",
    "Examples",
    "Rows",
    "SubwordTokenizer",
    "Tokenizer",
    "binarize",
    "dequantize",
    "is_texts",
    "load",
    "load_texts",
]

_HOMES = {
    "keras_vae.data.dataset": ["Dataset"],
    "keras_vae.data.examples": ["BINARIZATIONS", "Examples"],
    "keras_vae.data.loading": ["load"],
    "keras_vae.data.loading_texts": ["is_texts", "load_texts"],
    "keras_vae.data.presentation": ["binarize", "dequantize"],
    "keras_vae.data.rows": ["Rows"],
    "keras_vae.data.subword_tokenizer": ["SubwordTokenizer"],
    "keras_vae.data.tokenizer": ["Tokenizer"],
}
__getattr__, __dir__ = lazy.attach(__name__, {name: module for module, names in _HOMES.items() for name in names})
