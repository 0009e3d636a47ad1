"""PyTorch with a plain training loop: data in memory, batches by index, fused Adam, all cores."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.speed.contestants.base import Trainer
from benchmarks.speed.workloads import BLOCKS, EPSILON, LEARNING_RATE, MAPS, MIN_SCALE, UNIT, Workload

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


def make_layer(kind: str, kernel: np.ndarray, bias: np.ndarray, padding: int, stride: int) -> nn.Module:
    """Returns a layer with weights in Keras's layout, (height, width, in, out) or (in, out).

    At a stride of 2 Keras pads an image of even size only at its end, and PyTorch with `padding=1` only uses the
    padding at its start. Kernels and images are therefore turned by 180 degrees, which gives the same function without
    extra padding.
    """
    if kind == "dense":
        layer = nn.Linear(*kernel.shape)
        kernel = kernel.T
    elif kind == "conv":
        layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, stride=stride, padding=padding)
        kernel = kernel[::-1, ::-1].transpose(3, 2, 0, 1)
    else:
        layer = nn.ConvTranspose2d(kernel.shape[3], kernel.shape[2], 3, stride=stride, padding=1, output_padding=1)
        kernel = kernel[::-1, ::-1].transpose(3, 2, 0, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(kernel.copy()))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _turned_maps(weights):
    """Returns weights whose dense layers read and write maps of 7 x 7 x 64 turned and with the channels first."""
    weights = list(weights)
    index = np.arange(7 * 7 * 64).reshape(7, 7, 64)[::-1, ::-1].transpose(2, 0, 1).reshape(-1)
    weights[4] = weights[4][index]
    weights[10], weights[11] = weights[10][:, index], weights[11][index]
    return weights


class Model(nn.Module):
    """Encoder and decoder of a workload."""

    def __init__(self, workload: Workload, weights: list[np.ndarray]):
        super().__init__()
        conv = workload.network == "conv"
        weights = _turned_maps(weights) if conv else weights
        layers = workload.layers()
        self.stacks = nn.ModuleList()
        cut = workload.num_encoder_layers
        for first, last in ((0, cut), (cut, len(layers))):
            stack = nn.Sequential()
            for i in range(first, last):
                kind = layers[i]["kind"]
                if conv and i == 2:
                    stack.append(nn.Flatten())
                stride = 1 if i == len(layers) - 1 else 2
                stack.append(make_layer(kind, weights[2 * i], weights[2 * i + 1], 1, stride))
                if i < last - 1:
                    stack.append(ACTIVATIONS[workload.activation]())
                if conv and i == 5:
                    stack.append(nn.Unflatten(1, (64, 7, 7)))
            self.stacks.append(stack)

    def encode(self, x):
        """Returns mean and scale of q(z|x)."""
        mean, raw = self.stacks[0](x).chunk(2, dim=1)
        return mean, F.softplus(raw + UNIT) + MIN_SCALE

    def logits(self, x, z):
        """Returns the logits of all pixels; they depend on z alone."""
        return self.stacks[1](z)

    def loss(self, x, mean, scale, z):
        """Returns -ELBO, the mean over the batch."""
        cross_entropy = F.binary_cross_entropy_with_logits(self.logits(x, z), x, reduction="sum")
        kl = 0.5 * (mean.square() + scale.square() - 1).sum() - scale.log().sum()
        return (cross_entropy + kl) / len(x)

    def forward(self, x):
        """Returns -ELBO at a drawn z."""
        mean, scale = self.encode(x)
        return self.loss(x, mean, scale, torch.addcmul(mean, scale, torch.randn_like(scale)))


class Masked(nn.Module):
    """A convolution that sees the pixels before its own, and its own too unless x has one channel."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray | None = None):
        super().__init__()
        height, width, channels, _ = kernel.shape
        self.kernel = nn.Parameter(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
        self.bias = None if bias is None else nn.Parameter(torch.from_numpy(bias.copy()))
        self.padding = (width // 2, width // 2, height - 1, 0)
        mask = torch.ones(height, width)
        mask[-1, width // 2 + (channels > 1) :] = 0.0
        self.register_buffer("mask", mask)

    def forward(self, x):
        """Returns the outputs at all pixels."""
        return F.conv2d(F.pad(x, self.padding), self.kernel * self.mask, self.bias)


class CausalModel(Model):
    """Dense layers before masked convolutions, with the channels last in memory, which is faster here."""

    def __init__(self, workload: Workload, weights: list[np.ndarray]):
        nn.Module.__init__(self)
        layers = [make_layer("dense", *weights[i : i + 2], 0, 1) for i in (0, 2, 4, -3)]
        self.activation = ACTIVATIONS[workload.activation]()
        self.stacks = nn.ModuleList([nn.Sequential(layers[0], self.activation, layers[1])])
        self.features = nn.Sequential(layers[2], self.activation, layers[3])
        self.head_bias = nn.Parameter(torch.from_numpy(weights[6].reshape(1, 1, 28, 28).copy()))
        self.head = nn.Parameter(torch.from_numpy(weights[7].T[:, :, None, None].copy()))
        self.first = Masked(weights[8], weights[9])
        self.blocks = nn.ModuleList(Masked(*weights[i : i + 2]) for i in range(10, 10 + 4 * BLOCKS, 2))
        self.from_features = Masked(weights[-1])

    def logits(self, x, z):
        """Returns the logits of all pixels, in the shape of x."""
        pixels = x.reshape(-1, 1, 28, 28)
        maps = self.features(z).reshape(-1, 28, 28, MAPS).permute(0, 3, 1, 2)
        added = self.from_features(maps).chunk(BLOCKS + 1, dim=1)
        h = self.first(2.0 * pixels - 1.0) + added[0]
        for i in range(BLOCKS):
            wide, end = self.blocks[2 * i], self.blocks[2 * i + 1]
            h = h + end(self.activation(wide(self.activation(h)) + added[i + 1]))
        return (F.conv2d(self.activation(h), self.head) + self.head_bias).reshape(x.shape)


class TorchTrainer(Trainer):
    """Trains with an eager loop."""

    packages = ("torch", "numpy")

    def build(self):
        torch.set_num_threads(self.cores)
        torch.manual_seed(0)
        if self.workload.network == "causal":
            self.model = CausalModel(self.workload, self.weights).to(memory_format=torch.channels_last)
        else:
            self.model = Model(self.workload, self.weights)
        self.images = self._shaped(self.data.astype(np.float32) / 255.0)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True)
        self.step = self.model
        return sum(parameter.numel() for parameter in self.model.parameters())

    def _shaped(self, x):
        if self.workload.network == "conv":
            x = x.reshape(-1, 1, 28, 28)[:, :, ::-1, ::-1].copy()
        return torch.from_numpy(x)

    @torch.no_grad()
    def probe(self, x):
        x = self._shaped(x)
        mean, scale = self.model.encode(x)
        return self.model.loss(x, mean, scale, mean)

    def epoch(self):
        batch_size = self.workload.batch_size
        order = torch.randperm(len(self.images))
        total = torch.zeros(())
        for start in range(0, len(order), batch_size):
            p = self.images.index_select(0, order[start : start + batch_size])
            # This is faster than `torch.bernoulli(p)`, which draws one value after the other.
            loss = self.step(torch.rand_like(p).lt_(p))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return total.item() / math.ceil(len(order) / batch_size)


class CompiledTorchTrainer(TorchTrainer):
    """Trains with the same loop and `torch.compile` of the model, which needs a C++ compiler."""

    def build(self):
        parameters = super().build()
        self.step = torch.compile(self.model)
        return parameters
