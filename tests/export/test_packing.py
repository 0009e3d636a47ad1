"""A packed file computes the same bits as before, and holds each weight once and no word too many."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from exporting import OPERATORS, content_of, make_conv_vae, model_of, num_bytes, stirred
from helpers import make_vae

from export import tflite, variants
from export.packing import pack, pack_model, unpack
from export.signatures import FILES, Signatures

UNPACKED = ("decode", "sample", "log_likelihood")


@pytest.fixture(scope="module", params=["dense", "conv"])
def unpacked(request):
    """A model and its decoder as the converter writes it, 4 pictures a call."""
    vae = stirred(make_vae() if request.param == "dense" else make_conv_vae())
    return vae, tflite.convert(Signatures(vae, 4), UNPACKED, 1)


def inputs_of(signature, vae):
    random = np.random.default_rng(0)
    z = random.normal(size=(1, vae.latent_dim)).astype(np.float32)
    x = random.integers(0, 2, (1, *vae.event_shape)).astype(np.float32)
    seed = {"seed": np.int32(7), "temperature": np.float32(1.0)}
    return {"decode": {"z": z}, "sample": seed, "log_likelihood": {"x": x, "z": z}}[signature]


def outputs(content, vae):
    interpreter = Interpreter(model_content=content)
    assert set(interpreter.get_signature_list()) == set(UNPACKED)
    return {
        f"{name} {key}": value
        for name in UNPACKED
        for key, value in interpreter.get_signature_runner(name)(**inputs_of(name, vae)).items()
    }


def assert_same_bits(first, second, vae):
    first, second = outputs(first, vae), outputs(second, vae)
    assert set(first) == set(second) == {"decode mean", "sample mean", "sample z", "log_likelihood log_likelihood"}
    for name, value in first.items():
        assert np.isfinite(value).all()
        assert value.tobytes() == second[name].tobytes()


def test_a_packed_file_computes_the_same_bits_and_is_smaller(unpacked):
    vae, content = unpacked
    assert_same_bits(content, pack(content), vae)
    # What goes is names and repetitions: of these small models more than half.
    assert len(pack(content)) < 0.7 * len(content)


def test_packing_twice_is_packing_once(unpacked):
    packed = pack(unpacked[1])
    assert pack(packed) == packed


@pytest.mark.parametrize("scheme", variants.INT8_SCHEMES)
def test_a_packed_variant_computes_the_same_bits_and_is_smaller(unpacked, scheme, monkeypatch):
    pytest.importorskip("ai_edge_quantizer")
    vae, content = unpacked
    random = np.random.default_rng(0)
    z = random.normal(size=(8, vae.latent_dim)).astype(np.float32)
    x = random.integers(0, 2, (8, *vae.event_shape)).astype(np.float32)
    calibration, seen = variants.calibration_data(Signatures(vae, 4), UNPACKED, 1, z, x, None), []

    def keep(before):
        seen.append(before)
        return pack(before)

    monkeypatch.setattr(variants, "pack", keep)
    packed = variants.quantize(content, scheme, (vae.encoder.name, vae.decoder.name), calibration)
    # As the quantizer leaves a file with int8 activations, LiteRT computes the outputs of a signature and forgets them.
    assert_same_bits(seen[0] if scheme != "full_int8" else with_outputs_of_signatures(seen[0]), packed, vae)
    assert len(packed) < 0.7 * len(seen[0])


def with_outputs_of_signatures(content):
    model = unpack(content)
    for signature in model.signatureDefs:
        indices = [output.tensorIndex for output in signature.outputs]
        model.subgraphs[signature.subgraphIndex].outputs = np.array(indices, np.int32)
    return written(model)


def written(model):
    """Returns a file as the plain builder writes it."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_weights_behind_the_flatbuffer_are_taken_into_it():
    vae = make_vae()
    packed = pack(tflite.convert(Signatures(vae, 1), ("decode",), 1))
    kernel = next(w for w in vae.decoder.get_weights() if w.shape == (3, 16)).T.tobytes()
    model = unpack(packed)
    (buffer,) = [b for b in model.buffers if b.data is not None and b.data.tobytes() == kernel]
    buffer.data, buffer.offset, buffer.size = None, 2, len(kernel)
    buffer.offset = len(written(model)) + -len(written(model)) % 16
    content = written(model).ljust(buffer.offset, b"\0") + kernel
    assert content.count(kernel) == pack(content).count(kernel) == 1
    assert [b.offset for b in model_of(content).buffers if b.offset] == [len(content) - len(kernel)]
    assert [b.offset for b in model_of(pack(content)).buffers if b.offset] == []
    z = np.ones((1, 3), np.float32)
    means = [
        Interpreter(model_content=file).get_signature_runner("decode")(z=z)["mean"]
        for file in (packed, content, pack(content))
    ]
    assert means[0].tobytes() == means[1].tobytes() == means[2].tobytes()
    np.testing.assert_allclose(means[0], vae.decode(z).mean(), rtol=1e-5)


