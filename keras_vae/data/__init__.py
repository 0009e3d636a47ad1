"""Data sets: `load` turns a name, folder or file into training, validation and test examples in memory.

`Images` holds the examples of one split and says how they are presented to a model.
"""

from keras_vae.data.images import BINARIZATIONS, Images
from keras_vae.data.loading import Dataset, load
from keras_vae.data.presentation import binarize, dequantize

__all__ = ["BINARIZATIONS", "Dataset", "Images", "binarize", "dequantize", "load"]
