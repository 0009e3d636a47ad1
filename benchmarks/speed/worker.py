"""A worker process, which makes one contestant and calls the methods that the lines of standard input name.

python -m benchmarks.speed.worker MODULE:CLASS

Each line is a JSON object. The first one holds the arguments of the class, and each further one is {"call": NAME,
"arguments": {...}}. Every answer is one line on standard output: {"result": ...}, or {"missing": PACKAGE} if an import
fails. Everything that libraries print goes to standard error.
"""

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time


def peak_memory() -> float:
    """Returns the largest resident set of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def serve(path: str, requests, answers) -> None:
    """Makes the contestant `path` and answers requests until they end."""

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    arguments = json.loads(next(requests))
    module, name = path.split(":")
    start = time.perf_counter()
    try:
        cls = getattr(importlib.import_module(module), name)
        imported = time.perf_counter()
        contestant = cls(**arguments)
    except ModuleNotFoundError as error:
        return answer({"missing": error.name})
    answer(
        {
            "result": {
                "import_seconds": imported - start,
                "build_seconds": time.perf_counter() - imported,
                "versions": {package: importlib.metadata.version(package) for package in cls.packages},
                "python": sys.version.split()[0],
            }
        }
    )
    for line in requests:
        request = json.loads(line)
        if request["call"] == "peak_memory":
            answer({"result": peak_memory()})
        else:
            answer({"result": getattr(contestant, request["call"])(**request.get("arguments", {}))})
    return None


def main() -> None:
    """Keeps standard output for the answers alone, and serves requests from standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, answers)
    # `sys.exit` could hang, because a `fit` may still wait in its thread.
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
