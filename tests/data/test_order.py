"""The order of an epoch."""

import numpy as np
import pytest

from keras_vae.data.order import epoch_order

LENGTHS = np.random.default_rng(0).integers(1, 50, 1003)


def test_without_lengths_it_is_a_plain_shuffle():
    expected = np.arange(10)
    np.random.default_rng((3, 2)).shuffle(expected)
    np.testing.assert_array_equal(epoch_order(10, True, 3, 2, 4), expected)
    np.testing.assert_array_equal(epoch_order(10, False, 3, 2, 4), np.arange(10))


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1003, 2000])
def test_each_example_comes_once_and_batches_are_of_about_one_length(batch_size):
    orders = [epoch_order(1003, True, 0, epoch, batch_size, LENGTHS) for epoch in (0, 0, 1)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(1003))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
    batches = np.split(LENGTHS[orders[0]], range(batch_size, 1003, batch_size))
    if batch_size == 7:  # 448 examples in a window have lengths from 1 to 49
        assert np.mean([batch.max() - batch.min() for batch in batches[:-1]]) < 3
        # Short and long batches take turns.
        assert abs(np.corrcoef([batch.mean() for batch in batches[:-1]], range(len(batches) - 1))[0, 1]) < 0.3
