"""Figures: arrays in, `matplotlib.figure.Figure` out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from keras_vae import checks

INCHES_AN_IMAGE = 0.6


def tile(images: np.ndarray, columns: int) -> np.ndarray:
    """Returns images `(count, height, width, channels)` side by side, `columns` a row, as one image; gaps are white."""
    count, height, width, channels = images.shape
    rows = -(-count // checks.positive_int("columns", columns))
    padded = np.ones((rows * columns, height + 1, width + 1, channels), np.float32)
    padded[:count, :height, :width] = images
    grid = padded.reshape(rows, columns, height + 1, width + 1, channels).swapaxes(1, 2)
    return grid.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]


def image_grid(images: np.ndarray, columns: int, title: str = "") -> Figure:
    """Draws images `(count, height, width, channels)` with values in [0, 1]; others are clipped.

    One and three channels are drawn as grey and colour, of any other number the first.
    """
    picture = np.clip(tile(np.asarray(images, np.float32), columns), 0.0, 1.0)
    if picture.shape[-1] != 3:
        picture = picture[..., 0]
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * INCHES_AN_IMAGE, rows * INCHES_AN_IMAGE + (0.3 if title else 0.0)))
    axes = figure.add_axes((0, 0, 1, 1 - (0.3 / figure.get_figheight() if title else 0.0)))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=9, y=0.995, va="top")
    return figure


def reconstructions(x: np.ndarray, reconstruction: np.ndarray, columns: int = 10) -> Figure:
    """Draws inputs and, below each, its reconstruction; both `(count, height, width, channels)`."""
    columns = min(columns, len(x))
    gap = [(0, -len(x) % columns)] + [(0, 0)] * 3
    x, reconstruction = (np.pad(part, gap, constant_values=1.0) for part in (x, reconstruction))
    pairs = [part[i : i + columns] for i in range(0, len(x), columns) for part in (x, reconstruction)]
    return image_grid(np.concatenate(pairs), columns, "inputs (odd rows) and their reconstructions (even rows)")


def learning_curve(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draws ELBO, log likelihood and KL over epochs, training and validation, from a Keras history."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 3), ("elbo", "log_likelihood", "kl"), ("ELBO", "log p(x|z)", "KL(q || p)"), strict=True
    ):
        for prefix, name in (("", "training"), ("val_", "validation")):
            if prefix + key in history:
                values = history[prefix + key]
                axes.plot(range(1, len(values) + 1), values, label=name)
        axes.set_title(label)
        axes.set_xlabel("epoch")
        axes.set_ylabel("nats")
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    # The first epochs of training would squeeze the rest of the curve into a line.
    curve = np.concatenate([history[k] for k in ("elbo", "val_elbo") if k in history])
    curve = curve[np.isfinite(curve)]
    if curve.size:
        low, high = np.quantile(curve, 0.1), curve.max()
        figure.axes[0].set_ylim(low - 0.05 * (high - low) - 1.0, high + 0.05 * (high - low) + 1.0)
    return figure


def latent_map(loc: np.ndarray, labels: np.ndarray | None = None) -> Figure:
    """Draws posterior means `(count, 2)` in the plane, coloured by labels `(count,)`."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(loc[:, 0], loc[:, 1], c=labels, s=4, cmap=None if labels is None else "tab10", linewidths=0)
    if labels is not None:
        figure.colorbar(points, label="label")
    axes.set_xlabel("z[0]")
    axes.set_ylabel("z[1]")
    axes.set_title("means of q(z|x)")
    axes.set_aspect("equal")
    return figure
