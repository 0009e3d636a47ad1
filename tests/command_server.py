"""Forks processes that run commands of Python, with the slow imports done; `commands.py` starts it and talks to it.

It reads a line of JSON for each order from stdin and answers with a line. An order to begin says what `python` would
be given and where, and is answered with the number of the process; an order to wait is answered with its exit code.

TensorFlow is imported here but nothing is computed, so that no thread runs that a fork would lose.
"""

import importlib
import json
import os
import runpy
import sys

from keras_vae.utils import console


def begin(order: dict) -> None:
    """Makes this forked process what `python *order["arguments"]` would be."""
    for number, path in enumerate((os.devnull, order["stdout"], order["stderr"])):
        os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    first, *rest = order["arguments"]
    if first == "-c":
        sys.path[0], sys.argv = "", ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.path[0], sys.argv = os.getcwd(), rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = os.path.dirname(first), [first, *rest]
        runpy.run_path(first, run_name="__main__")


def main() -> None:
    """Serves orders until stdin ends."""
    with console.without_search_for_garbage():
        for name in ("keras_vae.runs.training", "keras_vae.runs.evaluate", "export.exporter"):
            importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                begin(order)
                return  # and the process ends as any other does
        print(answer, flush=True)


if __name__ == "__main__":
    main()
