"""Folders and files that the package writes: marked as its own, and given their name only when they are whole."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MARKER = ".keras_vae"
_MARKER_TEXT = "keras_vae wrote this folder. While this file is here, nothing in the folder is read as training data.\n"
_UNFINISHED = ".unfinished-"
_REPLACED = ".replaced-"


class BeingWrittenError(ValueError):
    """Another process is writing a folder."""


def mark(folder: pathlib.Path) -> None:
    """Writes the marker into a folder by which `is_own` knows that the package wrote it."""
    (folder / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")


def make_own(folder: pathlib.Path) -> None:
    """Makes a folder and marks it; a folder that exists already is not changed."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        mark(folder)


def is_own(folder: pathlib.Path) -> bool:
    """Returns whether the package wrote a folder, for example a run, its figures, an export or a folder for the Hub.

    Early versions wrote runs and Hub folders without the marker. These are recognized by their config.json and the
    files beside it.
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
    """Within this context no other process can lock the folder; the lock also ends when the process is killed.

    Raises:
      BlockingIOError: if another process has the lock.
      FileNotFoundError: if there is no such folder, or another process has replaced it in the meantime.
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
    """Yields an empty folder beside `folder` to write to; when the block ends well, it is renamed to `folder`.

    The folder is marked as the package's own. An earlier `folder` is removed only when the block has ended well; if it
    is a link, the link is removed and its target stays. If the block fails, nothing is left behind. If the process is
    killed, a hidden folder is left behind, which the next call for the same `folder` removes.

    Raises:
      BeingWrittenError: if another process is writing it.
      OSError: if it cannot be written.
    """
    # The name is always the same for one folder, so that the next call finds what a killed process has left.
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
            except FileNotFoundError:  # the other process has just ended and renamed its folder
                continue
            except BlockingIOError:
                raise BeingWrittenError(f"another process is writing {folder}: wait for its end") from None
            yield
            return


def _remove_link(path):
    """Removes a link with the name of an unfinished file or folder: a hostile run could have us write to its target."""
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
    """Finishes a `_rename` that was killed: removes the old folder if the new one is in place, else restores it."""
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
    """Yields a path beside `path` to write a file to; when the block ends well, the file is on the disk as `path`.

    If the block fails, nothing is left behind, and an earlier file `path` is unchanged.
    """
    # The name is always the same for one path, so that the next call overwrites what a killed process has left.
    work = path.with_name(f"{_UNFINISHED}{path.name}")
    _remove_link(work)
    try:
        yield work
        sync(work)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes the unfinished files that killed processes left in a folder; nobody may be writing to it now."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink()


def sync(path: pathlib.Path) -> None:
    """Waits until a file is on the disk."""
    with path.open("r+b") as file:  # Windows only syncs a file that is open for writing
        os.fsync(file.fileno())
