"""SIGTERM and SIGINT end a command, whatever becomes of the exception they raise; each in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from helpers import ROOT

from keras_vae.utils import signals

START = """
import hashlib, os, runpy, signal, sys, time, types, weakref
signals = types.SimpleNamespace(**runpy.run_path({path!r}))
space = signals.obeyed.__wrapped__.__globals__
space["AGAIN_SECONDS"], space["GRACE_SECONDS"] = {again}, {grace}

def strike():
    os.kill(os.getpid(), signal.{name})
    for _ in range(1000):  # here Python asks for signals
        pass

class Thing:
    def __del__(self):
        strike()
        print("dropped nothing")

def main():
{main}

with signals.obeyed(lambda: ". Go on"):
    main()
    print("the end")
"""


def run(main, number=signal.SIGTERM, again=0.2, grace=60.0):
    """Runs a program in the context; returns its result, and how many seconds it took."""
    main = textwrap.indent(textwrap.dedent(main), "    ")
    text = START.format(
        path=str(ROOT / "keras_vae/utils/signals.py"), name=number.name, main=main, again=again, grace=grace
    )
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=100)
    return result, time.monotonic() - started


@pytest.mark.parametrize("number", signals.NUMBERS)
@pytest.mark.parametrize(
    "main",
    [
        "strike()",
        "Thing()\ntime.sleep(90)",
        "x = Thing()\nx.me = x\ndel x\nimport gc\ngc.collect()\ntime.sleep(90)",
        "weakref.finalize(x := type('X', (), {})(), strike)\ndel x\ntime.sleep(90)",
        "try:\n    strike()\nexcept BaseException:\n    pass\ntime.sleep(90)",
        # An error that a library makes of the exception.
        "try:\n    strike()\nexcept BaseException:\n    raise RuntimeError('of a library')",
    ],
    ids=["plain", "del", "collected", "finalizer", "caught", "turned"],
)
def test_a_signal_is_never_lost(main, number):
    result, seconds = run(main, number)
    assert (result.returncode, result.stdout, seconds < 60) == (128 + number, "", True), result.stderr
    assert result.stderr == f"stopped by {number.name}. Go on\n"


@pytest.mark.parametrize(
    "main",
    [
        "while True:\n    try:\n        strike()\n    except BaseException:\n        pass",
        # A call that does not come back to Python, and lets other threads run.
        "import threading\nthreading.Timer(0.1, strike).start()\nhashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    ],
    ids=["always caught", "in a call"],
)
def test_after_the_time_of_grace_the_process_ends_wherever_it_is(main):
    result, seconds = run(main, again=0.1, grace=0.5)
    assert (result.returncode, result.stdout, seconds < 60) == (143, "", True), result.stderr
    assert result.stderr == "stopped by SIGTERM. Go on\n"


def test_a_second_signal_acts_like_the_first():
    result, _ = run("Thing()\nstrike()\nprint('not the end')", again=50.0)
    assert (result.returncode, result.stdout) == (143, "")
    assert result.stderr == "stopped by SIGTERM. Go on\n"


def test_what_is_half_written_goes(tmp_path):
    path = tmp_path / "half"
    main = f"open({str(path)!r}, 'w')\ntry:\n    strike()\nfinally:\n    time.sleep(0.1)\n    os.unlink({str(path)!r})"
    result, _ = run(main, again=30.0)
    assert (result.returncode, list(tmp_path.iterdir())) == (143, [])


def test_without_a_signal_all_is_as_before():
    result, _ = run("pass")
    assert (result.returncode, result.stdout, result.stderr) == (0, "the end\n", "")
    handlers, hook, wakeup = [signal.getsignal(number) for number in signals.NUMBERS], sys.unraisablehook, -1
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with contextlib.suppress(KeyError), signals.obeyed():
            assert signal.getsignal(signal.SIGTERM) not in handlers
            raise KeyError("another error")
    assert [signal.getsignal(number) for number in signals.NUMBERS] == handlers
    assert sys.unraisablehook is hook
    assert signal.set_wakeup_fd(-1) == wakeup
    end = time.monotonic() + 10
    while len(os.listdir("/proc/self/fd")) > descriptors:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nobody_who_reads_is_no_traceback():
    program = "sys.stderr.close()\nstrike()"
    result, _ = run(program)
    assert (result.returncode, result.stderr) == (143, "")
