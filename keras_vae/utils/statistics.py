"""Statistics that several measures share."""

import math

import numpy as np

from keras_vae.utils.arguments import checked

ACTIVE_VARIANCE = 0.01


@checked
def standard_error(values: np.ndarray) -> float:
    """Returns the standard error of the mean of `values` `(count,)`; 0 for one value."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
