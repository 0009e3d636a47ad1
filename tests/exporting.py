"""Models, their exported files, and helpers that the tests of the export share."""

import json
import pathlib
from typing import NamedTuple

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from helpers import SHAPE, make_vae

import keras_vae as kv
from export import exporter, runtimes
from export.signatures import FILES

CONV_SHAPE, CLASSES = (10, 7, 3), 3
REPORT = {"test_elbo": -20.5, "test_log_likelihood": -19.25, "data": {"name": "prototypes"}}
SEEDS = (7, 0, 1, -1, -7, 2**31 - 1, -(2**31))
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
# Each runtime approximates log, sqrt and cos of the noise in its own way, see `export.verification.TOLERANCE`.
NOISE = 1e-4


class Exported(NamedTuple):
    """A model with its exported files."""

    vae: kv.VAE
    folder: pathlib.Path
    num_samples: int
    batch_size: int | None
    runners: dict
    card: dict

    def run(self, file, signature, **inputs):
        """Runs a signature in "saved_model" or, for "tflite", in the TFLite file that holds it.

        Scalars are cast to the dtype that the card names. Batches are passed as they are.
        """
        dtypes = {"seed": np.int32, "steps": np.int32}
        inputs = {name: np.asarray(value, dtypes.get(name, np.float32)) for name, value in inputs.items()}
        if file == "tflite":
            file = f"{home(signature)}.tflite"
        return self.runners[file](signature, **inputs)

    def batches(self, file, signature, **inputs):
        """Runs a signature on any number of rows, in as many calls as that takes."""
        size = self.size(file)
        count = max(len(value) for value in inputs.values() if np.ndim(value))
        parts = [
            self.run(file, signature, **{k: v[i : i + size] if np.ndim(v) else v for k, v in inputs.items()})
            for i in range(0, count, size)
        ]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def size(self, file):
        """Returns how many rows one call takes, or 4 if any number is accepted."""
        return 4 if file == "saved_model" or self.batch_size is None else self.batch_size

    def condition(self, count):
        """Returns `{"condition": one-hot rows of the classes in turn}`, or an empty dict without a condition."""
        return {} if self.vae.condition_dim is None else {"condition": one_hot(count, self.vae.condition_dim)}


def home(signature):
    """Returns the name of the TFLite file that holds a signature, without its suffix."""
    return next(file for file, names in FILES.items() if signature in names)


def one_hot(count, num_classes=CLASSES):
    return np.eye(num_classes, dtype=np.float32)[np.arange(count) % num_classes]


def stirred(vae, seed=0, scale=0.2):
    """Returns the model with noise on all its weights, so that no bias, scale or coupling layer has its first value."""
    random = np.random.default_rng(seed)
    for weight in vae.trainable_variables:
        weight.assign_add(scale * random.normal(size=weight.shape))
    return vae


def make_conv_vae():
    """Returns a convolutional model of pictures with odd height and width and three channels."""
    keras.utils.set_random_seed(1)
    return kv.VAE(
        kv.Encoder(kv.networks.conv_encoder((4, 8), 16), kv.posteriors.DiagonalGaussian(4)),
        kv.Decoder(kv.networks.conv_decoder(CONV_SHAPE, (8, 4), 16), kv.likelihoods.Gaussian(CONV_SHAPE)),
        seed=1,
    )


def make_conditional_vae(posterior=kv.posteriors.DiagonalGaussian, prior=None):
    keras.utils.set_random_seed(2)
    return kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), posterior(3), CLASSES),
        kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli(SHAPE), CLASSES),
        prior=prior,
        seed=2,
    )


def make_mixture_vae():
    return make_vae(prior=kv.priors.MixtureOfGaussians(3, 4))


def make_deterministic_vae():
    keras.utils.set_random_seed(3)
    return kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.Deterministic(3)),
        kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli(SHAPE)),
        objective=kv.objectives.Reconstruction(),
        seed=3,
    )


def export(vae, folder, **options):
    """Exports a model and loads the files that were written."""
    options = exporter.Options(**options)
    exporter.export_model(vae, folder, options, REPORT)
    runners = {path.name: runtimes.litert_runner(path) for path in folder.glob("*.tflite")}
    if (folder / "saved_model").exists():
        runners["saved_model"] = runtimes.saved_model_runner(folder / "saved_model")
    card = json.loads((folder / "model_card.json").read_text(encoding="utf-8"))
    return Exported(vae, folder, options.num_samples, options.batch_size, runners, card)


def skip_saved_model(patch):
    """Has exports write no SavedModel, which takes nearly half their time, for tests of what comes after it."""
    written = {"bytes": 0, "signatures": {}}
    patch.setattr(exporter._Export, "saved_model", lambda self: self.files.update(saved_model=written))


def content_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def model_of(content):
    """Returns a TFLite file, a path or bytes, as objects."""
    return schema.ModelT.InitFromPackedBuf(content if isinstance(content, bytes) else content.read_bytes(), 0)


def num_bytes(arrays):
    return sum(np.asarray(a).nbytes for a in arrays)
