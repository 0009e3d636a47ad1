"""Activations between convolutions, each compiled into one pass over memory.

TensorFlow computes silu and gelu, and above all their gradients, as chains of small operations, and each of them reads
and writes the whole feature maps. XLA makes one loop of such a chain. It is slower than TensorFlow at convolutions on
CPUs, so a network with convolutions is not compiled as a whole: here only the activations are.
"""

import contextlib
import math
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from keras_vae.engine.keras_compat import layers_of


def _silu(x):
    return x * tf.sigmoid(x)


def _silu_slope(x):
    s = tf.sigmoid(x)
    return s * (1 + x * (1 - s))


def _gelu(x):
    return x * _normal_cdf(x)


def _gelu_slope(x):
    return _normal_cdf(x) + x * tf.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


def _normal_cdf(x):
    return 0.5 * tf.math.erfc(-x * math.sqrt(0.5))


def _fused(function: Callable, slope: Callable) -> Callable:
    """Returns `function` as one compiled loop, and as a second one for its gradient, `slope(x)` times the incoming."""
    value = tf.function(function, jit_compile=True, autograph=False)
    gradient = tf.function(lambda x, upstream: upstream * slope(x), jit_compile=True, autograph=False)

    @tf.custom_gradient
    def activation(x):
        return value(x), lambda upstream: gradient(x, upstream)

    return activation


FUSED = {keras.activations.silu: _fused(_silu, _silu_slope), keras.activations.gelu: _fused(_gelu, _gelu_slope)}
_PLAIN = {fused: plain for plain, fused in FUSED.items()}


@contextlib.contextmanager
def fused_activations(model: keras.Model) -> Iterator[None]:
    """Within this context the silu and gelu of all layers of `model`, apart from dense ones, are compiled.

    A training step is traced within it. What is saved or exported must not be: other runtimes have no XLA.
    """
    # The outputs of dense layers are small, and each shape takes time to compile.
    layers = [x for x in layers_of(model) if not isinstance(x, keras.layers.Dense) and _has_one_of(x, FUSED)]
    for layer in layers:
        layer.activation = FUSED[layer.activation]
    try:
        yield
    finally:
        for layer in layers:
            layer.activation = _PLAIN.get(layer.activation, layer.activation)


def _has_one_of(layer, activations):
    activation = getattr(layer, "activation", None)
    return callable(activation) and activation in activations
