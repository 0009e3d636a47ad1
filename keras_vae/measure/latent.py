"""Tools for the latent space: paths and directions in it, nearest neighbors and anomalies."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.distributions.sampling import center
from keras_vae.models.vae import VAE
from keras_vae.utils.arguments import ArrayLike, Fraction, NoiseSeed, NonNegativeInt, PositiveInt, Seed, checked
from keras_vae.utils.optional import scikit_learn
from keras_vae.utils.split import held_out

# The search for neighbors multiplies matrices of at most so many examples, which gives 80 MB of distances.
MAX_SAMPLES, MAX_TRAINING = 1000, 10_000


class Probe(NamedTuple):
    """A linear classifier of codes.

    Attributes:
      directions: float32 `(num_classes, *latent_shape)`, the gradient of each class's logit with respect to z, in nats
        per unit of z; for two classes it has one row `(1, *latent_shape)`, which points to the second.
      classes: the labels in order, `(num_classes,)`.
      accuracy: share of held-out examples that are classified correctly.
      chance: share of held-out examples in the class that is most frequent among the others, which is the accuracy of a
        classifier that ignores the codes.
    """

    directions: np.ndarray
    classes: np.ndarray
    accuracy: float
    chance: float


@checked
def interpolate(
    start: ArrayLike, end: ArrayLike, steps: PositiveInt = 10, mode: Literal["linear", "spherical"] = "linear"
) -> np.ndarray:
    """Returns points between two latent codes, both ends included.

        linear:     (1 - t) start + t end
        spherical:  r(t) (sin((1 - t) w) u + sin(t w) v) / sin(w)

    with u, v the directions of the ends, w the angle between them, and r(t) linear from radius to radius. The radii of
    the spherical path lie between those of the ends; in high dimension N(0, I) has nearly all its mass near one radius,
    which a straight line would leave (White, "Sampling generative networks", 2016). For parallel or opposite ends the
    spherical path is the linear one.

    Args:
      start: code, an array of the shape of z.
      end: code of the same shape.
      steps: number of points, at least 1.
      mode: "linear" or "spherical".

    Returns:
      Array `(steps, *latent_shape)`, float32.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if start.shape != end.shape:
        raise ValueError(f"`end` must have the shape of `start`, {start.shape}. Received: end with shape {end.shape}")
    t = np.linspace(0.0, 1.0, steps).reshape(-1, *[1] * start.ndim)
    path = (1.0 - t) * start + t * end
    if mode == "spherical":
        radii = np.linalg.norm(start), np.linalg.norm(end)
        angle = np.arccos(np.clip(np.vdot(start, end) / np.prod(radii), -1.0, 1.0)) if np.prod(radii) else 0.0
        if np.sin(angle) > 1e-6:
            direction = np.sin((1.0 - t) * angle) * start / radii[0] + np.sin(t * angle) * end / radii[1]
            path = ((1.0 - t) * radii[0] + t * radii[1]) * direction / np.sin(angle)
    return path.astype(np.float32)


@checked
def interpolate_between(
    vae: VAE,
    start: ArrayLike | str,
    end: ArrayLike | str,
    steps: PositiveInt = 10,
    mode: Literal["linear", "spherical"] = "linear",
    condition: NonNegativeInt | ArrayLike | None = None,
) -> np.ndarray | list[str]:
    """Returns what a model makes of the points between the codes of two examples, whose reconstructions are the ends.

    Args:
      vae: the model.
      start: one example, an array of shape `event_shape` or a string.
      end: another one.
      steps: number of points, at least 1.
      mode: "linear" or "spherical", see `interpolate`.
      condition: that of all points, a class number or a vector `(condition_dim,)`, for a conditional model.

    Returns:
      The mean of p(x|z) at each point, float32 `(steps, *event_shape)`; for a model with a tokenizer a list of strings.
    """
    one, all_points = (None if condition is None else np.stack([condition] * count) for count in (1, steps))
    codes = (center(vae.encode(_one_example(vae, *pair), one))[0] for pair in (("start", start), ("end", end)))
    path = interpolate(*codes, steps, mode)
    return vae.decode(path, all_points).mean().numpy() if vae.tokenizer is None else vae.texts_of(path, all_points)


