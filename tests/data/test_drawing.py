"""Draws of examples: their statistics, and that they are the same wherever they are computed."""

import itertools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from helpers import make_vae

import keras_vae as kv
from keras_vae.data import Examples, binarize, dequantize
from keras_vae.data.drawing import Undrawn, drawn, keys_of_rows, words_of

LEVELS = np.arange(256, dtype=np.uint8)


def words(seed=0, epoch=0, rows=512, places=2048):
    return words_of(tf.constant(keys_of_rows(seed, epoch, rows)), places).numpy()


def test_words_are_those_of_the_hash_as_it_is_published():
    # The mixer in Python's integers, which are as long as they need to be.
    def mix(place, first, second):
        word = (place * 0x9E3779B9 + first) % 2**32
        word = (word ^ (word >> 17)) * 0xED5AD4BB % 2**32
        word = word ^ second
        word = (word ^ (word >> 11)) * 0xAC4C1B51 % 2**32
        word = (word ^ (word >> 15)) * 0x31848BAB % 2**32
        return word ^ (word >> 14)

    keys = keys_of_rows(3, 5, 4)
    expected = [[mix(place, *map(int, key)) for place in range(9)] for key in keys]
    np.testing.assert_array_equal(words_of(tf.constant(keys), 9), np.array(expected, np.uint32))


def test_keys_are_philox_and_differ_between_rows_epochs_and_seeds():
    keys = [keys_of_rows(seed, epoch, 10_000) for seed, epoch in itertools.product((0, 1), (0, 1))]
    assert all(part.dtype == np.uint32 and part.shape == (10_000, 2) for part in keys)
    assert len(np.unique(np.concatenate(keys).view(np.uint64))) == 40_000
    again = np.random.Philox(key=np.array([1, 0], np.uint64)).random_raw(10_000)
    np.testing.assert_array_equal(keys[2][:, 0] + keys[2][:, 1].astype(np.uint64) * 2**32, again)


def test_each_bit_is_one_half_and_independent_of_every_other():
    bits = np.unpackbits(words().view(np.uint8)).reshape(-1, 32).astype(np.float64) - 0.5
    count = len(bits)
    assert np.abs(bits.mean(axis=0)).max() < 5 * 0.5 / np.sqrt(count)
    together = bits.T @ bits / count - 0.25 * np.eye(32)
    assert np.abs(together).max() < 5 * 0.25 / np.sqrt(count)


@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_bytes_are_uniform(shift):
    counts = np.bincount((words() >> shift).ravel() & 255, minlength=256)
    assert 1e-4 < scipy.stats.chisquare(counts).pvalue < 1 - 1e-4


@pytest.mark.parametrize(
    "pair",
    [
        lambda u: (u[:, :-1], u[:, 1:]),
        lambda u: (u[:, :-28], u[:, 28:]),
        lambda u: (u[:-1], u[1:]),
        lambda u: (u[:-1, :-1], u[1:, 1:]),
        lambda u: (u, words(epoch=1) / 2**32),
        lambda u: (u, words(seed=1) / 2**32),
    ],
    ids=["places", "lines", "rows", "both", "epochs", "seeds"],
)
def test_neighbors_are_independent(pair):
    a, b = (part.ravel() for part in pair(words() / 2**32))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))
    together = np.histogram2d(a, b, bins=16, range=[[0, 1]] * 2)[0].ravel()
    assert 1e-4 < scipy.stats.chisquare(together).pvalue < 1 - 1e-4


def test_rows_of_close_keys_are_independent():
    keys = np.uint32([[0, 0], [1, 0], [0, 1], [0, 3], [2**31, 0], [0, 2**31], [0x9E3779B9, 2]])
    uniform = words_of(tf.constant(keys), 2**18).numpy() / 2**32
    for shift in (0, 1):  # the last of them is the first one shifted by a place, but for its other half
        a, b = uniform[:, : 2**18 - shift], uniform[:, shift:]
        correlations = np.corrcoef(a, b)[: len(keys), len(keys) :]
        np.fill_diagonal(correlations, 0.0)
        assert np.abs(correlations).max() < 5 / 2**9


def undrawn(values, noise="bernoulli", divisor=255, levels=0, epoch=0):
    keys = tf.constant(keys_of_rows(0, epoch, len(values)))
    return Undrawn(tf.constant(values), keys, noise, divisor, levels)


@pytest.mark.parametrize("divisor", [1, 3, 100, 255])
def test_levels_and_the_probabilities_that_they_stand_for_have_the_same_draws(divisor):
    levels = np.broadcast_to(np.arange(divisor + 1, dtype=np.uint8), (5000, divisor + 1))
    found = undrawn(levels, divisor=divisor).draw().numpy()
    np.testing.assert_array_equal(found, undrawn(levels / np.float32(divisor)).draw())
    probability = np.arange(divisor + 1) / divisor
    error = np.sqrt(probability * (1 - probability) / len(levels))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - probability), 5 * error + 1e-12)
    assert not found[:, 0].any()
    assert found[:, -1].all()


