"""Smaller TFLite files of the same signatures: half precision and 8-bit weights.

All variants keep float32 inputs and outputs, so that an app can change from one to another. They leave the noise and
the prior as they are, so that a seed draws the same codes in every variant.
"""

import copy
import importlib
import re
from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.packing import pack, pack_model, unpack
from export.signatures import DRAW_MANY, Signatures

# The variant "int8" is the first of these schemes that costs no more nats than allowed.
INT8_SCHEMES = ("full_int8", "dynamic_int8", "weight_int8")
VARIANTS = ("float32", "float16", *INT8_SCHEMES, "int8")
NUM_CALIBRATION = 128
# Smaller constants stay float32, because the operation that makes them float32 again takes as much room as they save.
MIN_HALVED_BYTES = 1024


def check_variants(names: Collection[str]) -> tuple[str, ...]:
    """Returns the variants in order without repeats; float32 comes first, because the others are compared with it.

    Raises:
      ValueError: if a name is unknown.
    """
    unknown = [name for name in names if name not in VARIANTS]
    if unknown or not names:
        raise ValueError(f"`variants` must be some of {', '.join(VARIANTS)}. Received: {', '.join(names) or 'none'}")
    return tuple(dict.fromkeys(("float32", *names)))


def quantizer_module() -> Any:
    """Returns AI Edge Quantizer, or raises `ValueError` that says how to get it."""
    try:
        return importlib.import_module("ai_edge_quantizer")
    except ImportError as error:
        raise ValueError('int8 variants need AI Edge Quantizer: pip install "keras_vae[int8]"') from error


def to_float16(content: bytes, scopes: Collection[str]) -> bytes:
    """Returns a float32 file whose networks have half-precision weights, which become float32 before use.

    The converter has an option for this, but it would also round the constants of the noise and move the codes by 1e-3.

    Args:
      content: a float32 file with its tensors' names, not packed.
      scopes: names of the layers whose weights are stored in half precision.
    """
    model = unpack(content)
    regex = re.compile("|".join(map(_within, scopes)))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # DEQUANTIZE reads float16 from its version 3 on
    model.operatorCodes.append(code)
    for graph in model.subgraphs:
        inside = [o for o in graph.operators if regex.search(graph.tensors[o.outputs[0]].name.decode())]
        for index in sorted({index for operator in inside for index in operator.inputs if index >= 0}):
            weight = graph.tensors[index]
            data = model.buffers[weight.buffer].data
            if weight.type == schema.TensorType.FLOAT32 and data is not None and len(data) >= MIN_HALVED_BYTES:
                half, operator, stored = copy.copy(weight), schema.OperatorT(), schema.BufferT()
                stored.data = data.view(np.float32).astype(np.float16).view(np.uint8)
                half.type, half.buffer, weight.buffer = schema.TensorType.FLOAT16, len(model.buffers), 0
                operator.opcodeIndex = len(model.operatorCodes) - 1
                operator.inputs, operator.outputs = (np.array([i], np.int32) for i in (len(graph.tensors), index))
                model.buffers.append(stored)
                graph.tensors.append(half)
                graph.operators.insert(0, operator)
    return pack_model(model)


def _within(scope: str) -> str:
    """Returns a regular expression that matches the names of the tensors of a layer."""
    return rf"(^|[/;]){re.escape(scope)}(_\d+)?/"


def quantize(content: bytes, scheme: str, scopes: Collection[str], calibration: dict) -> bytes:
    """Returns a float32 file with 8-bit weights in its networks.

      weight_int8   int8 weights with a scale for each channel, made float32 before use: the most exact and slowest
      dynamic_int8  int8 arithmetic, for which activations are rounded as they come
      full_int8     int8 activations too, with ranges that `calibration` fixes

    Dense layers that compute in int8 have a single scale for each tensor. Runtimes before 2.15 misread a scale for each
    channel as a single one, and return wrong numbers without an error.

    Args:
      content: a float32 file with its tensors' names, not packed.
      scheme: one of `INT8_SCHEMES`.
      scopes: names of the layers whose operations are quantized.
      calibration: signature -> list of inputs; only full_int8 uses it.

    Raises:
      ValueError: for full_int8 if the file has a loop, inside of which the quantizer sees no values.
    """
    if scheme == "full_int8" and _has_loop(content):
        raise ValueError(
            "the ranges of activations cannot be calibrated inside of a loop, and this file draws values one after the "
            "other in one; use dynamic_int8 or weight_int8"
        )
    aeq = quantizer_module()
    worker = aeq.quantizer.Quantizer(bytearray(content))
    operations, granularity = aeq.qtyping.TFLOperationName, aeq.qtyping.QuantGranularity
    for scope in scopes:
        regex = _within(scope)
        dense = (regex, operations.FULLY_CONNECTED)
        if scheme == "weight_int8":
            worker.add_weight_only_config(regex, operations.ALL_SUPPORTED, 8)
        elif scheme == "dynamic_int8":
            worker.add_dynamic_config(regex, operations.ALL_SUPPORTED, 8)
            worker.add_dynamic_config(*dense, 8, granularity.TENSORWISE)
        else:
            worker.add_static_config(regex, operations.ALL_SUPPORTED, 8, 8)
            worker.add_static_config(*dense, 8, 8, weight_granularity=granularity.TENSORWISE)
    ranges = worker.calibrate(calibration, num_threads=1) if worker.need_calibration else None
    return pack(bytes(worker.quantize(ranges).quantized_model))


def _has_loop(content):
    loop = schema.BuiltinOperator.WHILE
    return any(loop in (code.builtinCode, code.deprecatedBuiltinCode) for code in unpack(content).operatorCodes)


def calibration_data(
    signatures: Signatures,
    names: Collection[str],
    batch_size: int,
    codes: np.ndarray,
    x: np.ndarray,
    condition: np.ndarray | None,
) -> dict:
    """Returns inputs for each signature: codes of training images and of the prior, and the images.

    Args:
      signatures: signatures of the model.
      names: names of the signatures in the file.
      batch_size: batch size of the file.
      codes: float array `(count, *latent_shape)`.
      x: images `(count, *event_shape)`.
      condition: `(count, condition_dim)` or None.
    """
    count = min(len(codes), len(x))
    data = {name: [] for name in names}
    for i in range(-(-count // batch_size)):
        part = np.arange(i * batch_size, (i + 1) * batch_size) % count
        values = {
            "x": x[part],
            "tokens": x[part],
            "z": codes[part],
            "z0": codes[part][:1],
            "z1": codes[-1 - i][None],
            "seed": np.int32(i),
            "steps": np.int32(8),
            "temperature": np.float32(1.0),
            "token_temperature": np.float32(1.0),
        }
        for name in names:
            # A call of `sample` decodes many codes at once, so that a few calls are enough.
            if name in DRAW_MANY and i >= 8:
                continue
            inputs = {key: np.asarray(values[key]) for key in signatures.inputs(name, batch_size) if key in values}
            if condition is not None:
                rows = signatures.inputs(name, batch_size)["condition"].shape[0]
                inputs["condition"] = np.resize(condition[part], (rows, condition.shape[1]))
            data[name].append(inputs)
    return data
