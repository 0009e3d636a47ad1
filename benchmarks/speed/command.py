"""Times whole processes: a training command from start to finish, and imports."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import logging

from benchmarks.speed.processes import ROOT
from benchmarks.speed.rounds import wait_for_quiet

COMMAND = ("train.py", "--dataset=mnist", "--preset=quick", "--noexport")
IMPORTS = {
    "tensorflow, tensorflow_probability": "import tensorflow, tensorflow_probability",
    "keras_vae": "import keras_vae",
    "nothing": "pass",
}
# This program runs a command, and writes to a file when the first call of the training function has ended.
FIRST_STEP = """
import keras, runpy, sys, time
path, sys.argv = sys.argv[1], sys.argv[2:]
original = keras.callbacks.CallbackList.on_train_batch_end
def first(self, batch, logs=None):
    open(path, "w").write(repr(time.time()))
    keras.callbacks.CallbackList.on_train_batch_end = original
    return original(self, batch, logs)
keras.callbacks.CallbackList.on_train_batch_end = first
sys.path.insert(0, ".")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(arguments, **options) -> dict:
    """Runs Python with `arguments`; returns seconds, CPU seconds and peak memory in MB.

    Raises:
      RuntimeError: if the process fails; the message has its last line.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=errors, stderr=errors, **options
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").split("\n")
            raise RuntimeError(f"{' '.join(arguments[-4:])}: {next((x for x in reversed(lines) if x.strip()), '')}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }


def measure(settings) -> dict:
    """Returns seconds, memory and time to the first block of steps of the training command, and seconds of imports."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        stamp = pathlib.Path(folder, "stamp")
        for number in range(settings.command_rounds):
            wait_for_quiet(settings.patience)
            started = time.time()
            result = run(["-c", FIRST_STEP, str(stamp), *COMMAND, f"--run_dir={folder}/run{number}"])
            runs.append({**result, "seconds_to_first_block": float(stamp.read_text(encoding="utf-8")) - started})
    report = {"command": " ".join(("python", *COMMAND)), "rounds": runs}
    for key in runs[0] if runs else ():
        report[key] = statistics.median(one[key] for one in runs)
    report["imports"] = _imports(settings)
    logging.info("%s", {key: value for key, value in report.items() if key != "rounds"})
    return report


def _imports(settings):
    """Returns the median seconds of a process with each import; the first round only warms the file cache."""
    times = {name: [] for name in IMPORTS}
    for number in range(settings.rounds + 1):
        for name, source in IMPORTS.items():
            seconds = run(["-c", source])["seconds"]
            if number:
                times[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