@pytest.mark.parametrize("count", [2, 5, 220, 256])
def test_noise_of_levels_stays_in_its_level(count):
    levels = np.broadcast_to(np.arange(count, dtype=np.uint8), (5000, count))
    found = undrawn(levels, "uniform", count - 1, count).draw().numpy() * np.float64(count)
    assert -1e-4 < (found - levels).min() < 0.01
    assert 0.99 < (found - levels).max() < 1.0001
    assert found.max() <= count


def test_noise_of_levels_is_uniform():
    levels = np.broadcast_to(LEVELS, (5000, 256))
    found = undrawn(levels, "uniform", levels=256).draw().numpy() * 256
    np.testing.assert_array_equal(np.floor(found), levels)
    assert scipy.stats.kstest((found - levels).ravel()[:: 2**6], "uniform").pvalue > 1e-4
    floats = undrawn(levels / np.float32(255), "uniform", levels=256).draw().numpy() * 256
    np.testing.assert_allclose(floats, found, atol=1e-3)


IMAGES = Examples(np.tile(LEVELS, (40, 1)).reshape(40, 16, 16, 1), divisor=255.0)


@pytest.mark.parametrize(
    ("examples", "dtype", "ulp"),
    [
        (binarize(IMAGES, "dynamic"), tf.uint8, 0),
        (dequantize(IMAGES), tf.uint8, 0),
        (Examples(IMAGES.numpy() * np.float32(0.7), noise="bernoulli"), tf.float32, 0),
        (Examples(IMAGES.values, divisor=255.5, noise="bernoulli"), tf.float32, 0),
        (Examples(IMAGES.values > 99, noise="bernoulli"), tf.float32, 0),
        # Here a product and a sum may be one operation.
        (Examples(IMAGES.numpy(), noise="uniform", levels=200), tf.float32, 4),
    ],
    ids=["bernoulli", "uniform", "floats", "no whole divisor", "bool", "floats of levels"],
)
def test_xla_draws_the_same(examples, dtype, ulp):
    block = next(iter(examples.blocks(8, 5)))
    assert isinstance(block.batches[0], Undrawn)
    assert block.batches[0].values.dtype == dtype
    expected, compiled = drawn(block.batches[0]).numpy(), tf.function(drawn, jit_compile=True)
    for found in (compiled(block.batches[0]), [drawn(block.batches[0][step]) for step in range(5)]):
        np.testing.assert_array_max_ulp(np.float32(found), np.float32(expected), ulp)


@pytest.mark.parametrize("seed", [np.int64(3), np.uint32(3), np.uint64(3)], ids=lambda seed: type(seed).__name__)
@pytest.mark.parametrize("noise", ["bernoulli", None])
def test_seeds_of_numpy_are_seeds(seed, noise):
    examples = Examples(IMAGES.values, divisor=255.0, noise=noise)
    for found, expected in zip(
        *(examples.batches(7, seed=s).take(3).as_numpy_iterator() for s in (seed, 3)), strict=True
    ):
        np.testing.assert_array_equal(found[0], expected[0])


def test_uniform_noise_needs_levels():
    with pytest.raises(ValueError, match=r"^`levels` must be given with noise='uniform', .*Received: None$"):
        Examples(IMAGES.values, divisor=255.0, noise="uniform")


def test_a_step_of_a_subclass_gets_what_is_drawn():
    seen = []

    class Own(kv.VAE):
        def train_step(self, data):
            seen.append((data[0].dtype, data[0].shape))
            return super().train_step(data)

    parts = make_vae((16, 16, 1))
    vae = Own(parts.encoder, parts.decoder, seed=0)
    vae.compile()
    vae.fit(binarize(IMAGES, "dynamic"), batch_size=8, epochs=2, verbose=0)
    assert set(seen) == {(tf.float32, (8, 16, 16, 1))}


class EachBatch(keras.callbacks.Callback):
    """Looks at each batch, so that none are in blocks."""

    def on_test_batch_end(self, batch, logs=None):
        pass


def test_evaluation_in_blocks_and_step_by_step_has_the_same_draws():
    vae = make_vae((16, 16, 1))
    images = binarize(IMAGES, "dynamic")
    one_by_one = vae.evaluate(images, batch_size=8, verbose=0, return_dict=True, callbacks=[EachBatch()])
    assert vae.evaluate(images, batch_size=8, verbose=0, return_dict=True) == pytest.approx(one_by_one, rel=1e-6)


def test_a_row_has_its_draw_in_any_order_and_any_batch():
    images = binarize(Examples(np.tile(LEVELS, (30, 1)), divisor=255.0), "dynamic")
    ordered = np.concatenate([x for x, _, _ in images.batches(10, shuffle=False, seed=4).take(3).as_numpy_iterator()])
    numbered = Examples(images.values, labels=np.arange(30), divisor=255.0, noise="bernoulli")
    for x, labels, weight in numbered.batches(7, seed=4).take(5).as_numpy_iterator():
        np.testing.assert_array_equal(x[weight > 0], ordered[labels[weight > 0]])
