"""The processors of this machine, and the consequences of a GPU as far as they show without one."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_vae
from tensorflow.python.eager import context
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

import keras_vae as kv
from export import exporter, verification
from keras_vae.data import steps
from keras_vae.data.drawing import drawn
from keras_vae.distributions import mixture, noise
from keras_vae.distributions.noise import Noise
from keras_vae.engine import block_steps, compiled_steps
from keras_vae.utils import devices


@pytest.fixture
def gpu(monkeypatch):
    """The package takes this machine for one with a GPU; TensorFlow still computes on the CPU."""
    for module in (noise, mixture, block_steps, devices):
        monkeypatch.setattr(module, "has_gpu", lambda: True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("flags\t: fpu avx512f amx_bf16 avx512_fp16 amx_tile amx_int8\n", True),
        ("flags\t: fpu avx2 fma avx512_bf16\n", False),
        (None, False),
    ],
)
def test_what_the_cpu_has_is_read(monkeypatch, tmp_path, content, expected):
    path = tmp_path / "cpuinfo"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(devices.pathlib, "Path", lambda name: pathlib.PosixPath(path))
    assert devices.cpu_multiplies_bfloat16.__wrapped__() == expected


def test_instructions_for_half_precision_are_those_of_a_gpu_or_amx(monkeypatch):
    for has_gpu, has_amx, expected in [
        (False, False, (False, False)),
        (False, True, (True, False)),
        (True, False, (True, True)),
    ]:
        monkeypatch.setattr(devices, "has_gpu", lambda has_gpu=has_gpu: has_gpu)
        monkeypatch.setattr(devices, "cpu_multiplies_bfloat16", lambda has_amx=has_amx: has_amx)
        assert tuple(map(devices.has_instructions_for, ("bfloat16", "float16"))) == expected


def conv():
    return kv.VAE(
        kv.Encoder(kv.networks.conv_encoder((4, 3), 8), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.conv_decoder((8, 8, 1), (4, 3), 8), kv.likelihoods.Bernoulli((8, 8, 1))),
        seed=0,
    )


def test_convolutions_are_compiled_on_gpus_alone(gpu, monkeypatch):
    assert block_steps.gains_from_xla(conv())
    monkeypatch.setattr(block_steps, "has_gpu", lambda: False)
    assert not block_steps.gains_from_xla(conv())


def test_a_compiled_step_does_not_compile_its_activations_apart(gpu, monkeypatch):
    seen = []
    monkeypatch.setattr(compiled_steps, "MIN_STEPS_FOR_XLA", 1)
    monkeypatch.setattr(compiled_steps, "MIN_STEPS_FOR_FUSED_LAYERS", 1)
    monkeypatch.setattr(
        kv.VAE, "_set_execution", lambda self, size, jit_compile, fuses: seen.append((jit_compile, fuses))
    )
    with conv()._blocks(1, 100, trains=True):
        pass
    assert seen[0] == (True, False)


def test_noise_is_compiled_on_a_gpu_to_the_same_words(gpu):
    key = (tf.constant(7, tf.uint32), tf.constant(3, tf.uint32))
    counter = tf.range(40, dtype=tf.int32)[:, None], tf.range(5, dtype=tf.int32)[None]
    counter = tuple(tf.cast(word, tf.uint32) for word in counter)
    compiled = noise.threefry2x32(key, counter)
    with noise.noise_of_files():
        plain = noise.threefry2x32(key, counter)
    np.testing.assert_array_equal(compiled, plain)

    def is_compiled():
        graph = tf.function(lambda: Noise(7).normal((4, 5))).get_concrete_function().graph
        [call] = [op for op in graph.get_operations() if op.type.endswith("PartitionedCall")]
        return "_XlaMustCompile" in call.node_def.attr and call.get_attr("_XlaMustCompile")

    assert is_compiled()
    with noise.noise_of_files():
        assert not is_compiled()


@pytest.mark.parametrize("name", ["AddV2", "Mul"])
def test_gpus_have_sums_and_products_of_int32_in_the_memory_of_the_host_alone(name):
    # The reason for compiled noise, as TensorFlow's list of kernels has it.
    def of_int32(kernel):
        return any(tf.int32.as_datatype_enum in each.allowed_values.list.type for each in kernel.constraint)

    kernels = [k for k in get_registered_kernels_for_op(name).kernel if k.device_type == "GPU" and of_int32(k)]
    assert [set(kernel.host_memory_arg) for kernel in kernels] == [{"x", "y", "z"}]


@pytest.mark.parametrize("noise_of_examples", ["bernoulli", "uniform"])
def test_draws_of_examples_are_computed_in_the_memory_of_a_gpu(noise_of_examples):
    examples = kv.data.Examples(np.zeros((6, 4), np.uint8), divisor=255.0, noise=noise_of_examples, levels=256)
    block = next(iter(examples.blocks(2, 3)))
    graph = tf.function(drawn).get_concrete_function(block.batches[0]).graph
    computed = [op for op in graph.get_operations() if op.type in ("AddV2", "Mul", "BitwiseXor", "RightShift", "Less")]
    assert {op.inputs[0].dtype for op in computed} >= {tf.uint32}
    for op in computed:
        places = [
            set(kernel.host_memory_arg)
            for kernel in get_registered_kernels_for_op(op.type).kernel
            if kernel.device_type == "GPU"
            and any(op.inputs[0].dtype.as_datatype_enum in each.allowed_values.list.type for each in kernel.constraint)
        ]
        assert places == [set()], op


def test_mixtures_are_float32_on_a_gpu(gpu, monkeypatch):
    prior = make_vae(prior=kv.priors.MixtureOfGaussians(3, 4)).prior
    z = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

    def types():
        graph = tf.function(lambda: prior.distribution().log_prob(z)).get_concrete_function().graph
        return {output.dtype for op in graph.get_operations() for output in op.outputs}

    assert tf.float64 not in types()
    log_prob = prior.distribution().log_prob(z)
    monkeypatch.setattr(mixture, "has_gpu", lambda: False)
    assert tf.float64 in types()
    np.testing.assert_allclose(log_prob, prior.distribution().log_prob(z), rtol=1e-5)


def test_an_export_compares_with_exact_products(gpu, monkeypatch, tmp_path):
    seen, check = [], verification.Parity.check

    def look(self, name):
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        return check(self, name)

    monkeypatch.setattr(verification.Parity, "check", look)
    assert tf.config.experimental.tensor_float_32_execution_enabled()
    exporter.export_model(make_vae(), tmp_path / "export", exporter.Options(num_samples=2, files=("decoder",)))
    assert tf.config.experimental.tensor_float_32_execution_enabled()
    assert len(seen) > 5
    assert not any(seen)


def test_data_stay_in_the_memory_of_the_host(monkeypatch):
    seen, gather = [], steps._gather
    monkeypatch.setattr(
        steps, "_gather", lambda values: (seen.append(context.context().device_name), gather(values))[1]
    )
    next(iter(kv.data.Examples(make_binary(6, SHAPE)).batches(2)))
    assert [name.endswith("CPU:0") for name in seen] == [True]


def test_training_is_the_same_with_all_of_this(gpu, monkeypatch):
    x = make_binary(32, SHAPE)

    def losses():
        keras.utils.set_random_seed(0)
        vae = make_vae(prior=kv.priors.MixtureOfGaussians(3, 4))
        vae.compile(keras.optimizers.Adam(1e-2))
        return vae.fit(x, batch_size=8, epochs=2, verbose=0).history["loss"]

    actual = losses()
    for module in (noise, mixture, block_steps):
        monkeypatch.setattr(module, "has_gpu", lambda: False)
    np.testing.assert_allclose(actual, losses(), rtol=1e-4)
