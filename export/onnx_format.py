"""SavedModel functions -> ONNX files, and their runtime; needs `pip install "keras_vae[onnx]"`.

An ONNX file holds one graph, whose outputs are all computed at each call. It cannot hold several signatures as a TFLite
file can. There are therefore two files, each of which runs on its own:

  decoder.onnx   decode(z)                  -> mean      any batch size
  sampler.onnx   sample(seed, temperature)  -> mean, z   num_samples pictures, those of `vae.sample`

For a model of texts they hold its `decode` and `generate` of `export.signatures`, with their names.

The noise needs no rewriting: ONNX adds and multiplies `uint32` modulo 2^32, shifts it and, from operator set 18 on, has
xor for it.
"""

import contextlib
import importlib
import logging as std_logging
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import logging

from export.errors import ExportError
from export.model_card import size_in_bytes
from export.signatures import Signatures, names_of
from export.verification import Parity
from keras_vae.models.vae import VAE

DECODER, SAMPLER = FILES = ("decoder.onnx", "sampler.onnx")
# This is the first operator set with BitwiseXor. Every onnxruntime from 1.14 (2023) on runs it.
OPSET = 18
_QUIET = 4  # onnxruntime logs only fatal errors; it raises others as exceptions anyway


def check_installed() -> None:
    """Raises `ImportError` if the packages of the extra are not there."""
    for name in ("onnx", "onnxruntime", "tf2onnx"):
        _optional(name)


