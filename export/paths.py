"""Checks of the paths of an export; this file imports nothing slow, so that a wrong path is reported at once."""

import os
import pathlib

from keras_vae.utils.json_files import run_file

# The strings of the tokens of a model of texts; `export.vocabulary` writes the file.
VOCABULARY = "vocabulary.json"


def check_run_dir(run_dir: str | os.PathLike, overwrite: bool) -> pathlib.Path:
    """Returns RUN_DIR/export; raises `ValueError` if RUN_DIR has no model, or an export that must not be replaced."""
    run_dir = pathlib.Path(run_dir)
    if not os.path.lexists(run_dir / "model.keras"):
        raise ValueError(f"RUN_DIR must hold a model.keras. Received: {run_dir}")
    run_file(run_dir, "model.keras")
    return check_target(run_dir / "export", overwrite)


def check_target(folder: str | os.PathLike, overwrite: bool) -> pathlib.Path:
    """Returns the folder to write; raises `ValueError` if it must not be replaced. A link is replaced, not followed."""
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"the export folder must not be a file. Received: {folder}")
    if os.path.lexists(folder) and not overwrite:
        raise ValueError(f"the export folder must not exist, or pass --overwrite. Received: {folder}")
    return folder