def _one_example(vae, name, x):
    """Returns one example as a batch of one."""
    if vae.tokenizer is not None and isinstance(x, str):
        return [x]
    if np.shape(x) != vae.event_shape:
        expected = f"a string or of shape {vae.event_shape}" if vae.tokenizer else f"of shape {vae.event_shape}"
        raise ValueError(f"`{name}` must be {expected}. Received: {name} with shape {np.shape(x)}")
    return np.asarray(x)[None]


@checked
def traverse(z: ArrayLike, dimension: NonNegativeInt | Sequence[NonNegativeInt], values: ArrayLike) -> np.ndarray:
    """Returns copies of one code in which one dimension takes each of `values`.

    Args:
      z: code, an array of the shape of z.
      dimension: the dimension to sweep, from 0 to latent_dim - 1; for a z with places its index, for example
        (row, column, channel).
      values: numbers `(steps,)`, for example `np.linspace(-3, 3, 11)`, three standard deviations of the prior N(0, 1).

    Returns:
      Array `(steps, *latent_shape)`, float32.

    Raises:
      ValueError: if z has no such dimension.
    """
    z = np.asarray(z, np.float32)
    index = tuple(np.atleast_1d(dimension).tolist())
    if len(index) != z.ndim or any(i >= size for i, size in zip(index, z.shape, strict=True)):
        inside = f"an integer from 0 to {len(z) - 1}" if z.ndim == 1 else f"an index inside of the shape {z.shape}"
        raise ValueError(f"`dimension` must be {inside}. Received: dimension={dimension!r}")
    path = np.repeat(z[None], len(values), axis=0)
    path[:, *index] = values
    return path


@checked
def attribute_vector(codes: ArrayLike, has_attribute: ArrayLike) -> np.ndarray:
    """Returns the step from the mean code without an attribute to the mean code with it.

        mean of {z : with} - mean of {z : without}

    Larsen et al., "Autoencoding beyond pixels using a learned similarity metric" (2016). Whatever is correlated with
    the attribute in the data is in the vector too.

    Args:
      codes: array `(count, *latent_shape)`, for example means of q(z|x).
      has_attribute: booleans `(count,)`.

    Returns:
      Array of the shape of z, float32; add it to a code.

    Raises:
      ValueError: if all examples have the attribute, or none.
    """
    codes, chosen = np.asarray(codes, np.float64), np.asarray(has_attribute)
    if chosen.shape != codes.shape[:1] or chosen.dtype != bool or chosen.all() or not chosen.any():
        raise ValueError(
            f"`has_attribute` must be booleans ({len(codes)},), some true and some false. "
            f"Received: {chosen.dtype} with shape {chosen.shape}, {np.count_nonzero(chosen)} true"
        )
    return (codes[chosen].mean(axis=0) - codes[~chosen].mean(axis=0)).astype(np.float32)


@checked
def attribute_probe(codes: ArrayLike, labels: ArrayLike, test_fraction: Fraction = 0.25, seed: Seed = 0) -> Probe:
    """Fits a logistic regression of labels on codes, and measures its accuracy on held-out examples.

        log p(label = k | z) = directions_k . z + bias_k - log normalizer

    Alain and Bengio, "Understanding intermediate layers using linear classifier probes" (2016). scikit-learn's
    `LogisticRegression` is fitted, with its penalty, to codes scaled to unit variance; the directions are scaled back.

    Args:
      codes: array `(count, *latent_shape)`.
      labels: integers or booleans `(count,)`.
      test_fraction: held-out share of the examples, in (0, 1).
      seed: seed of the split.

    Returns:
      `Probe`.

    Raises:
      ValueError: if labels and codes do not fit, or the training part has one class only.
      ImportError: without scikit-learn.
    """
    codes, labels = np.asarray(codes, np.float64), np.asarray(labels)
    train, test = held_out(len(codes), test_fraction, seed)
    if labels.shape != codes.shape[:1] or len(np.unique(labels[train])) < 2:
        raise ValueError(
            f"`labels` must have shape ({len(codes)},) and at least two classes in the part to fit. "
            f"Received: labels with shape {labels.shape} and {len(np.unique(labels))} classes"
        )
    shape, codes = codes.shape[1:], codes.reshape(len(codes), -1)
    loc, scale = codes[train].mean(axis=0), codes[train].std(axis=0)
    scale[scale == 0] = 1.0
    unit = (codes - loc) / scale
    model = scikit_learn("linear_model").LogisticRegression(max_iter=1000)
    model.fit(unit[train], labels[train])
    values, counts = np.unique(labels[train], return_counts=True)
    return Probe(
        (model.coef_ / scale).astype(np.float32).reshape(-1, *shape),
        model.classes_,
        float(model.score(unit[test], labels[test])),
        float(np.mean(labels[test] == values[counts.argmax()])),
    )


