"""Statistics that several rooms share."""

import math

import numpy as np

from keras_vae.utils.arguments import checked

# A latent dimension is active if the variance of its posterior mean over the data is above this.
ACTIVE_VARIANCE = 0.01


@checked
def standard_error(values: np.ndarray) -> float:
    """Returns the standard error of the mean of `values` `(count,)`; 0 for one value."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
