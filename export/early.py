"""Modules of keras_vae that need no TensorFlow, for what is answered before it is imported."""

import importlib.util
import pathlib
import sys
import types


def load(name: str) -> types.ModuleType:
    """Returns the module `keras_vae.NAME` without importing keras_vae, which brings TensorFlow and takes seconds.

    It is the module that `import keras_vae.NAME` gives afterwards.
    """
    full = f"keras_vae.{name}"
    if full not in sys.modules:
        package = pathlib.Path(importlib.util.find_spec("keras_vae").origin).parent
        spec = importlib.util.spec_from_file_location(full, package / f"{name}.py")
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]
