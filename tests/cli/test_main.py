"""The command `keras-vae` and its command lines, which are read before TensorFlow is there."""

import contextlib
import subprocess
import sys

import pytest
from helpers import ROOT

import keras_vae
from keras_vae.cli import evaluate, hub, main
from keras_vae.runs import config


@pytest.mark.parametrize("text", ["0", "-1", "2147483648", "1" + "0" * 25, "9" * 5000, "1e308", "nan", "inf", "x", ""])
def test_a_number_of_samples_that_nobody_means_is_one_line_with_the_range(capsys, text):
    with pytest.raises(SystemExit) as end:
        evaluate.parser().parse_args(["run", f"--num_importance_samples={text}"])
    error = capsys.readouterr().err
    assert (end.value.code, error.count("\n")) == (2, 1)
    field = "`num_importance_samples` must be an integer from 1 to 1,000,000. Received: "
    assert error.startswith(f"error: argument --num_importance_samples: {field}")


def test_the_default_is_that_of_a_run_and_its_range_is_in_the_help():
    arguments = evaluate.parser().parse_args(["run"])
    assert arguments.num_importance_samples == config.Config().num_importance_samples
    assert "an integer from 1 to 1,000,000 (default 500)" in " ".join(evaluate.parser().format_help().split())


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert evaluate.parser().parse_args(["~/run"]).run_dir == "/home/me/run"
    arguments = hub.parser().parse_args(["~/run", "~/hub"])
    assert (arguments.run_dir, arguments.folder) == ("/home/me/run", "/home/me/hub")


@pytest.mark.parametrize(
    ("words", "code", "out", "error"),
    [
        ([], 0, "usage: keras-vae COMMAND", ""),
        (["--help"], 0, "usage: keras-vae COMMAND", ""),
        (["--version"], 0, f"{keras_vae.__version__}\n", ""),
        (["tarin"], 2, "", "error: COMMAND must be one of train, evaluate, export, hub. Received: 'tarin'\n"),
        (["hub", "run", "folder", "more"], 2, "", "error: unrecognized arguments: more\n"),
        (["evaluate"], 2, "", "error: the following arguments are required: RUN_DIR\n"),
    ],
)
def test_the_first_word_says_which_command_runs(monkeypatch, capsys, words, code, out, error):
    monkeypatch.setattr(sys, "argv", ["keras-vae", *words])
    with pytest.raises(SystemExit) if code else contextlib.nullcontext() as end:
        main.main()
    assert code == (end.value.code if end else 0)
    said = capsys.readouterr()
    assert said.out.startswith(out)
    assert (said.err, bool(said.out)) == (error, bool(out))


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_helps_under_its_own_name_without_tensorflow(command):
    code = f"import sys; sys.argv = ['keras-vae', {command!r}, '--help']\nfrom keras_vae.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\nassert not {'tensorflow', 'keras'} & set(sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "--" in result.stdout
