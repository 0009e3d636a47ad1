"""The Frechet distance against its closed form, and the classifier whose features it is taken in."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg

from keras_vae.data import Examples, Rows, rows
from keras_vae.data.sources.sprites import sprites
from keras_vae.measure.frechet import ClassifierFeatures, frechet_distance, sample_quality


def with_moments(mean, covariance, count=50, seed=0):
    """Returns features whose sample mean and covariance are exactly these."""
    mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
    noise = np.random.default_rng(seed).normal(size=(count, len(mean)))
    noise -= noise.mean(0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(noise.T @ noise / (count - 1))).T
    return mean + white @ np.linalg.cholesky(covariance).T


def random_covariance(dim, seed):
    factor = np.random.default_rng(seed).normal(size=(dim, dim))
    return factor @ factor.T + 0.1 * np.eye(dim)


@pytest.mark.parametrize(
    ("mean", "variance", "expected"),
    [
        ([0.0, 0.0], [1.0, 1.0], 0.0),
        ([3.0, 4.0], [1.0, 1.0], 25.0),
        ([0.0, 0.0], [4.0, 1.0], 1.0),  # (2 - 1)^2
        ([1.0, -1.0], [9.0, 0.25], 1 + 1 + 4 + 0.25),
    ],
)
def test_of_diagonal_gaussians_it_is_the_squared_distance_of_means_and_deviations(mean, variance, expected):
    a, b = with_moments([0, 0], np.eye(2)), with_moments(mean, np.diag(variance), count=70, seed=1)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 5, 20])
def test_of_full_covariances_it_is_the_formula_with_the_matrix_root(dim):
    first, second = random_covariance(dim, 1), random_covariance(dim, 2)
    shift = np.linspace(-1, 2, dim)
    expected = shift @ shift + np.trace(first + second - 2 * scipy.linalg.sqrtm(first @ second).real)
    a, b = with_moments(np.zeros(dim), first), with_moments(shift, second, seed=3)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-8)


def test_of_equal_features_it_is_zero_in_any_order():
    features = np.random.default_rng(0).normal(size=(100, 8)) * 1e3
    assert frechet_distance(features, features[::-1]) == pytest.approx(0.0, abs=1e-6 * 1e3)
    assert frechet_distance(features, features) < 1e-8 * features.var()


@pytest.mark.parametrize("count", [3, 8, 100])
def test_singular_covariances_do_not_harm_it(count):
    # One direction only, in 8 dimensions; fewer rows than columns too.
    direction = np.ones(8) / np.sqrt(8)
    line = np.random.default_rng(count).normal(size=(count, 1))
    deviation = line.std(ddof=1)
    mean = line.mean()
    actual = frechet_distance(line * direction, 3 * line * direction)
    assert actual == pytest.approx((2 * mean) ** 2 + (2 * deviation) ** 2, rel=1e-8)


def test_it_is_unchanged_by_a_rotation_and_grows_with_the_square_of_the_scale():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(60, 5)), random.normal(size=(70, 5)) * 2 + 1
    rotation = np.linalg.qr(random.normal(size=(5, 5)))[0]
    assert frechet_distance(a @ rotation, b @ rotation) == pytest.approx(frechet_distance(a, b), rel=1e-10)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * frechet_distance(a, b), rel=1e-10)


def test_of_two_draws_of_one_gaussian_it_falls_with_their_number():
    random = np.random.default_rng(0)
    few, many = (frechet_distance(*random.normal(size=(2, count, 4))) for count in (100, 10_000))
    # Means: 4 * 2 / count; covariances: 10 free numbers, about 1/2 / count each.
    assert many < 3 * 13 / 10_000
    assert few > 10 * many


@pytest.mark.parametrize(
    ("a", "b", "name"),
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), "features_a"),
        (np.zeros((1, 2)), np.zeros((3, 2)), "features_a"),
        (np.zeros((3, 2)), np.zeros(3), "features_a"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "features_b"),
    ],
)
def test_features_that_do_not_fit_are_refused_by_name(a, b, name):
    with pytest.raises(ValueError, match=f"`{name}` must be finite numbers"):
        frechet_distance(a, b)


# The classifier.


@pytest.fixture(scope="module")
def images():
    """The larger figures in two halves."""
    drawn = sprites(20)
    order = np.random.default_rng(0).permutation(np.flatnonzero(drawn.factors[:, 1] >= 2))
    return drawn[order[:1152]], drawn[order[1152:]]


@pytest.fixture(scope="module")
def classifier(images):
    return ClassifierFeatures((20, 20, 1), 3, num_features=32).fit(images[0], epochs=15, batch_size=32)


def test_the_classifier_learns_its_labels(classifier, images):
    before = ClassifierFeatures((20, 20, 1), 3, num_features=32)
    assert before.accuracy(images[1]) < 0.5
    assert classifier.accuracy(images[1]) > 0.85
    features = classifier(images[1])
    assert (features.dtype, features.shape) == (np.float64, (1152, 32))


def test_features_see_images_as_presented(classifier, images):
    part = images[1][:20]
    np.testing.assert_array_equal(classifier(part), classifier(part.values / 255.0))


def test_images_on_the_disk_are_seen_a_part_at_a_time(classifier, images, monkeypatch):
    on_disk = dataclasses.replace(images[1], values=Rows(images[1].values))
    expected = classifier(images[1]), classifier.accuracy(images[1])
    monkeypatch.setattr(rows, "_CHUNK_BYTES", 512 * 20 * 20)
    monkeypatch.setattr(Rows, "__array__", None)
    np.testing.assert_array_equal(classifier(on_disk), expected[0])
    assert classifier.accuracy(on_disk) == expected[1]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_classifier(images):
    part = images[0][:300]
    same, again, other = (ClassifierFeatures((20, 20, 1), 3, seed=s).fit(part, epochs=1)(part) for s in (5, 5, 6))
    np.testing.assert_allclose(same, again, rtol=1e-5, atol=1e-6)
    assert np.abs(same - other).max() > 0.1


def test_quality_is_best_for_real_images_and_falls_with_noise_and_missing_classes(classifier, images):
    real, held = images
    report = sample_quality(real, held, classifier)
    assert report["frechet_distance"] == frechet_distance(classifier(real), classifier(held))
    assert (report["num_samples"], report["num_real"]) == (1152, 1152)
    # Twice as many as in the halves, so nearer; both are of one distribution.
    assert report["frechet_distance"] < 2 * report["frechet_distance_of_real_halves"]
    random = np.random.default_rng(0)
    distances = [report["frechet_distance"]]
    for level in (0.1, 0.3, 1.0):
        noisy = np.clip(real.numpy() + level * random.normal(size=real.values.shape), 0, 1)
        distances.append(sample_quality(noisy, held, classifier)["frechet_distance"])
    assert distances == sorted(distances)
    assert distances[1] > 2 * distances[0]
    one_class = real[real.labels == 1]
    assert sample_quality(one_class, held, classifier)["frechet_distance"] > 10 * distances[0]


BLANK = Examples(np.zeros((4, 6, 5, 1)), labels=np.arange(4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClassifierFeatures((6, 5), 3), r"`event_shape` must be \(height, width, channels\).*\(6, 5\)"),
        (lambda: ClassifierFeatures((6, 5, 1), 1), "`num_classes` must be .*num_classes=1"),
        (lambda: ClassifierFeatures((6, 5, 1), 3, num_features=0), "`num_features` .*num_features=0"),
        (lambda: ClassifierFeatures((6, 5, 1), 3).fit(BLANK), "labels from 0 to 2. Received: .* from 0 to 3"),
        (lambda: ClassifierFeatures((6, 5, 1), 3).fit(Examples(BLANK.values)), "labels from 0 to 2. Received: none"),
        (lambda: ClassifierFeatures((6, 6, 1), 4).fit(BLANK), r"`images` must have event shape \(6, 6, 1\)"),
        (lambda: ClassifierFeatures((6, 5, 1), 4).fit(BLANK, epochs=0), "`epochs` .*epochs=0"),
        (lambda: ClassifierFeatures((6, 5, 1), 4)(np.zeros((2, 5, 6, 1))), r"`x` must have shape \(count, 6, 5, 1\)"),
        (
            lambda: sample_quality(BLANK, BLANK[:3], ClassifierFeatures((6, 5, 1), 4)),
            "`real` must hold at least four images. Received: 3",
        ),
    ],
)
def test_what_the_classifier_cannot_take_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
