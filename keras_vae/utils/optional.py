"""Imports of libraries that are not always installed."""

import importlib
from typing import Any

from keras_vae.utils.arguments import checked


@checked
def library(name: str, extra: str) -> Any:
    """Returns a library of one of the package's extras, or raises `ImportError` that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'this needs {name}: pip install "keras_vae[{extra}]"') from error


@checked
def scikit_learn(module: str) -> Any:
    """Returns a module of scikit-learn, or raises `ImportError` that says how to get it."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ImportError('this needs scikit-learn: pip install "keras_vae[eval]"') from error