def test_a_buffer_that_nothing_reads_goes(unpacked):
    _, content = unpacked
    model = unpack(content)
    extra = schema.BufferT()
    extra.data = np.arange(100_000, dtype=np.uint8)
    model.buffers.append(extra)
    assert len(written(model)) > len(content)
    assert pack_model(model) == pack(content)


# What is in the exported files.


@pytest.fixture(params=FILES)
def file(exported, request):
    """The path of each TFLite file of each exported model."""
    return exported.folder / f"{request.param}.tflite"


def test_constants_lie_at_multiples_of_16(exported, file):
    # As the format wants it: runtimes use them where they lie.
    model = schema.Model.GetRootAs(file.read_bytes(), 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    starts = [b._tab.Vector(b._tab.Offset(4)) for b in buffers if b.DataLength()]
    assert len(starts) > 10
    assert [start % 16 for start in starts] == [0] * len(starts)


def weights_of(exported, file):
    return {
        "decoder": exported.vae.decoder.get_weights(),
        "encoder": exported.vae.get_weights(),
        "autoencoder": [*exported.vae.encoder.get_weights(), *exported.vae.decoder.get_weights()],
    }[file.stem]


def test_weights_are_inside_the_flatbuffer(exported, file):
    # Runtimes before 2.16 do not look behind it.
    model = model_of(file)
    assert [(buffer.offset, buffer.size) for buffer in model.buffers if buffer.offset or buffer.size] == []
    assert sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None) < file.stat().st_size
    assert model.buffers[0].data is None


def test_each_weight_is_stored_once(exported, file):
    content, buffers = file.read_bytes(), [b.data.tobytes() for b in model_of(file).buffers if b.data is not None]
    weights = num_bytes(weights_of(exported, file))
    large = {b for b in buffers if len(b) > 64}
    # Without what the file does not read (a mean of 0, the scale of a code); with shapes and constants of the noise.
    stored = sum(map(len, set(buffers)))
    assert 0.9 * weights < stored < weights + 2500
    assert len(large) > 0
    assert [content.count(b) for b in large] == [1] * len(large)


def test_saved_model_stores_each_weight_once(exported):
    content = b"".join(content_of(exported.folder / "saved_model").values())
    # Not those of the prior, which is a constant of the functions.
    parts = (exported.vae.encoder, exported.vae.decoder)
    kernels = [w.tobytes() for part in parts for w in part.get_weights() if w.ndim > 1]
    assert len(kernels) >= 4
    assert [content.count(kernel) for kernel in kernels] == [1] * len(kernels)


def test_signatures_share_the_weights_of_a_large_decoder():
    vae = make_vae(units=(512, 512))
    packed = pack(tflite.convert(Signatures(vae, 4), FILES["decoder"], 1))
    weights = num_bytes(vae.decoder.get_weights())
    assert weights > 1e6
    assert weights < len(packed) < 1.06 * weights


def test_no_names_but_those_an_app_needs(exported, file):
    model, content = model_of(file), file.read_bytes()
    assert {tensor.name for graph in model.subgraphs for tensor in graph.tensors} == {b""}
    assert {entry.name for entry in model.metadata or ()} <= {b"min_runtime_version"}
    signatures = {signature.signatureKey.decode(): signature for signature in model.signatureDefs}
    assert set(signatures) == set(FILES[file.stem])
    for name, signature in signatures.items():
        described = exported.card["signatures"][name]
        assert {entry.name.decode() for entry in signature.inputs} == set(described["inputs"])
        assert {entry.name.decode() for entry in signature.outputs} == set(described["outputs"])
    for word in (b"StatefulPartitionedCall", b"sequential", b"dense", b"MatMul", str(exported.folder).encode()):
        assert word not in content


def test_built_in_operators_only_and_no_generator_of_the_runtime(exported, file):
    codes = model_of(file).operatorCodes
    used = {OPERATORS[code.builtinCode] for code in codes}
    assert "FULLY_CONNECTED" in used
    if file.stem != "autoencoder":
        assert used >= {"BITWISE_XOR", "RIGHT_SHIFT", "LOG", "SQRT", "COS"}
    assert "CUSTOM" not in used
    assert [code.customCode for code in codes if code.customCode] == []
    # Its seed would be frozen in the file.
    assert not [name for name in used if "RANDOM" in name or name == "MULTINOMIAL"]
