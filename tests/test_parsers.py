"""The command lines that are read before TensorFlow is there."""

import sys

import pytest

from keras_vae import config, parsers


@pytest.mark.parametrize("text", ["0", "-1", "2147483648", "1" + "0" * 25, "9" * 5000, "1e308", "nan", "inf", "x", ""])
def test_a_number_of_samples_that_nobody_means_is_one_line_with_the_range(capsys, text):
    with pytest.raises(SystemExit) as end:
        parsers.evaluate().parse_args(["run", f"--num_importance_samples={text}"])
    error = capsys.readouterr().err
    assert (end.value.code, error.count("\n")) == (2, 1)
    field = "`num_importance_samples` must be an integer from 1 to 1,000,000. Received: "
    assert error.startswith(f"error: argument --num_importance_samples: {field}")


def test_the_default_is_that_of_a_run_and_its_range_is_in_the_help():
    arguments = parsers.evaluate().parse_args(["run"])
    assert arguments.num_importance_samples == config.Config().num_importance_samples
    assert "an integer from 1 to 1,000,000 (default 500)" in " ".join(parsers.evaluate().format_help().split())


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parsers.evaluate().parse_args(["~/run"]).run_dir == "/home/me/run"
    arguments = parsers.hub().parse_args(["~/run", "~/hub"])
    assert (arguments.run_dir, arguments.folder) == ("/home/me/run", "/home/me/hub")


def test_the_command_line_of_a_module_is_checked_before_it_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["-m", "run", "folder", "more"])
    parsers.check("training")  # it has none
    with pytest.raises(SystemExit):
        parsers.check("hub")
    assert capsys.readouterr().err == "error: unrecognized arguments: more\n"
