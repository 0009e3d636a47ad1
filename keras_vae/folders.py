"""Files and folders that get their name only when they are whole."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_UNFINISHED = ".unfinished-"


@contextlib.contextmanager
def written_whole(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields an empty folder beside `folder` to write to; when the block ends well, it takes the name `folder`.

    What had that name goes only when this has worked. When the block fails, nothing is left behind.
    """
    work = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield work
        work.chmod(0o755)
        _rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _rename(work: pathlib.Path, folder: pathlib.Path) -> None:
    old = work.with_name(f"{work.name}-old")
    if folder.exists():
        folder.rename(old)
    try:
        work.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def file_written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a name beside `path` to write a file to; when the block ends well, the file is on the disk as `path`.

    When the block fails, nothing is left behind, and what had that name is still there.
    """
    # Always the same for one path: what a kill leaves is overwritten by the next.
    work = path.with_name(f"{_UNFINISHED}{path.name}")
    try:
        yield work
        sync(work)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what kills in `file_written_whole` left in a folder to which nobody writes now."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink()


def sync(path: pathlib.Path) -> None:
    """Waits until a file is on the disk."""
    with path.open("r+b") as file:  # Windows syncs only what may be written
        os.fsync(file.fileno())
