"""Walks in latent space."""

import numpy as np

from keras_vae import checks


def interpolate(start, end, steps: int = 10, mode: str = "linear") -> np.ndarray:
    """Returns points between two latent codes, both ends included.

        linear:     (1 - t) start + t end
        spherical:  r(t) (sin((1 - t) w) u + sin(t w) v) / sin(w)

    with u, v the directions of the ends, w the angle between them, and r(t) linear from radius to radius. The spherical
    path keeps to the radii between the two ends, where N(0, I) has its mass in high dimension (White, "Sampling
    generative networks", 2016). For parallel or opposite ends it is the linear one.

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
    path = (1.0 - t) * start + t * end
    if mode == "spherical":
        radii = np.linalg.norm(start), np.linalg.norm(end)
        angle = np.arccos(np.clip(start @ end / np.prod(radii), -1.0, 1.0)) if np.prod(radii) else 0.0
        if np.sin(angle) > 1e-6:
            direction = np.sin((1.0 - t) * angle) * start / radii[0] + np.sin(t * angle) * end / radii[1]
            path = ((1.0 - t) * radii[0] + t * radii[1]) * direction / np.sin(angle)
    return path.astype(np.float32)
