"""What the commands share: nothing of TensorFlow on stderr, mistakes and full disks as one line, whatever the shell."""

import errno
import io
import logging as std_logging
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from helpers import ROOT

from keras_vae.utils import console

# Each with what it needs besides flags.
COMMANDS = {
    "train": (str(ROOT / "train.py"),),
    "export": ("-m", "export", "run"),
    "evaluate": ("-m", "keras_vae.cli", "evaluate", "run"),
    "hub": ("-m", "keras_vae.cli", "hub", "run", "folder"),
}


@pytest.mark.slow
def test_garbage_is_not_searched_for_in_what_tensorflow_brings():
    # Half a million objects, each time Python searches and when the process ends.
    text = (
        "import gc; from keras_vae.utils import console; console.quiet_tensorflow(); "
        "print(gc.isenabled(), gc.get_freeze_count() > 200_000, len(gc.get_objects()) < 50_000)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run((sys.executable, "-c", text), env=environment, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (0, "True True True\n"), result.stderr


class Other(Exception):
    pass


# As TensorFlow writes them.
GRAPH_ERROR = """Graph execution error:

Detected at node vae_1/dense_4/MatMul defined at (most recent call last):
  File "/here/train.py", line 20, in <module>

  File "/there/keras/src/trainers/trainer.py", line 399, in fit

{cause}
\t [[{{{{node vae_1/dense_4/MatMul}}}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, add report_tensor_allocations_upon_oom.
 [Op:__inference_f_33]"""
SEVERAL_ERRORS = """Graph execution error:

Detected at node A defined at (most recent call last):
<stack traces unavailable>
2 root error(s) found.
  (0) RESOURCE_EXHAUSTED:  OOM when allocating a tensor with shape[3]
\t [[{{node A}}]]
  (1) RESOURCE_EXHAUSTED:  another"""


def array_too_large():
    try:
        np.zeros((2**40, 2**10))
    except MemoryError as error:
        return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`x` must be 1. Received: 2"), "`x` must be 1. Received: 2"),
        (ImportError("pip install y"), "pip install y"),
        (Other("mine"), "mine"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file"), "No space left on device: file"),
        (tf.errors.ResourceExhaustedError(None, None, "out of memory\nin detail"), "out of memory"),
        (
            tf.errors.ResourceExhaustedError(None, None, "{{function_node __wrapped__A}} OOM [Op:A] name: "),
            "OOM",
        ),
        (
            tf.errors.ResourceExhaustedError(None, None, GRAPH_ERROR.format(cause="OOM when allocating shape[9]")),
            "OOM when allocating shape[9]",
        ),
        (tf.errors.ResourceExhaustedError(None, None, SEVERAL_ERRORS), "OOM when allocating a tensor with shape[3]"),
        (tf.errors.InternalError(None, None, "Graph execution error:\n"), "InternalError"),
        (MemoryError(), "out of memory"),
        (
            array_too_large(),
            "Unable to allocate 8.00 PiB for an array with shape (1099511627776, 1024) and data type float64",
        ),
    ],
)
def test_an_expected_error_is_one_line_with_exit_code_2(capsys, error, line):
    with pytest.raises(SystemExit) as end, console.one_line_errors(Other):
        raise error
    assert (end.value.code, capsys.readouterr().err) == (2, f"error: {line}\n")


def test_the_cause_in_a_graph_is_what_tensorflow_says_of_it():
    square = tf.function(lambda n: tf.matmul(tf.zeros((n, 1)), tf.zeros((1, n))), autograph=False)
    with pytest.raises(tf.errors.ResourceExhaustedError) as raised:
        square(tf.constant(10**7))
    assert len(str(raised.value).splitlines()) > 1
    assert console.cause(raised.value).startswith("OOM when allocating tensor with shape[10000000,10000000]")


def test_another_error_stays_what_it_is():
    with pytest.raises(Other), console.one_line_errors():
        raise Other
    with pytest.raises(KeyError), console.one_line_errors(Other):
        raise KeyError


def test_stderr_is_held_back_below_python_too_and_shown_when_it_fails(capfd):
    with console.stderr_held_back():
        os.write(2, b"noise")
    assert capfd.readouterr().err == ""

    def failing():
        with console.stderr_held_back():
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
    with console.stderr_held_back():
        os.write(2, b"noise")
    assert capfd.readouterr().err == "noise"


