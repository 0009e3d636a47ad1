"""The latency and memory of a file on this machine, measured in a process of its own."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

NUM_THREADS = (1, 4)
WARM_UP, NUM_CALLS = 5, 50


def measure(path: str | os.PathLike, signature: str) -> dict:
    """Returns the latency of one call of a signature of a TFLite file in LiteRT, and the memory it takes.

    Returns:
      Dict with `latency_ms` (number of threads as text -> median in milliseconds) and `peak_memory_kb`, the amount by
      which loading and running the file raises the peak of the process.

    Raises:
      RuntimeError: if the file cannot be run.
    """
    # By its path, because by its name it would be looked for in an export.py of the user's first. -P keeps the other
    # files of this folder out of the path of imports.
    command = [sys.executable, "-P", __file__, str(path), signature]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{path} cannot be measured: {(result.stderr.strip().splitlines() or ['killed'])[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def _reset_peak() -> None:
    # This file exists on Linux only. Elsewhere the peak is that of the process from its start.
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def _peak_kb() -> int:
    """Returns the largest resident size of this process in kB; on Linux it is the largest since `_reset_peak`."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
    import resource  # Windows has no such module, so it is imported only here

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def _latency_ms(path: str, signature: str, num_threads: int) -> float:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path, num_threads=num_threads).get_signature_runner(signature)
    random = np.random.default_rng(0)
    inputs = {
        name: random.random(detail["shape"]).astype(detail["dtype"])
        for name, detail in runner.get_input_details().items()
    }
    seconds = []
    for _ in range(WARM_UP + NUM_CALLS):
        started = time.perf_counter()
        runner(**inputs)
        seconds.append(time.perf_counter() - started)
    return 1e3 * statistics.median(seconds[WARM_UP:])


def _main(path: str, signature: str) -> None:
    # The import comes before the first look at the memory, because the runtime's own memory is not the file's.
    import ai_edge_litert.interpreter  # noqa: F401

    _reset_peak()
    before = _peak_kb()
    first = _latency_ms(path, signature, NUM_THREADS[0])
    peak = _peak_kb() - before
    latency = {str(NUM_THREADS[0]): first}
    latency |= {str(n): _latency_ms(path, signature, n) for n in NUM_THREADS[1:]}
    print(json.dumps({"latency_ms": latency, "peak_memory_kb": peak}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
