"""One infinite or undefined number in any weight is seen."""

import numpy as np
import pytest
from helpers import make_vae

from keras_vae.engine.finite import weights_are_finite


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_in_any_weight_is_seen(bad):
    vae = make_vae()
    assert weights_are_finite(vae)
    for weight in vae.trainable_variables:
        before = weight.numpy()
        value = before.copy()
        value.flat[-1] = bad
        weight.assign(value)
        assert not weights_are_finite(vae)
        weight.assign(before)
    assert weights_are_finite(vae)


def test_the_largest_numbers_and_counters_are_finite():
    vae = make_vae()
    largest = np.finfo(np.float32).max
    for weight in vae.weights:
        weight.assign(np.full(weight.shape, largest if "float" in weight.dtype else np.iinfo(weight.dtype).max))
    assert weights_are_finite(vae)
