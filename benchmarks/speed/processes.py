"""Worker processes, of which only one works at a time, and the load of other processes meanwhile."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


class WorkerError(RuntimeError):
    """A worker failed; the message is the last line that it wrote."""


class MissingError(RuntimeError):
    """A worker cannot start, because its interpreter or a package is missing."""


class Worker:
    """One contestant in a process of its own (see `worker.py`).

    Args:
      python: the interpreter.
      path: MODULE:CLASS of the contestant.
      **arguments: arguments of the class.

    Raises:
      MissingError: if the interpreter or a package is missing.
      WorkerError: if the process fails.
    """

    def __init__(self, python: str, path: str, **arguments):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
        try:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.speed.worker", path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=ROOT,
                env=environment,
                text=True,
            )
        except OSError as error:
            raise MissingError(f"{python} cannot be run: {error.strerror}") from None
        try:
            self.facts = self._ask(arguments)
        except BaseException:
            self.close()
            raise

    def call(self, name: str, **arguments):
        """Calls a method of the contestant; returns its result."""
        return self._ask({"call": name, "arguments": arguments})

    def timed(self, name: str, **arguments) -> dict:
        """Calls a method that returns a dict; adds `others`, the cores that other processes used meanwhile."""
        before, start = self._counters(), time.perf_counter()
        result = self.call(name, **arguments)
        seconds, after = time.perf_counter() - start, self._counters()
        others = [b - a for a, b in zip(before, after, strict=True)]
        return {**result, "others": round(max(0.0, (others[0] - others[1]) / seconds), 3)}

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):  # what a process that has ended did not read is written once more
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _ask(self, request):
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, which shows below as an answer without a line
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._last_line())
        answer = json.loads(line)
        if "missing" in answer:
            raise MissingError(f"package {answer['missing']} is not installed")
        return answer["result"]

    def _last_line(self):
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"the process ended with code {code}"

    def _counters(self):
        """Returns the seconds of processor time used so far by the whole machine, and by the worker."""
        try:
            own = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            return 0.0, 0.0
        return machine_seconds(), (int(own[11]) + int(own[12])) / TICKS


def machine_seconds() -> float:
    """Returns the seconds of processor time used by all processes or taken by a hypervisor so far; 0 if unknown."""
    try:
        text = pathlib.Path("/proc/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq, stolen = map(int, text.split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + stolen) / TICKS