# As a shell starts them.


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder with a TensorFlow that cannot be imported, and a file of flags that is none."""
    folder = tmp_path_factory.mktemp("scratch")
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} was imported')")
    (folder / "binary").write_bytes(b"\xbd\x00\xff--epochs")
    return folder


def shell(command, flags, folder, after=""):
    """Runs a command before TensorFlow as a shell does, which reads `after`; returns exit code, stdout and stderr."""
    path = os.pathsep.join((str(folder), str(ROOT)))
    return subprocess.run(
        ["bash", "-c", f'"$@" {after}; exit ${{PIPESTATUS[0]}}', "-", sys.executable, *COMMANDS[command], *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("flags", "after", "code", "error"),
    [
        (["--help"], "| head -c 5", 0, ""),
        (["--help"], ">&-", 0, ""),
        (["--help"], ">/dev/full", 2, "error: stdout: No space left on device\n"),
        (["--nonsense"], "2>&-", 2, ""),
        (["--nonsense"], "2>/dev/full", 2, ""),
        (["--nonsense"], "<&- >&- 2>&-", 2, ""),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_closed_and_full_streams_are_no_traceback(scratch, command, flags, after, code, error):
    result = shell(command, flags, scratch, after)
    assert (result.returncode, result.stderr) == (code, error)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_flag_of_any_length_and_any_bytes_is_one_short_line(scratch, command):
    for flag in ("--" + "a" * 1000, "--x" + "y" * 50_000, "--new\nline\x1b[31m", "--\udcff"):
        result = shell(command, [flag], scratch)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
        assert result.stderr.startswith("error: ")
        assert len(result.stderr) < 2100
        assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--flagfile=binary", "--flagfile must be a text file with a flag on each line: 'utf-8' codec can't decode"),
        ("--flagfile=none", "Unable to open flagfile: [Errno 2] No such file or directory: 'none'"),
        ("--stderrthreshold=x", "--stderrthreshold must be one of"),
        ("--logger_levels=a:b", "Unknown level: 'b'"),
        ("--verbosity=x", "flag --verbosity=x: "),
        ("--profile_file=x/y", "Unknown command line flag 'profile_file'"),
    ],
)
@pytest.mark.parametrize("command", ["train", "export"])
def test_a_bad_value_of_a_flag_of_absl_is_one_line(scratch, command, flag, message):
    result = shell(command, [flag], scratch)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"error: {message}")


def test_the_home_folder_is_meant_by_a_tilde_in_any_flag(scratch):
    home = scratch / "home"
    (home / "run").mkdir(parents=True)
    result = shell("train", ["--run_dir=~/run/", "--noresume"], scratch)
    assert result.stderr.endswith(f"Received: {home / 'run'}\n")
    COMMANDS["other"] = ("-m", "export", "~/other")
    try:
        result = shell("other", [], scratch)
    finally:
        del COMMANDS["other"]
    assert result.stderr.endswith(f"Received: {home / 'other'}\n")
    assert not (scratch / "~").exists()


def test_names_are_escaped_in_a_log_and_the_program_s_own_text_is_not():
    record = std_logging.LogRecord("absl", 20, "f.py", 1, "read\n%s: %d of %s (%s), %.2g", None, None)
    record.args = ("a\nb\x1b[2J", 3, pathlib.Path("x\ty"), ValueError("\r\u202e"), np.float32(0.5))
    assert console._escape_names(record)
    assert record.getMessage() == "read\na\\nb\\x1b[2J: 3 of x\\ty (\\r\\u202e), 0.5"


def test_all_that_absl_logs_is_escaped(monkeypatch):
    handler, said = logging.get_absl_handler(), io.StringIO()
    monkeypatch.setattr(handler.python_handler, "stream", said)
    console.start()
    logging.warning("see %s", "a\nerror: no\x07")
    assert said.getvalue().endswith("see a\\nerror: no\\x07\n")


@pytest.mark.parametrize(("printed", "between"), [("5/55 bar", "\n"), ("whole line\n", ""), ("", "")])
def test_an_error_begins_its_own_line_after_a_progress_bar(capfd, printed, between):
    def failing():
        with console.one_line_errors(), console.whole_lines():
            assert not sys.stdout.isatty()
            sys.stdout.write(printed)
            raise ValueError("stop")

    with pytest.raises(SystemExit):
        failing()
    assert "".join(capfd.readouterr()) == f"{printed}{between}error: stop\n"


def test_a_block_that_ends_well_prints_nothing_more(capsys):
    with console.whole_lines():
        sys.stdout.write("5/55 bar")
    assert capsys.readouterr().out == "5/55 bar"


@pytest.mark.parametrize(
    ("path", "level", "message", "shown"),
    [
        ("/lib/tensorflow/python/ops.py", std_logging.INFO, "a detail", False),
        ("/lib/tensorflow/python/ops.py", std_logging.WARNING, "a %s warning", True),
        ("/lib/tensorflow/python/ops.py", std_logging.WARNING, "6 of 8 %s triggered tf.function retracing", False),
        ("/lib/keras_vae/runs/training.py", std_logging.INFO, "a detail", True),
    ],
)
def test_logs_of_tensorflow_are_kept_to_what_a_user_can_act_on(path, level, message, shown):
    values = ("calls",) if "%" in message else ()
    record = std_logging.LogRecord("absl", level, path, 1, message, values, None)
    assert console._is_news(record) is shown