@checked
def nearest_neighbors(
    samples: Examples | ArrayLike, training: Examples | ArrayLike, count: PositiveInt = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the training examples nearest to each sample, to see whether a model only reproduces them.

        distance = sum over pixels of (sample - example)^2

    A distance of 0 is a copy, but a large one is no proof of a new picture, because a picture moved by a few pixels is
    already far from itself (Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016).

    Args:
      samples: array `(num_samples, ...)` or `Examples`.
      training: array `(num_training, ...)` or `Examples`, examples of the same shape.
      count: number of neighbors of each sample, a positive integer.

    Returns:
      Indices into `training` and squared distances, both `(num_samples, count)`, nearest first.

    Raises:
      ValueError: if the shapes do not fit, or there are fewer than `count` training examples.
    """
    (of_samples, shape), (read, (size, values)) = _flat("samples", samples), _flat("training", training)
    if shape[1] != values:
        raise ValueError(f"`samples` must be examples of {values} numbers, like `training`. Received: {shape[1]}")
    if count > size:
        raise ValueError(f"`count` must be at most {size}, all of `training`. Received: count={count!r}")
    samples, starts = of_samples(np.arange(shape[0])), range(0, shape[0], MAX_SAMPLES)
    found = np.concatenate([_nearest(samples[i : i + MAX_SAMPLES], read, size, count) for i in starts])
    # The expanded square of `_nearest` loses digits to cancellation, so the distances of the few that were found are
    # computed again.
    distances = np.stack([np.sum((samples - read(index).astype(np.float64)) ** 2, axis=1) for index in found.T], 1)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)


@checked
def anomaly_score(
    vae: VAE,
    x: Examples | ArrayLike,
    num_samples: PositiveInt = 500,
    seed: NoiseSeed = 0,
    condition: ArrayLike | None = None,
) -> np.ndarray:
    """Returns how unlikely the model finds each example: minus the importance-weighted log p(x) of `VAE.log_prob`.

        score = -log 1/K sum_k p(x, z_k) / q(z_k|x),  z_k ~ q(z|x)

    An and Cho, "Variational autoencoder based anomaly detection using reconstruction probability" (2015), with the
    likelihood itself in place of the reconstruction term. Simple pictures can score lower than any that the model was
    trained on (Nalisnick et al., "Do deep generative models know what they don't know?", 2019).

    Args:
      vae: the model.
      x: array `(count, *event_shape)` or `Examples`.
      num_samples: K, a positive integer.
      seed: seed of the noise.
      condition: condition of each example for a conditional model.

    Returns:
      Array `(count,)` in nats; higher is stranger.
    """
    return -vae.log_prob(x, num_samples, seed, condition)


def _flat(name, data):
    """Returns a function of indices that returns these examples as rows, and the shape of all rows."""
    examples = data if isinstance(data, Examples) else np.asarray(data)
    if len(examples.shape) < 2 or not len(examples):
        raise ValueError(f"`{name}` must have shape (count, ...), at least one. Received: shape {examples.shape}")
    read = data.reader() if isinstance(data, Examples) else examples.__getitem__
    shape = len(examples), int(np.prod(examples.shape[1:]))
    return lambda index: read(index).reshape(len(index), shape[1]), shape


def _nearest(samples, read, num_training, count):
    """Returns indices `(num_samples, count)` of training examples, not in order of distance.

    It compares |b|^2 - 2 a.b, which is |a - b|^2 less |a|^2, a constant for each sample a.
    """
    samples = samples.astype(np.float64)
    best, index = np.empty((len(samples), 0)), np.empty((len(samples), 0), np.int64)
    for start in range(0, num_training, MAX_TRAINING):
        chunk = read(np.arange(start, min(start + MAX_TRAINING, num_training))).astype(np.float64)
        distances = np.sum(chunk**2, axis=1) - 2.0 * samples @ chunk.T
        best = np.concatenate([best, distances], axis=1)
        index = np.concatenate([index, np.broadcast_to(start + np.arange(len(chunk)), distances.shape)], axis=1)
        if best.shape[1] > count:
            kept = np.argpartition(best, count - 1, axis=1)[:, :count]
            best, index = np.take_along_axis(best, kept, axis=1), np.take_along_axis(index, kept, axis=1)
    return index
