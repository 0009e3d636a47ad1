"""`train` and `export`, which are installed beside keras_vae under names that a user's own files may have too."""

import importlib.util
import pathlib

_BESIDE = pathlib.Path(__file__).parents[2]


def check_own(name: str) -> None:
    """Raises `ImportError` if `import name` would not find the module that came with keras_vae; imports nothing.

    Python looks in the working directory first for `python -m`, so that a user's `export.py` there hides `export`.

    Args:
      name: "train" or "export".
    """
    spec = importlib.util.find_spec(name)
    found = None if spec is None or spec.origin is None else pathlib.Path(spec.origin)
    own = (_BESIDE / f"{name}.py", _BESIDE / name / "__init__.py")
    if found is None or found.resolve() not in [path.resolve() for path in own]:
        raise ImportError(
            f"`{name}` must be the one that came with keras_vae, in {_BESIDE}. Received: {found or 'none'}. Rename "
            f"that file, or start `keras-vae` in another folder"
        )
