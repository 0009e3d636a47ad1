"""The models that the client tests export, their results in Python, and the folder of the prepared clients."""

import atexit
import functools
import json
import logging
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from exporting import skip_saved_model
from helpers import SHAPE, make_binary, make_vae

import keras_vae as kv
from export import exporter, verification
from export.verification import OTHER_PICTURES

LOG = logging.getLogger(__name__)
VARIABLE = "KERAS_VAE_CLIENTS"
SEEDS = (*range(100), -1, -(2**31), 2**31 - 1)
NUM_SAMPLES = 16
# As in export.verification, each runtime approximates log, sqrt and cos of the noise in its own way.
TOLERANCE = 1e-4
NAMES = ("dense", "conditional", "mixture", "autoregressive")
COLORS = (5, 4, 3)


def prepared_folder() -> pathlib.Path:
    """Returns the folder that prepare.sh made, or skips the calling test module."""
    if VARIABLE not in os.environ:
        reason = f"no clients: run `bash tests/clients/prepare.sh FOLDER` and set {VARIABLE}=FOLDER"
        pytest.skip(reason, allow_module_level=True)
    return pathlib.Path(os.environ[VARIABLE]).resolve()


class Exported(NamedTuple):
    """A model, the folder of its export, and its results in Python."""

    vae: kv.VAE
    folder: pathlib.Path

    @property
    def condition_dim(self):
        return self.vae.condition_dim

    @property
    def has_texts(self):
        return self.vae.decoder.likelihood.has_lengths

    def class_of(self, number):
        """Returns the class of the call `number`; the classes come in turn, and without any it is 0."""
        return number % (self.condition_dim or 1)

    def samples(self, seeds, temperature=1.0):
        """Returns means `(seeds, NUM_SAMPLES, *event_shape)` and codes of `vae.sample`, with the classes in turn.

        For a model of texts the means are the drawn tokens.
        """
        output = "sample" if self.has_texts else "mean"

        @tf.function(autograph=False)
        def draw(seed, condition):
            z, _ = self.vae.sample_latent(NUM_SAMPLES, seed, temperature)
            condition = {} if self.condition_dim is None else {"condition": tf.repeat(condition[None], NUM_SAMPLES, 0)}
            return self.vae.sample(NUM_SAMPLES, seed, temperature, output, **condition), z

        drawn = [draw(tf.constant(seed), self.one_hot(self.class_of(i))) for i, seed in enumerate(seeds)]
        return tuple(np.stack([np.asarray(value) for value in values]) for values in zip(*drawn, strict=True))

    def decoded(self, codes):
        """Returns the means at the codes, with the classes in turn."""
        one_hot = np.stack([self.one_hot(self.class_of(i)) for i in range(len(codes))])
        return self.vae.decode(codes, None if self.condition_dim is None else one_hot).mean().numpy()

    def one_hot(self, index):
        return np.eye(self.condition_dim or 1, dtype=np.float32)[index]

    def card(self):
        return json.loads((self.folder / "model_card.json").read_text(encoding="utf-8"))


def make_dense():
    vae = make_vae()
    vae.fit(make_binary(200), epochs=5, verbose=0)
    return vae


def make_conditional():
    keras.utils.set_random_seed(1)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((16,)), kv.posteriors.DiagonalGaussian(3), condition_dim=4),
        kv.Decoder(kv.networks.mlp((16,)), kv.likelihoods.Bernoulli(SHAPE), condition_dim=4),
        seed=1,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(make_binary(200), np.arange(200) % 4, epochs=5, verbose=0)
    return vae


def make_mixture():
    """Returns a model of color pictures without bounds, and with a learned prior, whose codes are not the noise."""
    vae = make_vae(
        event_shape=COLORS,
        likelihood=kv.likelihoods.Gaussian(COLORS),
        prior=kv.priors.MixtureOfGaussians(3, num_components=4),
    )
    vae.fit(np.random.default_rng(0).normal(1.0, 2.0, (200, *COLORS)).astype(np.float32), epochs=5, verbose=0)
    return vae


def make_autoregressive():
    """Returns a model whose pixels are drawn one after the other; Python and the clients show conditional means."""
    vae = make_vae(
        likelihood=kv.likelihoods.Autoregressive(kv.likelihoods.Bernoulli(SHAPE), kv.networks.CausalConv(8, 2))
    )
    vae.fit(make_binary(200), epochs=20, verbose=0)
    return vae


@functools.cache
def export_all() -> dict[str, Exported]:
    """Exports every model's decoder, once for all test modules: name -> Exported."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keras_vae_clients_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    models = {name: globals()[f"make_{name}"]() for name in NAMES}
    return {name: export_files(vae, folder / name) for name, vae in models.items()}


def export_files(vae, folder, files=("decoder",), num_checks=8) -> Exported:
    """Exports the TFLite files that clients read, which are compared with Keras at `num_checks` draws."""
    with pytest.MonkeyPatch.context() as patch:
        skip_saved_model(patch)
        patch.setattr(verification, "NUM_CHECKS", num_checks)
        return Exported(vae, exporter.export_model(vae, folder, exporter.Options(NUM_SAMPLES, files=files)))


def make_codes(vae, count=20):
    return np.random.default_rng(5).normal(0.0, 2.0, (count, vae.latent_dim)).astype(np.float32)


def relative_difference(actual, expected, other_pictures=0):
    """Returns the largest difference, relative to the largest value if that is above 1, as the export does.

    As many as `other_pictures` pictures (the last three axes are one) may differ by more, and are not compared. A pixel
    may flip if its uniform number is within rounding of its probability, and so may all pixels after it.
    """
    differences = relative_differences(actual, expected)
    if not other_pictures:
        return np.max(differences)
    LOG.info("pictures that are others: %d of %d", count_others(actual, expected), len(differences))
    return np.sort(differences)[-1 - other_pictures]


def relative_differences(actual, expected):
    """Returns the largest difference of each picture."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    differences = np.abs(actual - expected) / max(1.0, np.max(np.abs(expected)))
    return differences.reshape(-1, np.prod(expected.shape[-3:], dtype=int)).max(axis=1)


def count_others(actual, expected):
    """Returns the number of pictures that differ by more than rounding."""
    return int(np.sum(~(relative_differences(actual, expected) < TOLERANCE)))


def count_other_texts(actual, expected):
    """Returns the number of texts that differ, each of which is a row along the last axis."""
    assert np.shape(actual) == np.shape(expected)
    return int((np.asarray(actual) != np.asarray(expected)).any(axis=-1).sum())


def most_other_pictures(name, count):
    """Returns how many of `count` pictures of a model may be others: up to 2%, as the export allows."""
    return int(OTHER_PICTURES * count) if name == "autoregressive" else 0


def run(command, **kwargs):
    """Runs a command and returns its standard output; if it fails, its standard error is the message."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout
