"""A random split of examples in two."""

import numpy as np

from keras_vae.utils import checks
from keras_vae.utils.arguments import Fraction, PositiveInt, Seed, checked


@checked
def held_out(count: PositiveInt, test_fraction: Fraction, seed: Seed) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of a random split, training and test part, neither empty.

    Raises:
      ValueError: if `test_fraction` is not in (0, 1) or leaves a part empty.
    """
    size = round(count * checks.positive_float("test_fraction", test_fraction))
    if not 0 < size < count:
        raise ValueError(
            f"`test_fraction` must be in (0, 1) and leave examples on both sides. "
            f"Received: test_fraction={test_fraction!r} of {count} examples"
        )
    order = np.random.default_rng(seed).permutation(count)
    return order[size:], order[:size]
