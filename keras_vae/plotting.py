"""Figures: arrays in, `matplotlib.figure.Figure` out.

Examples are drawn by their shape, all by `example_grid`: images `(height, width, channels)` as pictures, series
`(time, channels)` as lines, vectors `(values,)` as bars. Examples of any other shape are flattened to vectors.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, Kind, PositiveFloat, PositiveInt, checked, is_array

INCHES_AN_IMAGE = 0.6
# Width and height of a plot of a series or a vector, in inches, and the height of the line of text below all of them.
_PLOT_INCHES, _TEXT_INCHES = (1.0, 0.7), 0.2
# In the units of the axes, in which a pixel of a picture is 1, a plot has this width and height, and a gap of 1.
_SIDE = 19
# With more values than this, a vector is drawn as a line.
_MOST_BARS = 64
# With more channels than this, only the first ones of a series are drawn.
_MOST_CHANNELS = 10


def _array(shape: str) -> Kind:
    rank, open_end = shape.count(",") + 1, shape.endswith("...)")
    accepts = (lambda v: np.ndim(v) >= rank) if open_end else (lambda v: np.ndim(v) == rank)
    return Kind(f"an array {shape}", "arrays", lambda v: is_array(v) and accepts(v))


Pictures = Annotated[np.ndarray, _array("(count, height, width, channels)")]
LatentPoints = Annotated[np.ndarray, _array("(count, dimensions)")]
ExamplesOfAnyShape = Annotated[np.ndarray, _array("(count, ...)")]
ExamplesOfEach = Annotated[np.ndarray, _array("(count, each, ...)")]


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
def example_grid(examples: ExamplesOfAnyShape, columns: PositiveInt, title: str = "") -> Figure:
    """Draws examples of any shape, `columns` in each row.

    Images `(count, height, width, channels)` are drawn by `image_grid`. Series `(count, time, channels)` are plots with
    a line for each of the first ten channels. Vectors `(count, values)` are plots with a bar for each value, or with a
    line if there are more than 64. Examples of any other shape are flattened to vectors. All plots have the same axes,
    whose ranges are written below them. Values that are not finite are left out.
    """
    if np.ndim(examples) == 4:
        return image_grid(examples, columns, title)
    values = np.asarray(examples, np.float32)
    if values.ndim == 3:
        return _plot_grid(values[..., :_MOST_CHANNELS], columns, title)
    values = values.reshape(len(values), -1, 1)
    return _plot_grid(values, columns, title, is_bars=values.shape[1] <= _MOST_BARS)


def _plot_grid(values, columns, title, is_bars=False):
    """Draws a plot for each of `values` `(count, length, channels)`."""
    (count, length, channels), (low, high) = values.shape, _range_of(values, is_bars)
    axes = _axes_of_plots(count, columns, title)
    name = "values" if channels == 1 else f"values of {channels} channels"
    text = f"in each plot: {name} from {low:.3g} to {high:.3g} over the index from 0 to {length - 1}"
    axes.figure.text(0.5, 0.04 / axes.figure.get_figheight(), text, fontsize=7, ha="center", va="bottom")
    top, left = (_SIDE + 1.0) * np.stack(np.divmod(np.arange(count), columns)) - 0.5
    x = left[:, None] + _SIDE * (np.arange(length) + 0.5) / length

    def height_of(value):
        return top[:, None, None] + _SIDE * (0.05 + 0.9 * (high - value) / (high - low))

    drawn = np.isfinite(values).any(axis=(1, 2))
    corners = left[drawn, None] + [0, _SIDE, _SIDE, 0, 0], top[drawn, None] + [0, 0, _SIDE, _SIDE, 0]
    _draw_lines(axes, *corners, color="0.8", linewidth=0.6)
    y, base = height_of(values), height_of(np.clip(0.0, low, high)) + 0.0 * x[..., None]
    if is_bars:
        width = 0.7 * 72.0 * axes.figure.get_figwidth() / columns / length
        bars = np.concatenate([base, y], axis=-1)
        _draw_lines(axes, np.stack([x, x], axis=-1), bars, color="C0", linewidth=width, solid_capstyle="butt")
        return axes.figure
    if low <= 0.0 <= high:
        _draw_lines(axes, corners[0][:, :2], base[drawn][:, [0, 0], 0], color="0.8", linewidth=0.6)
    for channel in range(channels):
        marker = "." if length <= _MOST_BARS // 4 else None
        _draw_lines(axes, x, y[..., channel], color=f"C{channel}", linewidth=0.8, marker=marker, markersize=3)
    return axes.figure


def _range_of(values, with_zero):
    """Returns the range of the plots: that of the values, and with 0 for bars, unless 0 is far from all of them."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if with_zero and max(low, -high) <= high - low:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _axes_of_plots(count, columns, title):
    """Returns axes with the units of a picture of `tile`, y downwards, in a figure with room for the text below."""
    rows, (width, height) = -(-count // columns), _PLOT_INCHES
    bottom, top = _TEXT_INCHES, 0.3 if title else 0.05
    figure = Figure(figsize=(max(columns, 4) * width, rows * height + bottom + top))
    whole = figure.get_figheight()
    axes = figure.add_axes((0.005, bottom / whole, 0.99, 1.0 - (bottom + top) / whole))
    axes.set_xlim(-1.0, columns * (_SIDE + 1.0) - 1.0)
    axes.set_ylim(rows * (_SIDE + 1.0) - 1.0, -1.0)
    axes.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=9, y=1.0 - 0.05 / whole, va="top")
    return axes


