"""JAX: a whole epoch as one scan in one compiled function, data on the device, state donated, Adam from optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.speed.contestants.base import Trainer
from benchmarks.speed.workloads import EPSILON, LEARNING_RATE, MIN_SCALE, UNIT

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "gelu": functools.partial(jax.nn.gelu, approximate=False)}


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


class JaxTrainer(Trainer):
    """The scanned epoch."""

    packages = ("jax", "jaxlib", "optax", "numpy")

    def build(self):
        layers, workload = self.workload.layers(), self.workload
        arrays = [jnp.asarray(weight) for weight in self.weights]
        pairs = list(zip(arrays[::2], arrays[1::2], strict=True))
        self.layers, self.cut = layers, workload.num_encoder_layers
        self.activation = ACTIVATIONS[workload.activation]
        self.optimizer = optax.adam(LEARNING_RATE, eps=EPSILON)
        # The default generator: on CPU it is faster than "rbg" and "unsafe_rbg".
        key = jax.random.key(0)
        self.state = jax.device_put((pairs, self.optimizer.init(pairs), key))
        self.images = jax.device_put(self.data)
        self._train = jax.jit(self._epoch, donate_argnums=0)
        return sum(array.size for pair in pairs for array in pair)

    def _stack(self, x, pairs, first, last):
        conv = self.workload.network == "conv"
        for i in range(first, last):
            if conv and i in (0, 6):
                x = x.reshape(x.shape[0], *((28, 28, 1) if i == 0 else (7, 7, 64)))
            x = apply(self.layers[i]["kind"], x, *pairs[i], 1 if i == len(self.layers) - 1 else 2)
            x = self.activation(x) if i < last - 1 else x
        return x.reshape(x.shape[0], -1)

    def _loss(self, pairs, x, noise):
        mean, raw = jnp.split(self._stack(x, pairs, 0, self.cut), 2, axis=1)
        scale = jax.nn.softplus(raw + UNIT) + MIN_SCALE
        logits = self._stack(mean + scale * noise, pairs, self.cut, len(self.layers))
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
