"""Imports of libraries that are not always installed."""

import importlib
from typing import Any

from keras_vae.utils.arguments import checked


@checked
def scikit_learn(module: str) -> Any:
    """Returns a module of scikit-learn, or raises `ImportError` that says how to get it."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ImportError('this needs scikit-learn: pip install "keras_vae[eval]"') from error
