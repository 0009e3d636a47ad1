"""A Frechet distance between pictures, in the features of a small classifier of the data set itself.

This is not FID. FID takes the features of one Inception network trained on ImageNet, so that its numbers can be
compared between papers. Here the classifier is trained on the labels of the data set at hand, so that nothing has to be
downloaded. Its numbers only compare models of that data set under one and the same classifier.
"""

import keras
import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.engine.inputs import presented
from keras_vae.utils.arguments import ArrayLike, PositiveInt, Seed, Shape, checked

# The real images are split into halves, and a covariance takes at least two images of each.
MIN_REAL = 4


class ClassifierFeatures:
    """A small convolutional classifier; its features are the outputs of its last hidden layer.

    It has two convolutions of stride 2, a dense layer of `num_features` units, and the logits. The same seed gives the
    same classifier.

    Args:
      event_shape: (height, width, channels) of an image.
      num_classes: number of labels, an integer of at least 2.
      num_features: width of the last hidden layer, a positive integer.
      seed: seed of the initial weights and of the order of the examples.
    """

    @checked
    def __init__(
        self, event_shape: Shape, num_classes: PositiveInt, num_features: PositiveInt = 64, seed: Seed = 0
    ) -> None:
        self.event_shape = tuple(map(int, event_shape))
        if len(self.event_shape) != 3:
            raise ValueError(f"`event_shape` must be (height, width, channels). Received: event_shape={event_shape!r}")
        if num_classes < 2:
            raise ValueError(f"`num_classes` must be an integer of at least 2. Received: num_classes={num_classes!r}")
        self.num_classes = num_classes
        self.seed = int(seed)
        layers = keras.layers

        def weights(offset):
            return keras.initializers.HeNormal(seed=seed + offset)

        inputs = keras.Input(self.event_shape)
        last = "channels_last"
        hidden = layers.Conv2D(16, 3, 2, "same", last, activation="relu", kernel_initializer=weights(0))(inputs)
        hidden = layers.Conv2D(32, 3, 2, "same", last, activation="relu", kernel_initializer=weights(1))(hidden)
        hidden = layers.Dense(num_features, "relu", kernel_initializer=weights(2))(layers.Flatten(last)(hidden))
        logits = layers.Dense(num_classes, kernel_initializer=weights(3))(hidden)
        self._features = keras.Model(inputs, hidden)
        self._classifier = keras.Model(inputs, logits)

    @checked
    def fit(self, images: Examples, epochs: PositiveInt = 3, batch_size: PositiveInt = 128) -> "ClassifierFeatures":
        """Trains on the labels of `images`, integers from 0 to num_classes - 1; returns itself.

        Raises:
          ValueError: if the images have no such labels, or another shape.
        """
        self._check(images)
        self._classifier.compile(
            keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        steps = -(-len(images) // batch_size)
        batches = presented(images, "float32").batches(batch_size, seed=self.seed)
        self._classifier.fit(batches, steps_per_epoch=steps, epochs=int(epochs), shuffle=False, verbose=0)
        return self

    @checked
    def accuracy(self, images: Examples) -> float:
        """Returns the share of `images` whose label has the largest logit."""
        self._check(images)
        return float(np.mean(_predictions(self._classifier, images).argmax(axis=1) == images.labels))

    @checked
    def __call__(self, x: Examples | ArrayLike) -> np.ndarray:
        """Returns features, float64 `(count, num_features)`, of `Examples` or of x `(count, *event_shape)`."""
        x = x if isinstance(x, Examples) else np.asarray(x, np.float32)
        if x.shape[1:] != self.event_shape:
            raise ValueError(
                f"`x` must have shape (count, {', '.join(map(str, self.event_shape))}). Received: shape {x.shape}"
            )
        return _predictions(self._features, x).astype(np.float64)

    def _check(self, images):
        labels = images.labels
        if images.event_shape != self.event_shape:
            raise ValueError(
                f"`images` must have event shape {self.event_shape}. Received: images with {images.event_shape}"
            )
        if labels is None or labels.ndim != 1 or labels.min() < 0 or labels.max() >= self.num_classes:
            received = "none" if labels is None else f"shape {labels.shape}, from {labels.min()} to {labels.max()}"
            raise ValueError(f"`images` must have labels from 0 to {self.num_classes - 1}. Received: {received}")


def _predictions(model, x):
    """Returns the outputs for `Examples`, of those on the disk a part at a time, or for an array."""
    parts = x.chunks() if isinstance(x, Examples) else (x,)
    return np.concatenate([model.predict(np.asarray(p, np.float32), batch_size=512, verbose=0) for p in parts])


@checked
def frechet_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Returns the squared Frechet (Wasserstein-2) distance of the Gaussians with the moments of two sets of features.

        |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)),  C the sample covariance

    Dowson and Landau, "The Frechet distance between multivariate normal distributions" (1982); Heusel et al. (2017),
    equation 6. The trace of the root is computed as the sum of the singular values of R_a R_b^T, with C = R^T R from a
    QR decomposition of the centered features. The product C_a C_b, which rounding can make indefinite, is never formed.
    The distance of two finite sets is too large on average, more so the smaller they are: compare at equal counts.

    Args:
      features_a: array `(count_a, num_features)`, at least two rows.
      features_b: array `(count_b, num_features)`, at least two rows.

    Raises:
      ValueError: if the shapes do not fit, or a value is not finite.
    """
    a, b = (np.asarray(features, np.float64) for features in (features_a, features_b))
    for name, features in (("features_a", a), ("features_b", b)):
        if (
            features.ndim != 2
            or len(features) < 2
            or features.shape[1] != b.shape[-1]
            or not np.isfinite(features).all()
        ):
            raise ValueError(
                f"`{name}` must be finite numbers (count, num_features), count at least 2, as wide as the other. "
                f"Received: shapes {a.shape} and {b.shape}"
            )
    root_a, root_b = _root(a), _root(b)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    return float(max(shift @ shift + np.sum(root_a**2) + np.sum(root_b**2) - 2.0 * overlap, 0.0))


@checked
def sample_quality(
    samples: Examples | ArrayLike, real: Examples | ArrayLike, classifier: ClassifierFeatures, seed: Seed = 0
) -> dict:
    """Measures samples of a model against real images, by the features of a classifier of the real ones.

    Args:
      samples: array `(count, *event_shape)`, for example `vae.sample(5000)`, with values in the range of `real`.
      real: array `(count, *event_shape)` or `Examples` that the model was not trained on.
      classifier: a trained `ClassifierFeatures`.
      seed: seed of the halves.

    Returns:
      Dict of plain numbers, with `frechet_distance` of samples and real images, `frechet_distance_of_real_halves` (the
      distance that a perfect model would have with half the count of `real`), `num_samples`, `num_real`.

    Raises:
      ValueError: if there are fewer than two samples or four real images, or shapes do not fit.
    """
    of_samples, of_real = classifier(samples), classifier(real)
    if len(of_real) < MIN_REAL:
        raise ValueError(f"`real` must hold at least four images. Received: {len(of_real)}")
    order = np.random.default_rng(seed).permutation(len(of_real))
    half = len(of_real) // 2
    return {
        "frechet_distance": frechet_distance(of_samples, of_real),
        "frechet_distance_of_real_halves": frechet_distance(of_real[order[:half]], of_real[order[half:]]),
        "num_samples": len(of_samples),
        "num_real": len(of_real),
    }


def _root(features):
    """Returns R such that R^T R is the sample covariance."""
    return np.linalg.qr(features - features.mean(axis=0), mode="r") / np.sqrt(len(features) - 1)
