"""TFLite files without what a device does not need: each string, vector and weight is stored once."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def pack(content: bytes) -> bytes:
    """Returns a TFLite file that computes the same, smaller, and readable by old runtimes.

    Weights that lie behind the flatbuffer, where runtimes before 2.16 do not look, are taken into it; names of tensors
    and of conversion tools go; equal shapes, scales and weights of several signatures become one.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 1 is an empty buffer
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
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
        # A quantiser may have put an int8 copy in the place of a float output that an int8 operation reads.
        outputs = [output.tensorIndex for output in signature.outputs]
        model.subgraphs[signature.subgraphIndex].outputs = np.array(outputs, np.int32)
    _drop_empty_buffers(model)
    builder = _SharingBuilder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _drop_empty_buffers(model) -> None:
    """Lets all tensors without a constant refer to the first buffer, which is empty by the format's rule."""
    kept = [i for i, buffer in enumerate(model.buffers) if i == 0 or (buffer.data is not None and len(buffer.data))]
    place = {old: new for new, old in enumerate(kept)}
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        tensor.buffer = place.get(tensor.buffer, 0)
    model.buffers = [model.buffers[i] for i in kept]
    # What converters noted of themselves; the least runtime version stays.
    model.metadata = [entry for entry in model.metadata or () if entry.name == b"min_runtime_version"]
    for entry in model.metadata:
        entry.buffer = place[entry.buffer]


class _SharingBuilder(flatbuffers.Builder):
    """A builder that writes equal strings and equal vectors once; a flatbuffer may refer to one from many places."""

    def __init__(self, size: int):
        super().__init__(size)
        self._written = {}

    def CreateString(self, s, encoding="utf-8", errors="strict"):
        return self._once(s, lambda: super(_SharingBuilder, self).CreateString(s, encoding, errors))

    def CreateNumpyVector(self, x):
        key = (x.dtype.str, x.tobytes())
        return self._once(key, lambda: super(_SharingBuilder, self).CreateNumpyVector(x))

    def _once(self, key, write):
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]
