"""The codes of a data set: the centers of its posteriors."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_vae.data.examples import Examples
from keras_vae.distributions.sampling import center
from keras_vae.engine.inputs import data_examples, presented
from keras_vae.models.vae import VAE
from keras_vae.utils.arguments import ArrayLike, Texts, checked

BATCH_SIZE = 1000


@checked
def batches(vae: VAE, examples: Examples) -> Iterator[tuple]:
    """Yields tensors x and condition of up to `BATCH_SIZE` examples at a time; condition is None if there is none."""
    read = presented(examples, vae.event_dtype).reader()
    for start in range(0, len(examples), BATCH_SIZE):
        part = np.arange(start, min(start + BATCH_SIZE, len(examples)))
        condition = None if vae.condition_dim is None else vae.as_condition(examples.labels[part])  # type: ignore[index]
        yield tf.constant(read(part)), condition


@checked
def posterior_centers(vae: VAE, data: Examples | ArrayLike | Texts) -> np.ndarray:
    """Returns the center of q(z|x) of each example, `(count, *latent_shape)`, which is the mean for a Gaussian."""
    examples = data_examples(vae, data)
    return np.concatenate([center(vae.encode(x, c)).numpy() for x, c in batches(vae, examples)])
