"""Runs `python train.py` and the like, each in a process of its own, but without importing TensorFlow each time.

Most of what such a process takes are its imports. Tests of how a command begins, what it imports, and what TensorFlow
says meanwhile use `subprocess`.
"""

import functools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile

from helpers import ROOT


class Command:
    """A process that runs `python *arguments`, forked by the server.

    Args:
      arguments: a path of a program, "-m" and the name of a module, or "-c" and a text, and what follows it.
      cwd: its working directory.
    """

    def __init__(self, arguments, cwd="."):
        self._folder = tempfile.TemporaryDirectory()
        files = {name: pathlib.Path(self._folder.name, name) for name in ("stdout", "stderr")}
        for path in files.values():
            path.touch()
        self._files, self._arguments = files, [str(argument) for argument in arguments]
        order = {"arguments": self._arguments, "cwd": os.path.abspath(cwd), "environment": dict(os.environ)}
        self.pid = _ask({**order, **{name: str(path) for name, path in files.items()}}, 120)

    def send_signal(self, number):
        os.kill(self.pid, number)

    def result(self, timeout=300):
        """Waits for the end; returns a `subprocess.CompletedProcess`. After `timeout` seconds the process is killed."""
        try:
            code = _ask({"wait": self.pid}, timeout)
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            _answer(60)
            raise
        said = {name: path.read_text() for name, path in self._files.items()}
        self._folder.cleanup()
        return subprocess.CompletedProcess(self._arguments, code, **said)


def run(arguments, cwd=".", timeout=300):
    """Returns the `subprocess.CompletedProcess` of `python *arguments`."""
    return Command(arguments, cwd).result(timeout)


@functools.cache
def _server():
    command = [sys.executable, str(ROOT / "tests" / "command_server.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # It ends when this process does, with which the pipe to it is closed.
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _ask(order, timeout):
    _server().stdin.write(json.dumps(order) + "\n")
    return _answer(timeout)


def _answer(timeout):
    stdout = _server().stdout
    if not select.select([stdout], [], [], timeout)[0]:
        raise TimeoutError(f"no answer in {timeout} s")
    return int(stdout.readline())
