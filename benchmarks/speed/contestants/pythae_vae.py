"""pythae with its VAE, its trainer's loop over an epoch, and its importance-weighted likelihood."""

import tempfile
import time

import numpy as np
import torch
from pythae.data.datasets import DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch.utils.data import Dataset

from benchmarks.speed.contestants.base import Trainer
from benchmarks.speed.contestants.pytorch import Model
from benchmarks.speed.workloads import EPSILON, LEARNING_RATE, Workload


class Encoder(BaseEncoder):
    """The encoder of a workload; pythae wants the logarithm of the variance."""

    def __init__(self, model):
        super().__init__()
        self.stack, self._encode = model.stacks[0], [model.encode]

    def forward(self, x):
        """Returns mean and log variance of q(z|x)."""
        mean, scale = self._encode[0](x)
        return ModelOutput(embedding=mean, log_covariance=2 * scale.log())


class Decoder(BaseDecoder):
    """The decoder of a workload; pythae wants probabilities."""

    def __init__(self, model):
        super().__init__()
        self.stack = model.stacks[1]

    def forward(self, z):
        """Returns the means of the pixels."""
        return ModelOutput(reconstruction=torch.sigmoid(self.stack(z)))


def make_model(workload: Workload, weights) -> VAE:
    """Returns pythae's VAE with the networks of a workload."""
    model = Model(workload, weights)
    config = VAEConfig(input_dim=(784,), latent_dim=workload.latent_dim, reconstruction_loss="bce")
    return VAE(config, encoder=Encoder(model), decoder=Decoder(model))


class Binarized(Dataset):
    """Gray images that are binarized at once at the start of an epoch, which is cheaper than one by one."""

    def __init__(self, images: np.ndarray):
        self.p = torch.from_numpy(images.astype(np.float32) / 255.0)
        self.draw()

    def draw(self) -> None:
        """Draws all images anew."""
        self.x = torch.rand_like(self.p).lt_(self.p)

    def __len__(self) -> int:
        return len(self.p)

    def __getitem__(self, index):
        return DatasetOutput(data=self.x[index])


class PythaeTrainer(Trainer):
    """Trains with `BaseTrainer.train_step`, an epoch without progress bar, log, copy of the best model or files."""

    packages = ("pythae", "torch", "numpy")

    def build(self):
        torch.set_num_threads(self.cores)
        torch.manual_seed(0)
        self.model, self.dataset = make_model(self.workload, self.weights), Binarized(self.data)
        config = BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=self.workload.batch_size,
            learning_rate=LEARNING_RATE,
            optimizer_params={"eps": EPSILON, "fused": True},
            no_cuda=True,
        )
        self.trainer = BaseTrainer(self.model, self.dataset, training_config=config)
        self.trainer.prepare_training()
        self.trainer.callback_handler.callbacks = []
        return sum(parameter.numel() for parameter in self.model.parameters())

    @torch.no_grad()
    def probe(self, x):
        x = torch.from_numpy(x)
        encoded = self.model.encoder(x)
        mean = encoded.embedding
        return self.model.loss_function(self.model.decoder(mean).reconstruction, x, mean, encoded.log_covariance, mean)[
            0
        ]

    def epoch(self):
        self.dataset.draw()
        return self.trainer.train_step(1)


class PythaeEvaluator:
    """Evaluates with `VAE.get_nll`, with all samples of an image in one batch.

    Args:
      workload: fields of a `Workload`.
      data: path of an .npy file with binary images `(count, 784)`.
      weights: path of an .npz file with the weights.
      cores: number of threads.
    """

    packages = PythaeTrainer.packages

    def __init__(self, workload: dict, data: str, weights: str, cores: int):
        torch.set_num_threads(cores)
        torch.manual_seed(0)
        with np.load(weights) as arrays:
            self.model = make_model(Workload(**workload), [arrays[name] for name in arrays.files])
        self.x = torch.from_numpy(np.load(data).astype(np.float32))

    @torch.no_grad()
    def block(self, num_samples: int, count: int) -> dict:
        """Estimates log p(x) of `count` images; returns seconds, CPU seconds and the estimates."""
        start, cpu = time.perf_counter(), time.process_time()
        # Each call gets one image, because `get_nll` works image by image in any case and only returns their mean. In
        # spite of its name that is the mean of log p(x), and not of its negative.
        values = [
            float(self.model.get_nll(self.x[i : i + 1], n_samples=num_samples, batch_size=num_samples))
            for i in range(count)
        ]
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, "decodes": count * num_samples, "values": values}