def _optional(name: str) -> Any:
    """Returns a module of the extra."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'ONNX needs further packages: pip install "keras_vae[onnx]" ({error})') from error


def write(vae: VAE, folder: str | os.PathLike, num_samples: int) -> dict:
    """Writes `decoder.onnx` and `sampler.onnx` to `folder`, runs both in onnxruntime and compares them with Keras.

    Args:
      vae: the model.
      folder: folder to write to, which must exist.
      num_samples: how many pictures one call of `sample` draws.

    Returns:
      File -> dict with its `bytes`, and under `signatures` what `Parity.check` says of its one signature.

    Raises:
      ExportError: if the model needs an operation that ONNX or onnxruntime does not have, or differs from Keras.
      ImportError: if the packages of the extra are not there.
    """
    check_installed()
    folder = pathlib.Path(folder)
    signatures = Signatures(vae, num_samples)
    texts = vae.decoder.likelihood.has_lengths
    file_of = {"decode": DECODER, names_of(vae).draw if texts else "sample": SAMPLER}
    for name, file in file_of.items():
        (folder / file).write_bytes(convert(signatures, name))
    try:
        run = runner(folder)
        parity = Parity(run, vae, num_samples, batch_size=64)
        figures = {name: parity.check(name) for name in file_of}
    except (RuntimeError, ValueError) as error:
        raise ExportError(str(error)) from error
    files = {}
    for name, file in file_of.items():
        size, found = size_in_bytes(folder / file), figures[name]
        files[file] = {"bytes": size, "signatures": {name: found}}
        logging.info("%s: %.2f MB, %s", file, size / 1e6, _difference(found))
    return files


def _difference(figures: dict) -> str:
    if "other_texts" in figures:
        return f"differs from Keras in {figures['other_texts']} texts"
    return f"differs from Keras by at most {figures['max_difference']:.1g}"


def convert(signatures: Signatures, name: str, batch_size: int | None = None) -> bytes:
    """Returns an ONNX file with the signature `name`, float32; a `batch_size` of None accepts any.

    Raises:
      ExportError: if the model needs an operation that ONNX does not have; the message names it.
    """
    converter, loader = _optional("tf2onnx.convert"), _optional("tf2onnx.tf_loader")
    function = signatures.concrete([name], batch_size)[name]
    # The inputs are taken from the signature, because the graph's inputs also include what the function captures.
    positional, named = function.structured_input_signature
    inputs = {f"{spec.name}:0": spec.name for spec in (*positional, *named.values()) if spec is not None}
    # A concrete function returns the values of its dict in the order of their sorted names.
    outputs = dict(zip((tensor.name for tensor in function.outputs), sorted(function.structured_outputs), strict=True))
    try:
        with _quiet_converter():
            model, _ = converter.from_graph_def(
                loader.from_function(function, list(inputs), list(outputs)),
                name=name,
                input_names=list(inputs),
                output_names=list(outputs),
                tensors_to_rename={**inputs, **outputs},
                opset=OPSET,
                custom_op_handlers=_HANDLERS,
            )
    except Exception as error:  # the converter has no exception class of its own
        raise ExportError(f"ONNX conversion failed: {_first_line(error)}") from error
    _check_operations(model)
    _name_batch(model.graph)
    model.graph.name = name
    return model.SerializeToString()


def _log1p(graph, node, name, args):
    """Writes log1p(x) as log(1 + x), like the TFLite converter; for a small x its error is that of a float32 near 1."""
    options = {"shapes": [graph.get_shape(node.output[0])], "dtypes": [graph.get_dtype(node.output[0])]}
    graph.remove_node(name)
    one = graph.make_const(f"{name}_one", np.ones((), np.float32))
    total = graph.make_node("Add", [node.input[0], one.output[0]], **options)
    graph.make_node("Log", total.output, outputs=node.output, **options)


def _erfc(graph, node, name, args):
    """Writes erfc(x) as erf(-x) + 1, because ONNX has no erfc. TensorFlow uses it for the exact GELU.

    In a GELU -x is c u. It is written as u / (1/c), the form that onnxruntime recognizes and runs as one operation. For
    a small erfc the sum has the absolute error of a float32 near 1, which is good enough for an activation.
    """
    options = {"shapes": [graph.get_shape(node.output[0])], "dtypes": [graph.get_dtype(node.output[0])]}
    product = node.inputs[0]
    if product.type == "Mul" and product.inputs[0].type == "Neg" and product.inputs[1].is_const():
        scale = np.asarray(product.inputs[1].get_tensor_value(as_list=False), np.float32)
        divisor = graph.make_const(f"{name}_divisor", np.asarray(1 / scale))
        minus_x = graph.make_node("Div", [product.inputs[0].input[0], divisor.output[0]], **options)
    else:
        minus_x = graph.make_node("Neg", [node.input[0]], **options)
    graph.remove_node(name)
    erf = graph.make_node("Erf", minus_x.output, **options)
    one = graph.make_const(f"{name}_one", np.ones((), np.float32))
    graph.make_node("Add", [erf.output[0], one.output[0]], outputs=node.output, **options)


def _broadcast_args(graph, node, name, args):
    """Writes the shape to which two shapes broadcast as the shape of an expanded zero; TFP computes it at run time."""
    int64 = _optional("onnx").TensorProto.INT64
    shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(name)
    first, second = (graph.make_node("Cast", [size], attr={"to": int64}).output[0] for size in node.input)
    zeros = graph.make_node("ConstantOfShape", [first])
    expanded = graph.make_node("Expand", [zeros.output[0], second])
    found = graph.make_node("Shape", [expanded.output[0]])
    cast = {"attr": {"to": dtype}, "shapes": [shape], "dtypes": [dtype]}
    graph.make_node("Cast", [found.output[0]], outputs=node.output, **cast)


# The models need these operations of TensorFlow, which the converter does not know.
_HANDLERS = {"BroadcastArgs": (_broadcast_args, []), "Erfc": (_erfc, []), "Log1p": (_log1p, [])}


def _check_operations(model: Any) -> None:
    """Raises `ExportError` if the converter left operations in the file that only TensorFlow has."""
    defs = _optional("onnx.defs")
    unknown = sorted({node.op_type for node in model.graph.node if not defs.has(node.op_type, node.domain)})
    if unknown:
        raise ExportError(
            f"the model needs operations that ONNX does not have: {', '.join(unknown)}. "
            "Write that part of the model with other operations"
        )


def _name_batch(graph: Any) -> None:
    """Names the free first dimension of all inputs and outputs "batch", which says that they are equal."""
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim[:1]:
            if not dimension.HasField("dim_value"):
                dimension.dim_param = "batch"


@contextlib.contextmanager
def _quiet_converter():
    # The converter logs operations that it cannot convert and goes on, but `_check_operations` says so in one line.
    # TensorFlow logs that functions which the converter calls are deprecated.
    levels = {logger: logger.level for logger in map(std_logging.getLogger, ("tf2onnx", "tensorflow"))}
    for logger in levels:
        logger.setLevel(std_logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def runner(folder: str | os.PathLike, num_threads: int = 1) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a runner, as in `export.runtimes`, of the two files in `folder`, in onnxruntime on the CPU.

    Raises:
      ImportError: if the packages of the extra are not there.
      ValueError: if a file is missing, damaged or no ONNX file.
    """
    check_installed()
    sessions = {file: _session(pathlib.Path(folder) / file, num_threads) for file in FILES}
    # A graph has the name of its signature.
    file_of = {session.get_modelmeta().graph_name: file for file, session in sessions.items()}

    def run(signature, **inputs):
        session = sessions[file_of[signature]]
        # Inputs are cast to the dtype in the file, because a Python float would arrive as float64.
        dtypes = {node.name: np.int32 if "int32" in node.type else np.float32 for node in session.get_inputs()}
        try:
            values = session.run(None, {name: np.asarray(value, dtypes[name]) for name, value in inputs.items()})
        except Exception as error:  # onnxruntime's errors have no common class, see `_session`
            raise RuntimeError(f"{file_of[signature]} does not run in onnxruntime: {_first_line(error)}") from error
        return dict(zip((node.name for node in session.get_outputs()), values, strict=True))

    return run


def _session(path, num_threads):
    onnxruntime = _optional("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = _QUIET
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's dozen classes of errors have no common base but Exception
        raise ValueError(f"{path} cannot be run by onnxruntime: {_first_line(error)}") from error


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
