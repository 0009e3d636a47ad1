"""Smaller TFLite files: names that a device does not need are dropped, and equal data are stored once."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def pack(content: bytes) -> bytes:
    """Returns a smaller TFLite file that computes the same and can be read by old runtimes.

    Weights that lie behind the flatbuffer, where runtimes before 2.16 do not look, are moved into it. Names of tensors
    and of conversion tools are dropped. Equal shapes, scales and weights of several signatures are stored once.
    """
    return pack_model(unpack(content))


def pack_model(model: schema.ModelT) -> bytes:
    """Returns the packed file, as `pack` does, for a file that is unpacked to objects already."""
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = ""
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
        for operator in graph.operators:
            if operator.intermediates is not None and not len(operator.intermediates):
                operator.intermediates = None
            operator.mutatingVariableInputs = None
    for signature in model.signatureDefs:
        # If an int8 operation reads an output, the quantizer may have replaced the float output by its int8 copy.
        outputs = [output.tensorIndex for output in signature.outputs]
        model.subgraphs[signature.subgraphIndex].outputs = np.array(outputs, np.int32)
    _drop_buffers(model)
    builder = _SharingBuilder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(content: bytes) -> schema.ModelT:
    """Returns a TFLite file as objects, with all weights in its buffers."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # the format marks an empty buffer by the offset 1
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def _drop_buffers(model: Any) -> None:
    """Removes buffers without a constant, and those that no tensor refers to.

    Tensors without a constant then all refer to the first buffer, which the format requires to be empty.
    """
    # Converters write notes about themselves here. Only the lowest version of the runtime is of use to a device.
    model.metadata = [entry for entry in model.metadata or () if entry.name == b"min_runtime_version"]
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    used = {owner.buffer for owner in (*tensors, *model.metadata)}
    filled = {i for i, buffer in enumerate(model.buffers) if buffer.data is not None and len(buffer.data)}
    kept = [0, *sorted(used & filled - {0})]
    place = {old: new for new, old in enumerate(kept)}
    for tensor in tensors:
        tensor.buffer = place.get(tensor.buffer, 0)
    for entry in model.metadata:
        entry.buffer = place[entry.buffer]
    model.buffers = [model.buffers[i] for i in kept]


class _SharingBuilder(flatbuffers.Builder):
    """A builder that writes equal strings and equal vectors once; a flatbuffer may refer to one from many places."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written = {}

    def CreateString(self, s, encoding="utf-8", errors="strict"):
        return self._once(s, lambda: super(_SharingBuilder, self).CreateString(s, encoding, errors))

    def CreateNumpyVector(self, x):
        return self._once((x.dtype.str, x.tobytes()), lambda: self._written_aligned(x))

    def _written_aligned(self, x):
        if x.dtype == np.uint8:
            self.Prep(16, x.size)  # runtimes use constants in place, so the format wants them at multiples of 16
        return super().CreateNumpyVector(x)

    def _once(self, key, write):
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]
