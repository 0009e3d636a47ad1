"""Files of the user's that have the names of the package's own modules."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT

from keras_vae.utils.own_modules import check_own


@pytest.mark.parametrize("name", ["train", "export"])
def test_the_packages_own_modules_are_accepted(name):
    check_own(name)


@pytest.mark.parametrize("foreign", ["export.py", "export/__init__.py"])
def test_another_file_is_named_and_not_run(tmp_path, monkeypatch, foreign):
    path = tmp_path / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise RuntimeError('this file was run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "export"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError) as error:
        check_own("export")
    assert f"`export` must be the one that came with keras_vae, in {ROOT}. Received: {path}." in str(error.value)


def test_a_folder_of_that_name_is_no_module(tmp_path, monkeypatch):
    (tmp_path / "export").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    check_own("export")


@pytest.mark.parametrize(
    ("foreign", "words"),
    [
        ("export.py", ["-m", "train", "--dataset=mnist", "--run_dir=run"]),
        ("export.py", ["-m", "keras_vae.cli", "export", "run"]),
        ("train.py", ["-m", "keras_vae.cli", "train", "--dataset=mnist"]),
    ],
)
def test_a_command_beside_such_a_file_is_one_error(tmp_path, foreign, words):
    (tmp_path / foreign).write_text("print('this file was run')\n")
    # The flag -P is absent: Python puts the working directory first, and the path of the package after it.
    result = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert result.stderr.startswith(f"error: `{foreign[:-3]}` must be the one that came with keras_vae")
    assert str(tmp_path / foreign) in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [foreign]
