"""What the commands share: nothing of TensorFlow on stderr, mistakes and full disks as one line."""

import errno
import os
import subprocess
import sys
import tempfile

import pytest
import tensorflow as tf

from keras_vae import command_line


class Other(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`x` must be 1. Received: 2"), "`x` must be 1. Received: 2"),
        (ImportError("pip install y"), "pip install y"),
        (Other("mine"), "mine"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file"), "No space left on device"),
        (tf.errors.ResourceExhaustedError(None, None, "out of memory\nin detail"), "out of memory"),
        (
            tf.errors.ResourceExhaustedError(None, None, "{{function_node __wrapped__A}} OOM [Op:A] name: "),
            "OOM",
        ),
    ],
)
def test_an_expected_error_is_one_line_with_exit_code_2(capsys, error, line):
    with pytest.raises(SystemExit) as end, command_line.one_line_errors(Other):
        raise error
    assert (end.value.code, capsys.readouterr().err) == (2, f"error: {line}\n")


def test_another_error_stays_what_it_is():
    with pytest.raises(Other), command_line.one_line_errors():
        raise Other
    with pytest.raises(KeyError), command_line.one_line_errors(Other):
        raise KeyError


def test_stderr_is_held_back_below_python_too_and_shown_when_it_fails(capfd):
    with command_line.stderr_held_back():
        os.write(2, b"noise")
    assert capfd.readouterr().err == ""

    def failing():
        with command_line.stderr_held_back():
            os.write(2, b"the reason")
            raise Other

    with pytest.raises(Other):
        failing()
    os.write(2, b", and on")
    assert capfd.readouterr().err == "the reason, and on"


def test_without_a_place_to_hold_it_stderr_is_as_it_was(capfd, monkeypatch):
    def full():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with command_line.stderr_held_back():
        os.write(2, b"noise")
    assert capfd.readouterr().err == "noise"


@pytest.mark.parametrize(
    ("argv", "words", "expected"),
    [
        (["-m"], ["python", "-m", "keras_vae.hub", "run"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["/site-packages/keras_vae/hub.py"], ["python", "-m", "keras_vae.hub"], False),
        (["train.py"], ["python", "train.py"], False),
        ([], ["python"], False),
    ],
)
def test_a_command_of_the_package_is_told_from_its_import(monkeypatch, argv, words, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", words)
    assert command_line.runs_a_module_of("keras_vae") == expected


def test_modules_that_are_loaded_early_are_those_of_the_package():
    code = (
        "import sys; from export import early; loaded = early.load('command_line'), early.load('presets')\n"
        "assert not {'tensorflow', 'keras_vae'} & set(sys.modules)\n"
        "from keras_vae import command_line, presets; assert loaded == (command_line, presets)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=200).returncode == 0
