"""Folders and files that the package writes: known as its own, and under their name only when they are whole."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

MARKER = ".keras_vae"
_MARKER_TEXT = "keras_vae wrote this folder. While this file is here, nothing in the folder is read as training data.\n"
_UNFINISHED = ".unfinished-"
_REPLACED = ".replaced-"


def mark(folder: pathlib.Path) -> None:
    """Says in a folder that the package wrote it, for `is_own`."""
    (folder / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")


def make_own(folder: pathlib.Path) -> None:
    """Makes a folder and marks it; one that is there already stays as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        mark(folder)


def is_own(folder: pathlib.Path) -> bool:
    """Returns whether the package wrote a folder: a run, its figures, an export, an evaluation, one for the Hub.

    Versions without the marker wrote runs and Hub folders that are known by their config.json and what lies beside it.
    """
    if (folder / MARKER).is_file():
        return True
    config = folder / "config.json"
    if not (config.is_file() and any((folder / name).is_file() for name in ("metrics.csv", "model.keras"))):
        return False
    with config.open("rb") as file:
        return b'"latent_dim"' in file.read(1 << 16)


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Within this context no other process can lock the folder; the lock goes with the process.

    Raises:
      BlockingIOError: if another process has it.
      FileNotFoundError: if there is no such folder, or none any more.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            raise FileNotFoundError(f"{folder} was replaced by another process")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def written_whole(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields an empty folder beside `folder` to write to; when the block ends well, it takes the name `folder`.

    The folder is marked as the package's own. What had that name goes only when the block has worked (of a link, the
    link goes and what it leads to stays); when it fails, nothing is left behind. What a kill leaves is hidden, and goes
    with the next that is written to `folder`.

    Raises:
      ValueError: if another process is writing it.
      OSError: if it cannot be written.
    """
    # Always the same for one folder: so the next finds what a kill has left.
    work = folder.with_name(f"{_UNFINISHED}{folder.name}")
    with _claimed(work, folder):
        try:
            _mend(folder)
            _empty(work)
            mark(work)
            yield work
            _rename(work, folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


@contextlib.contextmanager
def _claimed(work, folder):
    """Makes the folder `work`, and keeps other processes from writing to it."""
    while True:
        _remove_link(work)
        work.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(work))
            except FileNotFoundError:  # the other process has just ended
                continue
            except BlockingIOError:
                raise ValueError(f"another process is writing {folder}: wait for its end") from None
            yield
            return


def _remove_link(path):
    """Removes what has the name of an unfinished file or folder and leads elsewhere, as in a hostile run."""
    if path.is_symlink():
        path.unlink()


def _empty(work):
    for path in work.iterdir():
        _remove(path)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _mend(folder):
    """Ends what a kill within `_rename` has left: what had the name goes if there is another, else it gets it back."""
    old = folder.with_name(f"{_REPLACED}{folder.name}")
    if os.path.lexists(folder):
        _remove(old)
    elif os.path.lexists(old):
        old.rename(folder)


def _rename(work, folder):
    old = folder.with_name(f"{_REPLACED}{folder.name}")
    if os.path.lexists(folder):
        folder.rename(old)
    try:
        work.rename(folder)
    except OSError:
        if os.path.lexists(old):
            old.rename(folder)
        raise
    _remove(old)


@contextlib.contextmanager
def file_written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a name beside `path` to write a file to; when the block ends well, the file is on the disk as `path`.

    When the block fails, nothing is left behind, and what had that name is still there.
    """
    # Always the same for one path: what a kill leaves is overwritten by the next.
    work = path.with_name(f"{_UNFINISHED}{path.name}")
    _remove_link(work)
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
