"""A random split of examples into a training and a test part."""

import numpy as np

from keras_vae.utils.arguments import Fraction, PositiveInt, Seed, checked


@checked
def held_out(count: PositiveInt, test_fraction: Fraction, seed: Seed) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of a random split into a training and a test part.

    Args:
      count: number of examples, a positive integer.
      test_fraction: share of the examples in the test part, in (0, 1).
      seed: seed of the split.

    Returns:
      Integer arrays of the training and of the test part; neither is empty.

    Raises:
      ValueError: if `test_fraction` is not in (0, 1) or leaves a part empty.
    """
    size = round(count * test_fraction)
    if not 0 < size < count:
        raise ValueError(
            f"`test_fraction` must be in (0, 1) and leave examples on both sides. "
            f"Received: test_fraction={test_fraction!r} of {count} examples"
        )
    order = np.random.default_rng(seed).permutation(count)
    return order[size:], order[:size]
