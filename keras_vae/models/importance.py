"""Importance-weighted estimates of log p(x), in chunks of bounded memory."""

import contextlib
import functools
import itertools
import math
import os
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from keras_vae.data.examples import Examples
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise, as_word
from keras_vae.engine.block_steps import gains_from_fused_layers, gains_from_xla
from keras_vae.engine.custom_gradients import forgets_custom_gradients
from keras_vae.engine.fused_layers import fused_layers
from keras_vae.models.kept_bounds import KeptBounds
from keras_vae.objectives import log_weight
from keras_vae.utils import checks

# From this number of decoded samples on, XLA saves more time than it takes to compile the loop.
MIN_DECODES_FOR_XLA = 200_000
BATCH_SIZE, CHUNK = 100, 10
# Examples that are looked at together to tell whether a file belongs to them.
PART = 1000


class ImportanceSampler:
    """Computes bounds of log p(x) for a model, and keeps the compiled loops for the next call.

    Args:
      vae: the model.
    """

    def __init__(self, vae: keras.Model) -> None:
        self._vae = vae
        self._functions = {}

    def bounds(
        self, examples: Examples, num_samples: int, seed: int, progress_file: str | os.PathLike | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean log weight and the log mean weight of each example, both `(count,)` in nats.

        See `VAE.bounds` for `progress_file`.
        """
        checks.positive_int("num_samples", num_samples)
        values, count, labels = examples.reader(seed), len(examples), cast(Any, examples.labels)
        # Examples of about one length are computed together.
        lengths = self._vae.lengths_of(examples)
        order = np.arange(count) if lengths is None else np.argsort(lengths, kind="stable")
        batch_size = min(BATCH_SIZE, count)
        chunk = max(size for size in range(1, min(num_samples, CHUNK) + 1) if num_samples % size == 0)
        compute = self._function(count * num_samples)
        # Equal data have equal parts, wherever they are.
        parts = (values(np.arange(i, min(i + PART, count))) for i in range(0, count, PART))
        kept = KeptBounds(progress_file, self._vae, itertools.chain((num_samples, seed, labels), parts))
        results = kept.read()
        done = sum(part.shape[1] for part in results)
        for start in range(done, count, batch_size):
            number = start // batch_size
            # The last batch is filled up, so that all batches have the compiled shape.
            index = order[np.minimum(np.arange(start, start + batch_size), count - 1)]
            condition = None if self._vae.condition_dim is None else self._vae.as_condition(labels[index])
            means = compute(
                tf.constant(values(index)), condition, as_word(seed), tf.constant(number), num_samples // chunk, chunk
            )
            results.append(np.stack([mean.numpy()[: count - start] for mean in means]))
            kept.keep(results, count)
        of_order = np.concatenate(results, axis=1)
        elbos, bounds = of_order[:, np.argsort(order)]
        return elbos, bounds

    def _function(self, num_decodes):
        is_long = num_decodes >= MIN_DECODES_FOR_XLA
        jit_compile, fuses = is_long and gains_from_xla(self._vae), is_long and gains_from_fused_layers(self._vae)
        if (jit_compile, fuses) not in self._functions:
            compute = functools.partial(self._compute, trims=not jit_compile, fuses=fuses)
            self._functions[jit_compile, fuses] = tf.function(compute, jit_compile=jit_compile, autograph=False)
        return self._functions[jit_compile, fuses]

    def _compute(self, *args, trims, fuses):
        with fused_layers(self._vae) if fuses else contextlib.nullcontext():
            return self._bounds(*args, trims)

    @forgets_custom_gradients
    def _bounds(self, x, condition, seed, batch_number, num_chunks, chunk, trims):
        x = self._vae.decoder.likelihood.trimmed(x) if trims else x
        batch = self._vae.encode_batch(x, condition)

        @forgets_custom_gradients
        def step(i, mean, log_sum):
            stream = EVALUATION_STREAM + tf.cast(batch_number, tf.int64) * num_chunks + tf.cast(i, tf.int64)
            batch.noise = Noise(seed, stream)
            z = batch.draw(chunk)
            weights = log_weight(batch.log_likelihood(z), batch.posterior, batch.prior, z)
            weights = tf.ensure_shape(weights, (chunk, x.shape[0]))  # the layers of a trunk may have lost it
            mean += tf.reduce_sum(weights, axis=0) / (num_chunks * chunk)
            return i + 1, mean, tf.reduce_logsumexp(tf.concat([weights, log_sum[None]], 0), axis=0)

        start = (tf.constant(0), tf.zeros(x.shape[0]), tf.fill((x.shape[0],), -math.inf))
        _, mean, log_sum = tf.while_loop(lambda i, *_: i < num_chunks, step, start)
        return mean, log_sum - math.log(num_chunks * chunk)
