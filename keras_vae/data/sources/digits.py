"""The source "digits": the 8x8 digits that come with scikit-learn."""

import importlib

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.data.splits import Splits


def read() -> Splits:
    """Returns 1797 gray images `(8, 8, 1)` of levels 0 to 16, presented in [0, 1], with labels int64 0 to 9.

    They are the test set of the UCI data set Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998).

    Raises:
      ValueError: if scikit-learn is not installed.
    """
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise ValueError(
            "Data set 'digits' comes with scikit-learn, which is not installed: pip install \"keras_vae[eval]\""
        ) from error
    bunch = datasets.load_digits()
    images = Examples(bunch.images.astype(np.uint8)[..., None], bunch.target.astype(np.int64), divisor=16.0)
    return Splits(images, source="scikit-learn's load_digits")
