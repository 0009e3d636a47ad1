"""Imports of libraries that are not always installed."""

import importlib
from typing import Any

from keras_vae.utils.arguments import checked


@checked
def library(module: str, extra: str, name: str = "") -> Any:
    """Returns a module of one of the package's extras, or raises `ImportError` that says how to get it.

    Args:
      module: the module to import.
      extra: the extra that installs it.
      name: what the library is called, if not like the module.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'this needs {name or module}: pip install "keras_vae[{extra}]"') from error


@checked
def scikit_learn(module: str) -> Any:
    """Returns a module of scikit-learn, or raises `ImportError` that says how to get it."""
    return library(f"sklearn.{module}", "eval", "scikit-learn")
