"""Names of a package that are imported when they are first used (PEP 562)."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns `__getattr__` and `__dir__` of a package whose public names are imported at first use.

    Args:
      package: `__name__` of the package.
      homes: name -> the module that defines it, or that it is: "keras_vae.models.vae" for `VAE`, and
        "keras_vae.plotting" for `plotting`.
    """

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name])
        return module if homes[name].rpartition(".")[2] == name else getattr(module, name)

    return get, lambda: sorted(homes)
