"""Folders that get their name only when they are whole."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


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
