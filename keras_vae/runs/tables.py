"""Reading of metrics.csv and seconds.csv of a run, which have a header and a row of numbers for each epoch."""

import pathlib

from keras_vae.utils.atomic_files import file_written_whole

_COLUMNS = {"seconds.csv": "seconds", "metrics.csv": "the loss and its kin, each with and without val_"}


def read(path: pathlib.Path, epochs: int | None = None) -> dict[str, list[float]]:
    """Returns the columns of a table by their names.

    Args:
      path: the file, with a header that begins with `epoch` and rows for the epochs 0, 1, 2, ...
      epochs: number of rows that there must be; None accepts any number from 1 on.

    Raises:
      ValueError: if the file is missing or is no such table; the message names file and row.
    """
    names, rows = _parsed(path, _lines(path))
    if not rows or epochs not in (None, len(rows)):
        expected = "at least one" if epochs is None else epochs
        raise ValueError(f"{path} must have a row for each of {expected} epochs. Received: {len(rows)}")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def cut(path: pathlib.Path, epochs: int) -> None:
    """Removes all lines after the rows of the first `epochs` epochs, including a last line that a kill has cut short.

    Raises:
      ValueError: if rows of these epochs are missing or damaged; the message names file and row.
    """
    lines = _lines(path) if epochs else []
    if epochs and len(lines) <= epochs:
        raise ValueError(f"{path} must have a row for each of {epochs} epochs. Received: {max(0, len(lines) - 1)}")
    _parsed(path, lines[: epochs + 1])
    with file_written_whole(path) as work:
        work.write_bytes(b"".join(lines[: epochs + 1]))


def _lines(path):
    try:
        return path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def _parsed(path, lines):
    """Returns the names in the header and the rows as numbers."""
    if not lines:
        return [], []
    names = _cells(lines[0])
    if not _is_header(names, path.name) or not lines[0].endswith(b"\n"):
        raise ValueError(
            f"{path} must have a header: epoch, then {_COLUMNS[path.name]}. Received: row 0 {_shown(lines[0])}"
        )
    return names, [_row(path, epoch, names, line) for epoch, line in enumerate(lines[1:])]


def _is_header(names, file):
    if names[0] != "epoch" or file == "seconds.csv":
        return names == ["epoch", "seconds"]
    training = [name for name in names[1:] if not name.startswith("val_")]
    return "loss" in training and sorted(names[1:]) == sorted({*training, *(f"val_{name}" for name in training)})


def _row(path, epoch, names, line):
    try:
        numbers = [float(cell) for cell in _cells(line)]
    except ValueError:
        numbers = []
    if len(numbers) != len(names) or numbers[0] != epoch or not line.endswith(b"\n"):
        raise ValueError(
            f"{path} must have epoch {epoch} and {len(names) - 1} more numbers in row {epoch + 1}, a whole line. "
            f"Received: {_shown(line)}"
        )
    return numbers


def _cells(line):
    return line.decode("utf-8", "replace").rstrip("\r\n").split(",")


def _shown(line):
    text = line[:80].decode("utf-8", "replace").rstrip("\r\n")
    return repr(text) + ("..." if len(line) > 80 else "")