def _draw_lines(axes, x, y, **style):
    """Draws a line through each row of x and y, all of them as one object, which is much faster than many."""
    gap = [(0, 0)] * (x.ndim - 1) + [(0, 1)]
    axes.plot(*(np.pad(part, gap, constant_values=np.nan).ravel() for part in (x, y)), **style)


def _blank(examples):
    """Returns examples of the same shape of which nothing is seen in a grid: white images, or no values."""
    return np.full(examples.shape, 1.0 if examples.ndim == 4 else np.nan, np.float32)


@checked
def reconstructions(x: ExamplesOfAnyShape, reconstruction: ExamplesOfAnyShape, columns: PositiveInt = 10) -> Figure:
    """Draws inputs and, below each, its reconstruction; both `(count, *event_shape)`, drawn by `example_grid`."""
    columns = min(columns, len(x))
    fill = _blank(np.asarray(x)[:1]).repeat(-len(x) % columns, axis=0)
    x, reconstruction = (np.concatenate([part, fill]) for part in (x, reconstruction))
    pairs = [part[i : i + columns] for i in range(0, len(x), columns) for part in (x, reconstruction)]
    return example_grid(np.concatenate(pairs), columns, "inputs (odd rows) and their reconstructions (even rows)")


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
    images: ExamplesOfEach, values: ArrayLike | None = None, dimensions: Sequence[int] | None = None
) -> Figure:
    """Draws decoded traversals: each row is a latent dimension, each column one of its values.

    Args:
      images: array `(rows, steps, *event_shape)`, which `example_grid` draws; pictures have values in [0, 1].
      values: the values of the columns, `(steps,)`, which are written below them; or None.
      dimensions: the index of each row's dimension, `(rows,)`; None counts from 0.
    """
    images = np.asarray(images)
    rows, steps = images.shape[:2]
    height, width = images.shape[2:4] if images.ndim == 5 else (_SIDE, _SIDE)
    picture = example_grid(images.reshape(-1, *images.shape[2:]), steps)
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
    corner, size = axes.get_position().min * inches, axes.get_position().size * inches
    picture.set_size_inches(inches + room)
    axes.set_position((*(corner + room) / (inches + room), *size / (inches + room)))
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
def neighbors(samples: ExamplesOfAnyShape, nearest: ExamplesOfEach) -> Figure:
    """Draws each sample and, to its right behind a gap, the training examples nearest to it.

    Args:
      samples: array `(count, *event_shape)`, which `example_grid` draws; pictures have values in [0, 1].
      nearest: array `(count, neighbors, *event_shape)`, `training[latent.nearest_neighbors(...)[0]]`.
    """
    samples = np.asarray(samples)
    rows = np.concatenate([samples[:, None], _blank(samples)[:, None], nearest], axis=1)
    kind = "images" if samples.ndim == 4 else "examples"
    title = f"samples (left), nearest training {kind}"
    return example_grid(rows.reshape(-1, *samples.shape[1:]), rows.shape[1], title)
