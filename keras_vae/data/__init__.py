"""Data: a name, folder or file -> train, validation and test sets in memory."""

from keras_vae.data.images import BINARIZATIONS, Images, binarize, dequantize
from keras_vae.data.loading import Dataset, load

__all__ = ["BINARIZATIONS", "Dataset", "Images", "binarize", "dequantize", "load"]
