"""The training jobs: networks, batch sizes, initial weights and operations. This module needs NumPy alone."""

import dataclasses
import itertools
import math

import numpy as np

# In all contestants the scale of q(z|x) is softplus(raw + UNIT) + MIN_SCALE, which is about 1 if raw is 0.
UNIT, MIN_SCALE = 0.5413248546129181, 1e-4
LEARNING_RATE, EPSILON = 1e-3, 1e-7
DATA_DIM = 784
# The masked convolutions of "causal" have so many channels and residual blocks, and get so many maps of the decoder.
FILTERS, BLOCKS, MAPS = 32, 4, 4


@dataclasses.dataclass(frozen=True)
class Workload:
    """One training job on 28 x 28 images.

    Attributes:
      name: name in the tables.
      network: "dense"; "conv" (`keras_vae.networks.conv_encoder` and `conv_decoder`); or "causal", dense layers before
        the masked convolutions of `keras_vae.networks.CausalConv`.
      hidden: widths of the encoder's dense layers; the decoder has them in reverse.
      latent_dim: dimension of z.
      activation: "relu", "tanh", "gelu" (the exact one) or "silu".
      batch_size: number of images in a step.
      images: number of images in an epoch.
    """

    name: str
    network: str
    hidden: tuple[int, ...]
    latent_dim: int
    activation: str
    batch_size: int
    images: int

    def __post_init__(self):
        object.__setattr__(self, "hidden", tuple(self.hidden))  # JSON turns tuples into lists

    @property
    def key(self) -> str:
        """Name and batch size."""
        return f"{self.name}, batch {self.batch_size}"

    def layers(self) -> list[dict]:
        """Returns the layers from x to the logits: kind, shape of the kernel, uses of it for an image, and biases."""
        if self.network == "dense":
            return self._dense_layers()
        if self.network == "causal":
            return self._causal_layers()
        units = self.hidden[0]
        return [
            _layer("conv", (3, 3, 1, 32), 14 * 14),
            _layer("conv", (3, 3, 32, 64), 7 * 7),
            _layer("dense", (7 * 7 * 64, units)),
            _layer("dense", (units, 2 * self.latent_dim)),
            _layer("dense", (self.latent_dim, units)),
            _layer("dense", (units, 7 * 7 * 64)),
            # The kernel of a transposed convolution is (height, width, out, in).
            _layer("transposed", (3, 3, 64, 64), 7 * 7),
            _layer("transposed", (3, 3, 32, 64), 14 * 14),
            _layer("conv", (3, 3, 32, 1), 28 * 28),
        ]

    def _dense_layers(self):
        encoder = (DATA_DIM, *self.hidden, 2 * self.latent_dim)
        decoder = (self.latent_dim, *reversed(self.hidden), DATA_DIM)
        return [_layer("dense", pair) for widths in (encoder, decoder) for pair in itertools.pairwise(widths)]

    def _causal_layers(self):
        (units,), total = self.hidden, (BLOCKS + 1) * FILTERS
        block = [
            _layer("masked", (2, 3, FILTERS, FILTERS), DATA_DIM),
            _layer("masked", (1, 1, FILTERS, FILTERS), DATA_DIM),
        ]
        return [
            _layer("dense", (DATA_DIM, units)),
            _layer("dense", (units, 2 * self.latent_dim)),
            _layer("dense", (self.latent_dim, units)),
            # Each pixel has a bias of its own, which stands before the kernel.
            {"kind": "head", "shape": (FILTERS, 1), "times": DATA_DIM, "bias": DATA_DIM},
            _layer("masked", (4, 7, 1, FILTERS), DATA_DIM),
            *(BLOCKS * block),
            _layer("dense", (units, DATA_DIM * MAPS)),
            {"kind": "masked", "shape": (1, 1, MAPS, total), "times": DATA_DIM, "bias": 0},
        ]

    @property
    def num_encoder_layers(self) -> int:
        """The number of `layers` that belong to the encoder."""
        return 4 if self.network == "conv" else len(self.hidden) + 1

    @property
    def num_parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(math.prod(layer["shape"]) + layer["bias"] for layer in self.layers())

    @property
    def flop_per_image(self) -> int:
        """The floating-point operations of the products of a training step: two a weight forward, four backward.

        The gradient of the first layer's input, which no step needs, is not counted.
        """
        products = [math.prod(layer["shape"]) * layer["times"] for layer in self.layers()]
        return 6 * sum(products) - 2 * products[0]

    @property
    def decoder_flop(self) -> int:
        """The floating-point operations of the products of decoding one z."""
        decoder = self.layers()[self.num_encoder_layers :]
        return sum(2 * math.prod(layer["shape"]) * layer["times"] for layer in decoder)

    def to_dict(self) -> dict:
        """Returns the fields as plain values."""
        return dataclasses.asdict(self)


def _layer(kind, shape, times=1):
    return {"kind": kind, "shape": shape, "times": times, "bias": shape[-2] if kind == "transposed" else shape[-1]}


def initial_weights(workload: Workload, seed: int = 0) -> list[np.ndarray]:
    """Returns Glorot uniform kernels and biases of 0 in Keras's layout, which is mostly kernel, bias, kernel, bias."""
    random, weights = np.random.default_rng(seed), []
    for layer in workload.layers():
        shape = layer["shape"]
        field = math.prod(shape[:-2])
        limit = math.sqrt(6.0 / (field * (shape[-1] + shape[-2])))
        kernel = random.uniform(-limit, limit, shape).astype(np.float32)
        if layer["kind"] == "head":
            weights += [np.zeros((28, 28, 1, 1), np.float32), kernel]
        else:
            weights += [kernel, *([np.zeros(layer["bias"], np.float32)] if layer["bias"] else [])]
    return weights


def probe_images(data: np.ndarray) -> np.ndarray:
    """Returns 100 fixed binary images of uint8 data, float32 `(100, 784)`, on which contestants are compared."""
    return (data[:100] > 127).astype(np.float32)


def training(images: int = 20_000) -> list[Workload]:
    """Returns the training jobs."""
    dense = [
        Workload(name, "dense", hidden, latent_dim, activation, batch_size, images)
        for name, hidden, latent_dim, activation in (
            ("784-512-256-8", (512, 256), 8, "relu"),
            ("784-200-200-50", (200, 200), 50, "tanh"),
        )
        for batch_size in (100, 200)
    ]
    # An image costs about ten times as much here, so that an epoch is shorter. It is a whole number of batches.
    few = 128 * max(1, images // 1000)
    return [
        *dense,
        Workload("convolutional", "conv", (256,), 32, "gelu", 128, few),
        Workload("masked convolutions", "causal", (256,), 32, "silu", 128, few),
    ]
