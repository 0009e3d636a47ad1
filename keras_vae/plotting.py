"""Figures: arrays in, `matplotlib.figure.Figure` out."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, Kind, PositiveFloat, PositiveInt, checked, is_array

INCHES_AN_IMAGE = 0.6


def _array(shape: str) -> Kind:
    rank = shape.count(",") + 1
    return Kind(f"an array {shape}", "arrays", lambda v: is_array(v) and np.ndim(v) == rank)


Pictures = Annotated[np.ndarray, _array("(count, height, width, channels)")]
LatentPoints = Annotated[np.ndarray, _array("(count, dimensions)")]
PicturesOfEach = Annotated[np.ndarray, _array("(count, each, height, width, channels)")]


@checked
def tile(images: Pictures, columns: PositiveInt) -> np.ndarray:
    """Returns images `(count, height, width, channels)` as one image, `columns` in each row, with white gaps."""
    count, height, width, channels = images.shape
    rows = -(-count // checks.positive_int("columns", columns))
    padded = np.ones((rows * columns, height + 1, width + 1, channels), np.float32)
    padded[:count, :height, :width] = images
    grid = padded.reshape(rows, columns, height + 1, width + 1, channels).swapaxes(1, 2)
    return grid.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]


@checked
def image_grid(images: Pictures, columns: PositiveInt, title: str = "") -> Figure:
    """Draws images `(count, height, width, channels)` with values in [0, 1]; others are clipped.

    One channel is drawn as gray and three as color; with any other number only the first channel is drawn.
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


@checked
def reconstructions(x: Pictures, reconstruction: Pictures, columns: PositiveInt = 10) -> Figure:
    """Draws inputs and, below each, its reconstruction; both `(count, height, width, channels)`."""
    columns = min(columns, len(x))
    gap = [(0, -len(x) % columns)] + [(0, 0)] * 3
    x, reconstruction = (np.pad(part, gap, constant_values=1.0) for part in (x, reconstruction))
    pairs = [part[i : i + columns] for i in range(0, len(x), columns) for part in (x, reconstruction)]
    return image_grid(np.concatenate(pairs), columns, "inputs (odd rows) and their reconstructions (even rows)")


@checked
def learning_curve(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draws ELBO, log likelihood and KL over epochs, training and validation, from a Keras history."""
    if not history.get("elbo"):
        raise ValueError(f"`history` must hold the figures of a training, its `elbo`. Received: {sorted(history)}")
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 3), ("elbo", "log_likelihood", "kl"), ("ELBO", "log p(x|z)", "KL(q || p)"), strict=True
    ):
        for prefix, name in (("", "training"), ("val_", "validation")):
            if prefix + key in history:
                values = history[prefix + key]
                axes.plot(range(1, len(values) + 1), values, label=name, marker="." if len(values) < 10 else None)
        axes.set_title(label)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("nats")
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    # The axis leaves out the first epochs, because they would squeeze the rest of the curve into a line.
    curve = np.concatenate([history[k] for k in ("elbo", "val_elbo") if k in history])
    curve = curve[np.isfinite(curve)]
    if curve.size:
        low, high = np.quantile(curve, 0.1), curve.max()
        figure.axes[0].set_ylim(low - 0.05 * (high - low) - 1.0, high + 0.05 * (high - low) + 1.0)
    return figure


@checked
def latent_map(loc: LatentPoints, labels: ArrayLike | None = None) -> Figure:
    """Draws posterior means `(count, 2)` in the plane, colored by labels `(count,)`."""
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


@checked
def traversal_grid(
    images: PicturesOfEach, values: ArrayLike | None = None, dimensions: Sequence[int] | None = None
) -> Figure:
    """Draws decoded traversals: each row is a latent dimension, each column one of its values.

    Args:
      images: array `(rows, steps, height, width, channels)` with values in [0, 1].
      values: the values of the columns, `(steps,)`, which are written below them; or None.
      dimensions: the index of each row's dimension, `(rows,)`; None counts from 0.
    """
    images = np.asarray(images)
    rows, steps, height, width = images.shape[:4]
    picture = image_grid(images.reshape(-1, *images.shape[2:]), steps)
    axes = picture.axes[0]
    axes.set_axis_on()
    for spine in axes.spines.values():
        spine.set_visible(False)
    names = [f"z[{d}]" for d in (range(rows) if dimensions is None else dimensions)]
    axes.set_yticks(np.arange(rows) * (height + 1) + (height - 1) / 2, names)
    labels = [] if values is None else [f"{value:.3g}" for value in values]
    axes.set_xticks(np.arange(len(labels)) * (width + 1) + (width - 1) / 2, labels)
    axes.tick_params(length=0, labelsize=8)
    # The figure grows by the room of the labels, so that the images keep their size.
    inches, room = picture.get_size_inches(), np.array([0.5, 0.3 if labels else 0.0])
    picture.set_size_inches(inches + room)
    axes.set_position((*room / (inches + room), *inches / (inches + room)))
    return picture


@checked
def kl_bars(kl: ArrayLike, threshold: PositiveFloat = 0.01) -> Figure:
    """Draws the KL of each latent dimension, the largest first, and the line above which a dimension is active.

    The axis is linear up to the threshold and logarithmic from there.

    Args:
      kl: array `(latent_dim,)` in nats, for example `kl_per_dimension` of `evaluation.evaluate`.
      threshold: KL above which a dimension is active, in nats, positive.
    """
    kl = np.asarray(kl, np.float64)
    order = np.argsort(-kl, kind="stable")
    active = kl[order] > threshold
    figure = Figure(figsize=(max(4.0, 1.0 + 0.25 * len(kl)), 3), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(len(kl)), kl[order], color=np.where(active, "tab:blue", "lightgray"))
    axes.set_yscale("symlog", linthresh=checks.positive_float("threshold", threshold))
    axes.set_ylim(0.0, 2.0 * max(kl.max(), threshold))
    axes.axhline(threshold, color="black", linestyle="--", linewidth=0.8, label=f"{threshold:g} nats")
    axes.set_xticks(np.arange(len(kl)), order, fontsize=7)
    axes.set_xlabel("latent dimension")
    axes.set_ylabel("nats")
    axes.set_title(f"KL(q || p): {active.sum()} of {len(kl)} dimensions active, {kl.sum():.2f} nats in all")
    axes.legend()
    return figure


@checked
def neighbors(samples: Pictures, nearest: PicturesOfEach) -> Figure:
    """Draws each sample and, to its right behind a gap, the training images nearest to it.

    Args:
      samples: array `(count, height, width, channels)` with values in [0, 1].
      nearest: array `(count, neighbors, height, width, channels)`, `training[latent.nearest_neighbors(...)[0]]`.
    """
    gap = np.ones_like(samples)
    rows = np.concatenate([samples[:, None], gap[:, None], nearest], axis=1)
    return image_grid(rows.reshape(-1, *samples.shape[1:]), rows.shape[1], "samples (left), nearest training images")
