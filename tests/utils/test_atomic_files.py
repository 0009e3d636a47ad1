"""Folders that get their name when they are whole, whatever killed the ones before."""

import os
import signal
import subprocess
import sys

import pytest

from keras_vae.utils import atomic_files


def write(folder, text="new"):
    with atomic_files.written_whole(folder) as work:
        (work / "file").write_text(text)


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("file")}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_marked_and_replaced_whole(tmp_path):
    for text in ("old", "new"):
        write(tmp_path / "export", text)
        assert content(tmp_path) == {"export/file": text}
        assert names(tmp_path / "export") == [atomic_files.MARKER, "file"]
        assert atomic_files.is_own(tmp_path / "export")
    assert names(tmp_path) == ["export"]
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "export").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_leaves_what_was_there(tmp_path):
    write(tmp_path / "export", "old")
    with pytest.raises(KeyError), atomic_files.written_whole(tmp_path / "export") as work:
        (work / "file").write_text({}["half"])
    assert content(tmp_path) == {"export/file": "old"}
    assert names(tmp_path) == ["export"]


KILLED = """
import os, pathlib, runpy, signal, types
space = runpy.run_path({path!r})
folders = space["written_whole"].__wrapped__.__globals__
rename = pathlib.Path.rename
def strike(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def rename_and_strike(*paths):
    rename(*paths)
    strike()
with space["written_whole"](pathlib.Path("export")) as work:
    (work / "file").write_text("half")
    {strike}
"""


@pytest.mark.parametrize(
    ("strike", "left", "kept"),
    [
        ("strike()", {".unfinished-export/file": "half", "export/file": "old"}, "old"),
        # After the first of two renamings, and after both.
        (
            "pathlib.Path.rename = rename_and_strike",
            {".unfinished-export/file": "half", ".replaced-export/file": "old"},
            "old",
        ),
        ("folders['_remove'] = strike", {"export/file": "half", ".replaced-export/file": "old"}, "half"),
    ],
    ids=["in the block", "between two names", "after"],
)
def test_what_a_kill_leaves_goes_with_the_next(tmp_path, strike, left, kept):
    write(tmp_path / "export", "old")
    text = KILLED.format(path=atomic_files.__file__, strike=strike)
    result = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert content(tmp_path) == left
    # If the next fails, the one that was whole has its name again.
    with pytest.raises(KeyError), atomic_files.written_whole(tmp_path / "export"):
        raise KeyError
    assert content(tmp_path) == {"export/file": kept}
    write(tmp_path / "export")
    assert content(tmp_path) == {"export/file": "new"}
    assert names(tmp_path) == ["export"]


def test_a_folder_that_another_process_is_writing_is_left_alone(tmp_path):
    with atomic_files.written_whole(tmp_path / "export") as work:
        (work / "file").write_text("first")
        with pytest.raises(ValueError, match=r"another process is writing .*export: wait for its end"):
            write(tmp_path / "export", "second")
    assert content(tmp_path) == {"export/file": "first"}


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    write(tmp_path / "elsewhere", "kept")
    (tmp_path / "export").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "export")
    assert not (tmp_path / "export").is_symlink()
    assert (content(tmp_path / "export"), content(tmp_path / "elsewhere")) == ({"file": "new"}, {"file": "kept"})
    assert names(tmp_path) == ["elsewhere", "export"]


def test_a_lock_is_of_the_folder_that_has_the_name(tmp_path):
    (tmp_path / "a").mkdir()
    real = os.stat

    def replaced(path, *args, **kwargs):
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        os.stat = real
        return real(path, *args, **kwargs)

    os.stat = replaced
    try:
        with pytest.raises(FileNotFoundError, match="replaced by another process"), atomic_files.locked(tmp_path / "a"):
            pytest.fail("locked another folder")
    finally:
        os.stat = real


def linked(tmp_path, name="link", to_nothing=False):
    """Returns a link and the folder that it leads to."""
    target = tmp_path / "target"
    if not to_nothing:
        target.mkdir()
        (target / "file").write_text("kept")
    (tmp_path / name).symlink_to(target)
    return tmp_path / name, target


def test_a_folder_takes_the_place_of_a_link_and_not_of_what_it_leads_to(tmp_path):
    link, target = linked(tmp_path)
    write(link)
    assert not link.is_symlink()
    assert (content(link), content(target)) == ({"file": "new"}, {"file": "kept"})
    assert names(tmp_path) == ["link", "target"]


def test_a_link_to_nothing_is_replaced_too(tmp_path):
    link, _ = linked(tmp_path, to_nothing=True)
    write(link)
    assert (names(tmp_path), content(link)) == (["link"], {"file": "new"})


def test_a_failure_leaves_the_link(tmp_path):
    link, target = linked(tmp_path)
    with pytest.raises(KeyError), atomic_files.written_whole(link):
        raise KeyError
    assert link.resolve() == target.resolve()
    assert names(tmp_path) == ["link", "target"]


def test_nothing_is_written_by_way_of_a_link_that_has_the_name_of_unfinished_work(tmp_path):
    _, target = linked(tmp_path, ".unfinished-export")
    write(tmp_path / "export")
    assert (content(tmp_path / "export"), content(target)) == ({"file": "new"}, {"file": "kept"})
    (tmp_path / ".unfinished-report.json").symlink_to(target / "file")
    with atomic_files.file_written_whole(tmp_path / "report.json") as work:
        work.write_text("new")
    assert (target / "file").read_text() == "kept"
    assert names(tmp_path) == ["export", "report.json", "target"]
