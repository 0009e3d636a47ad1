"""The cost of a file in nats: how much lower its log likelihoods are than those of Keras.

Every TFLite file has a signature that returns a log likelihood, so that no file is judged by its pictures alone. Both
sides get the same images and the same noise, so that the difference is much more exact than the spread over images.
"""

from collections.abc import Callable, Collection

import numpy as np
import tensorflow as tf

from export.signatures import Signatures, names_of
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise
from keras_vae.distributions.sampling import center, draw
from keras_vae.models.vae import VAE
from keras_vae.utils.statistics import standard_error

NUM_IMAGES, NUM_CODES = 200, 20
# These signatures return the log likelihoods that show the cost of each file.
SIGNATURES = {"decoder": "log_likelihood", "encoder": "score", "autoencoder": "reconstruct"}


class Cost:
    """Measures the cost in nats of files of one model.

    Args:
      vae: the model.
      signatures: its `Signatures`.
      x: images `(count, *event_shape)`, up to 200 of them.
      condition: `(count, condition_dim)` or None.
    """

    def __init__(self, vae: VAE, signatures: Signatures, x: np.ndarray, condition: np.ndarray | None) -> None:
        self._x = x[:NUM_IMAGES]
        self._condition = None if condition is None else condition[:NUM_IMAGES]
        self._vae, self._signatures = vae, signatures
        self._expected, self._functions = {}, {}
        self._posterior = vae.encode(self._x, self._condition)

    def of(self, file: str, run: Callable[..., dict], names: Collection[str], batch_size: int) -> dict:
        """Returns by how many nats an image a file differs from Keras, as means over images with standard errors.

        Returns:
          Dict, in which numbers below 0 are a loss. For the decoder and the encoder it has `elbo_change` and the
          importance-weighted `log_likelihood_change`, for the autoencoder `log_likelihood_change` at the center of
          q(z|x). It is empty if `names`, the signatures of the file, lack the one that returns log likelihoods.
        """
        if SIGNATURES[file] not in names:
            return {}
        measure = {"decoder": self._decoder, "encoder": self._encoder, "autoencoder": self._autoencoder}[file]
        if file not in self._expected:
            self._expected[file] = measure(self._keras, batch_size)
        changes = {}
        for name, value in measure(run, batch_size).items():
            change = value - self._expected[file][name]
            changes[f"{name}_change"] = float(change.mean())
            changes[f"{name}_change_standard_error"] = standard_error(change)
        return changes

    def _keras(self, name, **inputs):
        if name not in self._functions:
            self._functions[name] = self._signatures.function(name)
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in self._functions[name](**tensors).items()}

    def _decoder(self, run, batch_size):
        codes, log_ratio = self._codes()
        rows = [self._rows(run, "log_likelihood", batch_size, z=z)["log_likelihood"] for z in codes]
        weights = np.stack(rows).astype(np.float64) - log_ratio
        if not self._vae.encoder.posterior.has_density:
            return {"log_likelihood": weights[0]}
        return {"elbo": weights.mean(axis=0), "log_likelihood": _log_mean_exp(weights)}

    def _codes(self):
        """Returns codes from q(z|x), `(NUM_CODES, count, *latent_shape)`, and log q(z|x) - log p(z)."""
        if not self._vae.encoder.posterior.has_density:
            return center(self._posterior).numpy()[None], np.zeros((1, len(self._x)))
        z = draw(self._posterior, Noise(0, EVALUATION_STREAM), (NUM_CODES,))
        prior = self._vae.prior_distribution(self._condition)
        return z.numpy(), (self._posterior.log_prob(z) - prior.log_prob(z)).numpy()

    def _encoder(self, run, batch_size):
        return self._rows(run, "score", batch_size, seed=np.int32(0))

    def _autoencoder(self, run, batch_size):
        return {"log_likelihood": self._rows(run, "reconstruct", batch_size)["log_likelihood"]}

    def _rows(self, run, name, batch_size, **inputs):
        """Runs a signature on all images, batch by batch; the last batch is filled up with the first images."""
        parts, count = [], len(self._x)
        for start in range(0, count, batch_size):
            part = np.arange(start, start + batch_size) % count
            given = {
                names_of(self._vae).x: self._x[part],
                **{k: v[part] if np.ndim(v) else v for k, v in inputs.items()},
            }
            if self._condition is not None:
                given["condition"] = self._condition[part]
            parts.append(run(name, **given))
        return {key: np.concatenate([part[key] for part in parts])[:count] for key in parts[0]}


def _log_mean_exp(weights):
    largest = weights.max(axis=0)
    return largest + np.log(np.exp(weights - largest).mean(axis=0))
