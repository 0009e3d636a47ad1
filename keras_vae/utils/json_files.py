"""Reading the JSON files of a run directory, which may have been made by somebody else to do harm."""

import json
import os
import pathlib

from keras_vae.utils.atomic_files import file_written_whole


def run_file(run_dir: str | os.PathLike, name: str) -> pathlib.Path:
    """Returns the path of a file in a run directory, after a check that it is safe to open.

    Raises:
      ValueError: if it is not a regular file (reading a pipe may wait forever), or if a link leads out of the
        directory.
    """
    path = pathlib.Path(run_dir) / name
    if not (_is_inside(path, run_dir) and path.is_file()):
        raise ValueError(f"{path} must be a regular file of the run, and no link that leads out of it")
    return path


def check_links(run_dir: str | os.PathLike[str]) -> None:
    """Raises `ValueError` unless all in a run directory are folders in it or pass `run_file`.

    A run that goes on writes to these files, and must not follow a link to a file elsewhere.
    """
    for place, folders, names in os.walk(run_dir):
        for name in (*names, *folders):
            path = pathlib.Path(place, name)
            # Another process may have removed a temporary file of its own since the folder was listed.
            if os.path.lexists(path) and (name in names or not _is_inside(path, run_dir)):
                run_file(run_dir, str(path.relative_to(run_dir)))


def _is_inside(path: pathlib.Path, folder: str | os.PathLike) -> bool:
    try:
        return path.resolve().is_relative_to(pathlib.Path(folder).resolve())
    except (OSError, RuntimeError):  # the links form a circle
        return False


def read_json(path: pathlib.Path) -> dict:
    """Returns the dict in a JSON file of a run; the file may have up to a megabyte.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it holds no dict or is too large, or if `run_file` refuses it.
    """
    with run_file(path.parent, path.name).open("rb") as file:
        text = file.read(_MAX_JSON_BYTES + 1)
    if len(text) > _MAX_JSON_BYTES:
        raise ValueError(f"{path} must have up to {_MAX_JSON_BYTES} bytes")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a dict. Received: {type(content).__name__}")
    return content


def write_json(path: pathlib.Path, content: dict) -> None:
    """Writes a dict as indented JSON; the file gets its name when it is whole."""
    with file_written_whole(path) as work:
        work.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


_MAX_JSON_BYTES = 1 << 20
