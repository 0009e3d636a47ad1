"""The processors of this machine: GPUs, and instructions of the CPU."""

import contextlib
import functools
import pathlib
from collections.abc import Iterator


def has_gpu() -> bool:
    """Whether TensorFlow may use a GPU."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for products of bfloat16 matrices, AMX; False where that cannot be read."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags.split()


def has_instructions_for(precision: str) -> bool:
    """Whether this machine has what makes "bfloat16" or "float16" faster than float32: a GPU, or AMX for the first."""
    return has_gpu() or (precision == "bfloat16" and cpu_multiplies_bfloat16())


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Within this context GPUs multiply float32 matrices as they are, not rounded to the 10 bits of TensorFloat-32."""
    import tensorflow as tf

    settings = tf.config.experimental
    before = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(before)
