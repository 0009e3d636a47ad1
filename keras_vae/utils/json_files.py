"""JSON files of a run directory, which may come from somebody else."""

import json
import os
import pathlib


def run_file(run_dir, name: str) -> pathlib.Path:
    """Returns the path of a file in a run directory, which may come from somebody else.

    Raises:
      ValueError: if it is no regular file (a pipe would be waited for), or a link that leads out of the directory.
    """
    path = pathlib.Path(run_dir) / name
    if not (_is_inside(path, run_dir) and path.is_file()):
        raise ValueError(f"{path} must be a regular file of the run, and no link that leads out of it")
    return path


def check_links(run_dir) -> None:
    """Raises `ValueError` if anything in a run directory is neither a folder nor a `run_file`: it may be written to."""
    for place, folders, names in os.walk(run_dir):
        for name in (*names, *folders):
            path = pathlib.Path(place, name)
            # Another process may have removed a file of its own since.
            if os.path.lexists(path) and (name in names or not _is_inside(path, run_dir)):
                run_file(run_dir, str(path.relative_to(run_dir)))


def _is_inside(path, folder) -> bool:
    try:
        return path.resolve().is_relative_to(pathlib.Path(folder).resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def read_json(path: pathlib.Path) -> dict:
    """Returns the dict in a JSON file of a run, of up to a megabyte.

    Raises:
      OSError: if it cannot be read.
      ValueError: if it holds anything else, or is no `run_file`.
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


_MAX_JSON_BYTES = 1 << 20
