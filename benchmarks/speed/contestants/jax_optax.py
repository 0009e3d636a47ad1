"""JAX with a whole epoch as one scan in a compiled function, data on the device, donated state, and optax's Adam."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.speed.contestants.base import Trainer
from benchmarks.speed.workloads import BLOCKS, EPSILON, LEARNING_RATE, MAPS, MIN_SCALE, UNIT

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "silu": jax.nn.silu,
}


def convolve(x, kernel, stride: int):
    """Returns a 3x3 convolution with Keras's padding "same", as a product of the nine shifted images.

    XLA on CPU is ten times slower with `conv_general_dilated` and its gradients (52 images/s against 510 here).
    """
    padding = (1, 1) if stride == 1 else (0, 1)
    size = x.shape[1] // stride
    x = jnp.pad(x, ((0, 0), padding, padding, (0, 0)))
    last = stride * (size - 1) + 1
    shifted = [x[:, i : i + last : stride, j : j + last : stride] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def convolve_transposed(x, kernel):
    """Returns a 3x3 transposed convolution of stride 2, cut to twice the size; kernel (height, width, out, in)."""
    spread = jnp.einsum("bhwi,kloi->bhwklo", x, kernel)
    zero = jnp.zeros((), x.dtype)
    return sum(
        jax.lax.pad(spread[:, :, :, i, j], zero, ((0, 0, 0), (i, 1 - i, 1), (j, 1 - j, 1), (0, 0, 0)))
        for i in range(3)
        for j in range(3)
    )


def apply(kind: str, x, kernel, bias, stride: int):
    """Applies one layer to x."""
    if kind == "dense":
        return x.reshape(x.shape[0], -1) @ kernel + bias
    return (convolve(x, kernel, stride) if kind == "conv" else convolve_transposed(x, kernel)) + bias


def masked(x, kernel, bias=0.0):
    """Returns a convolution that sees the pixels before its own, and its own too unless x has one channel.

    All shifted images are multiplied in one product; for a kernel of one pixel there is only x itself.
    """
    height, width, channels, _ = kernel.shape
    reach, size = width // 2, x.shape[1]
    x = jnp.pad(x, ((0, 0), (height - 1, 0), (reach, reach), (0, 0)))
    taps = [(i, j) for i in range(height) for j in range(width) if i < height - 1 or j < reach + (channels > 1)]
    shifted = [x[:, i : i + size, j : j + size] for i, j in taps]
    return jnp.concatenate(shifted, axis=-1) @ jnp.concatenate([kernel[i, j] for i, j in taps]) + bias


def causal_logits(x, features, weights, activation):
    """Returns the logits of all pixels of x `(batch, 784)`; `weights` are those from the head's bias on."""
    head_bias, head, first, first_bias, *blocks, to_maps, maps_bias, from_features = weights
    maps = (features @ to_maps + maps_bias).reshape(-1, 28, 28, MAPS)
    added = jnp.split(maps @ from_features[0, 0], BLOCKS + 1, axis=-1)
    h = masked((2.0 * x - 1.0).reshape(-1, 28, 28, 1), first, first_bias) + added[0]
    for i in range(BLOCKS):
        wide, wide_bias, end, end_bias = blocks[4 * i : 4 * i + 4]
        inner = masked(activation(h), wide, wide_bias) + added[i + 1]
        h = h + activation(inner) @ end[0, 0] + end_bias
    return (activation(h) @ head + head_bias[..., 0]).reshape(x.shape[0], -1)


class JaxTrainer(Trainer):
    """Trains with an epoch as one scan."""

    packages = ("jax", "jaxlib", "optax", "numpy")

    def build(self):
        layers, workload = self.workload.layers(), self.workload
        arrays = [jnp.asarray(weight) for weight in self.weights]
        causal = workload.network == "causal"
        pairs = arrays if causal else list(zip(arrays[::2], arrays[1::2], strict=True))
        self.layers, self.cut = layers, workload.num_encoder_layers
        self.activation = ACTIVATIONS[workload.activation]
        self.optimizer = optax.adam(LEARNING_RATE, eps=EPSILON)
        # On CPU the default generator is faster than "rbg" and "unsafe_rbg".
        key = jax.random.key(0)
        self.state = jax.device_put((pairs, self.optimizer.init(pairs), key))
        self.images = jax.device_put(self.data)
        self._train = jax.jit(self._epoch, donate_argnums=0)
        return sum(array.size for array in arrays)

    def _stack(self, x, pairs, first, last):
        conv = self.workload.network == "conv"
        for i in range(first, last):
            if conv and i in (0, 6):
                x = x.reshape(x.shape[0], *((28, 28, 1) if i == 0 else (7, 7, 64)))
            x = apply(self.layers[i]["kind"], x, *pairs[i], 1 if i == len(self.layers) - 1 else 2)
            x = self.activation(x) if i < last - 1 else x
        return x.reshape(x.shape[0], -1)

    def _decoded(self, pairs, z, x):
        if self.workload.network != "causal":
            return self._stack(z, pairs, self.cut, len(self.layers))
        kernel, bias, *others = pairs[4:]
        return causal_logits(x, self.activation(z @ kernel + bias), others, self.activation)

    def _loss(self, pairs, x, noise):
        dense = list(zip(pairs[:4:2], pairs[1:4:2], strict=True)) if self.workload.network == "causal" else pairs
        mean, raw = jnp.split(self._stack(x, dense, 0, self.cut), 2, axis=1)
        scale = jax.nn.softplus(raw + UNIT) + MIN_SCALE
        logits = self._decoded(pairs, mean + scale * noise, x)
        log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits))
        kl = jnp.sum(0.5 * (mean**2 + scale**2 - 1.0) - jnp.log(scale))
        return (kl - log_likelihood) / x.shape[0]

    def _epoch(self, state, images):
        batch_size, latent_dim = self.workload.batch_size, self.workload.latent_dim
        steps = len(images) // batch_size

        def step(carry, index):
            pairs, optimizer_state, key = carry
            key, pixels, normal = jax.random.split(key, 3)
            p = images[index].astype(jnp.float32) / 255.0
            x = (jax.random.uniform(pixels, p.shape) < p).astype(jnp.float32)
            noise = jax.random.normal(normal, (batch_size, latent_dim))
            loss, gradient = jax.value_and_grad(self._loss)(pairs, x, noise)
            updates, optimizer_state = self.optimizer.update(gradient, optimizer_state)
            return (optax.apply_updates(pairs, updates), optimizer_state, key), loss

        pairs, optimizer_state, key = state
        key, shuffle = jax.random.split(key)
        order = jax.random.permutation(shuffle, len(images))[: steps * batch_size].reshape(steps, batch_size)
        state, losses = jax.lax.scan(step, (pairs, optimizer_state, key), order)
        return state, losses.mean()

    def probe(self, x):
        return jax.jit(self._loss)(self.state[0], x, np.zeros((len(x), self.workload.latent_dim), np.float32))

    def epoch(self):
        self.state, loss = self._train(self.state, self.images)
        return loss.item()
