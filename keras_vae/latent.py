"""Walks in latent space."""

import numpy as np

from keras_vae import checks


def interpolate(start, end, steps: int = 10, mode: str = "linear") -> np.ndarray:
    """Returns points between two latent codes, both ends included.

        linear:     (1 - t) start + t end
        spherical:  (sin((1 - t) w) start + sin(t w) end) / sin(w),  w the angle between them

    The spherical path keeps to the radii between the two ends, where N(0, I) has its mass in high dimension (White,
    "Sampling generative networks", 2016). For parallel ends it is the linear one.

    Args:
      start: code `(latent_dim,)`.
      end: code `(latent_dim,)`.
      steps: number of points, at least 1.
      mode: "linear" or "spherical".

    Returns:
      Array `(steps, latent_dim)`, float32.
    """
    checks.one_of("mode", mode, ("linear", "spherical"))
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    t = np.linspace(0.0, 1.0, checks.positive_int("steps", steps))[:, None]
    weights = 1.0 - t, t
    if mode == "spherical":
        norms = np.linalg.norm(start) * np.linalg.norm(end)
        angle = np.arccos(np.clip(start @ end / norms, -1.0, 1.0)) if norms else 0.0
        if np.sin(angle) > 1e-6:
            weights = np.sin((1.0 - t) * angle) / np.sin(angle), np.sin(t * angle) / np.sin(angle)
    return (weights[0] * start + weights[1] * end).astype(np.float32)
