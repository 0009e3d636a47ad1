"""A model that computes in another type than float32 becomes one in float32, and what that changes in nats."""

from typing import Any

import numpy as np
from absl import logging

from export.errors import ExportError
from keras_vae.engine.precision import in_float32, precision_of
from keras_vae.models.vae import VAE
from keras_vae.utils.statistics import standard_error

NUM_CODES = 20
# Rounding may change so many nats an example, or this share of them.
MAX_CHANGE, MAX_SHARE = 1.0, 0.02


def float32_of(vae: VAE, examples: tuple[np.ndarray, np.ndarray | None], measured_on: str) -> tuple[VAE, dict]:
    """Returns the model of the same weights in float32, and what the model card says about it.

    Args:
      vae: the model as it was trained.
      examples: x `(count, *event_shape)`, and conditions `(count, condition_dim)` or None; both models get the same
        noise on them.
      measured_on: what the examples are.

    Returns:
      The model, and a dict: `trained`, what the model computes in; `elbo_change` and `log_likelihood_change`, by how
      many nats an example the one in float32 differs, below 0 for a loss, as means with standard errors, unless q(z|x)
      has no density; `measured_on`.

    Raises:
      ValueError: if Keras cannot make the model again in float32.
      ExportError: if it then is another one.
    """
    exact, (x, condition) = in_float32(vae), examples
    facts: dict[str, Any] = {"trained": precision_of(vae), "measured_on": measured_on}
    line = f"trained in {facts['trained']}, exported in float32"
    if vae.encoder.posterior.has_density:
        before, after = (model.bounds(x, NUM_CODES, seed=0, condition=condition) for model in (vae, exact))
        for name, old, new in zip(("elbo", "log_likelihood"), before, after, strict=True):
            change = np.asarray(new, np.float64) - old
            facts |= {f"{name}_change": float(change.mean()), f"{name}_change_standard_error": standard_error(change)}
            if not abs(change.mean()) <= max(MAX_CHANGE, MAX_SHARE * abs(float(np.mean(old)))):
                raise ExportError(
                    f"in float32 the {name} is {change.mean():+.2f} nats from that in {facts['trained']}, which "
                    "rounding does not explain: a layer may keep something beside its weights"
                )
        line += f": that changes the ELBO by {facts['elbo_change']:+.3f} nats ({measured_on})"
    logging.info("%s", line)
    return exact, facts
