"""The runtimes of exported files: each makes a runner, which calls the signatures of a file on arrays.

A runner is called as `runner(signature, **inputs)` and returns a dict of arrays.
"""

import os
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


def saved_model_runner(folder: str | os.PathLike) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a runner of the SavedModel in `folder`."""
    loaded = tf.saved_model.load(str(folder))

    def run(signature, **inputs):
        outputs = loaded.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def litert_runner(path: str | os.PathLike, num_threads: int = 1) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a runner of a TFLite file in LiteRT.

    Raises:
      ValueError: if the file is missing, damaged or no TFLite file.
    """
    try:
        content = pathlib.Path(path).read_bytes()
        interpreter = Interpreter(model_content=content, num_threads=num_threads)
        runners = {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be run by LiteRT: {str(error).splitlines()[0]}") from error

    if not runners:
        raise ValueError(f"{path} cannot be run: it has no signatures, so it was not written by keras_vae")

    def run(signature, **inputs):
        runner = runners[signature]
        details = runner.get_input_details()
        return runner(**{name: _as_type(name, value, details[name]["dtype"]) for name, value in inputs.items()})

    return run


def _as_type(name, value, dtype):
    """Returns an input in the type that the file expects, because a Python float would arrive as float64."""
    given = np.asarray(value)
    with np.errstate(invalid="ignore"):  # NaN becomes some integer here, which the comparison below finds
        cast = given.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(cast, given):
        raise ValueError(f"`{name}` must be of type {np.dtype(dtype).name}. Received: {name}={value!r}")
    return cast
