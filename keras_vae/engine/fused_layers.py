"""Layers among convolutions that are compiled, each by itself, into one pass over memory.

XLA is slower than TensorFlow at convolutions on CPUs, so a network with convolutions is not compiled as a whole. But
TensorFlow computes silu and gelu, and above all their gradients, as chains of small operations, each of which reads and
writes whole feature maps, where XLA makes one loop of such a chain. And a convolution to a few channels, such as the
last one of a decoder, hardly fills its kernels: as a product with all weights of a pixel, and a sum of the products of
its neighbors, XLA takes a third of the time.
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
    # In XLA `erf` takes half the time of `erfc`. A value of gelu differs by at most 1e-7 |x|, about the rounding error
    # of x. In half precision it would be more.
    exact = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
    return tf.cast(0.5 + 0.5 * tf.math.erf(exact * math.sqrt(0.5)), x.dtype)


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


# A convolution is narrow if its kernel has up to so many numbers for each channel that comes in, and so many come in.
MAX_NUMBERS, MIN_CHANNELS = 27, 8


@tf.function(jit_compile=True, autograph=False)
def _narrow(x, kernel):
    """Returns the convolution of x `(n, h, w, channels)` with a kernel `(k, l, channels, filters)`, padded by zeros."""
    # A sum of products that are rounded to half precision would lose more than a convolution in half precision.
    exact, kernel = tf.cast(x, tf.float32), tf.cast(kernel, tf.float32)
    products = tf.reshape(tf.matmul(exact, _of_pixel(kernel)), (-1, *x.shape[1:3], *kernel.shape[:2], kernel.shape[3]))
    taps = [
        _shifted(products[..., i, j, :], i - _before(kernel, 0), j - _before(kernel, 1)) for i, j in _places(kernel)
    ]
    return tf.cast(tf.add_n(taps), x.dtype)


@tf.function(jit_compile=True, autograph=False)
def _narrow_gradients(x, kernel, upstream):
    dtype = x.dtype
    x, kernel, upstream = (tf.cast(tensor, tf.float32) for tensor in (x, kernel, upstream))
    taps = tf.concat(
        [_shifted(upstream, _before(kernel, 0) - i, _before(kernel, 1) - j) for i, j in _places(kernel)], -1
    )
    rows = tf.reshape(x, (-1, x.shape[3])), tf.reshape(taps, (-1, taps.shape[3]))
    of_kernel = tf.reshape(tf.matmul(*rows, transpose_a=True), (x.shape[3], *kernel.shape[:2], kernel.shape[3]))
    of_x = tf.matmul(taps, _of_pixel(kernel), transpose_b=True)
    return tf.cast(of_x, dtype), tf.cast(tf.transpose(of_kernel, (1, 2, 0, 3)), dtype)


def _of_pixel(kernel):
    """Returns the weights of a pixel for all of its neighbors, `(channels, k * l * filters)`."""
    return tf.reshape(tf.transpose(kernel, (2, 0, 1, 3)), (kernel.shape[2], -1))


def _places(kernel):
    return [(i, j) for i in range(kernel.shape[0]) for j in range(kernel.shape[1])]


def _before(kernel, axis):
    """Returns by how many pixels the kernel reaches back."""
    return (kernel.shape[axis] - 1) // 2


def _shifted(maps, down, right):
    """Returns maps `(n, h, w, channels)` whose pixel (y, x) is pixel (y + down, x + right), or 0 outside."""
    height, width = maps.shape[1:3]
    padded = tf.pad(maps, [(0, 0), *((max(-by, 0), max(by, 0)) for by in (down, right)), (0, 0)])
    return padded[:, max(down, 0) :, max(right, 0) :][:, :height, :width]


@tf.custom_gradient
def _narrow_with_gradients(x, kernel):
    return _narrow(x, kernel), lambda upstream: _narrow_gradients(x, kernel, upstream)


def narrow_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns a convolution with "same" padding, `(n, h, w, channels)` with `(k, l, channels, filters)`, compiled."""
    if None in x.shape[1:3]:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    return _narrow_with_gradients(x, tf.convert_to_tensor(kernel))


def _is_narrow(layer):
    # Layers that derive from it, such as masked convolutions, may have changed what it computes.
    if type(layer) is not keras.layers.Conv2D or not layer.built:
        return False
    *size, channels, filters = layer.kernel.shape
    plain = layer.padding == "same" and layer.data_format == "channels_last" and layer.groups == 1
    plain &= {*layer.strides, *layer.dilation_rate} == {1}
    return plain and channels >= MIN_CHANNELS and math.prod(size) > 1 and math.prod(size) * filters <= MAX_NUMBERS


@contextlib.contextmanager
def fused_layers(model: keras.Model) -> Iterator[None]:
    """Within this context the silu and gelu of layers that are not dense, and narrow convolutions, are compiled.

    A training step is traced within it. What is saved or exported must not be: other runtimes have no XLA.
    """
    # The outputs of dense layers are small, and each shape takes time to compile.
    layers = [x for x in layers_of(model) if not isinstance(x, keras.layers.Dense) and _has_one_of(x, FUSED)]
    narrow = [layer for layer in layers_of(model) if _is_narrow(layer)]
    for layer in layers:
        layer.activation = FUSED[layer.activation]
    for layer in narrow:
        layer.convolution_op = narrow_convolution
    try:
        yield
    finally:
        for layer in layers:
            layer.activation = _PLAIN.get(layer.activation, layer.activation)
        for layer in narrow:
            vars(layer).pop("convolution_op", None)


def _has_one_of(layer, activations):
    activation = getattr(layer, "activation", None)
    return callable(activation) and activation in activations
