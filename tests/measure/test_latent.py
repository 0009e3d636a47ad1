import numpy as np
import pytest
import scipy.stats
from helpers import make_binary, make_vae
from texts import make_text_vae

from keras_vae.data import Examples, Tokenizer
from keras_vae.measure import latent
from keras_vae.measure.latent import (
    anomaly_score,
    attribute_probe,
    attribute_vector,
    interpolate,
    interpolate_between,
    nearest_neighbors,
    traverse,
)

START, END = np.float32([1.0, -2.0, 0.5]), np.float32([3.0, 2.0, -0.5])


def at_angle(degrees, radius=1.0):
    angle = np.radians(degrees)
    return radius * np.array([np.cos(angle), np.sin(angle)])


def test_between_two_pictures_lie_the_means_at_the_points_between_their_codes():
    vae, (start, end) = make_vae(), make_binary(2)
    path = interpolate_between(vae, start, end, 5, "spherical")
    codes = interpolate(*vae.encode(np.stack([start, end])).mean().numpy(), 5, "spherical")
    np.testing.assert_allclose(path, vae.decode(codes).mean(), rtol=1e-5)
    np.testing.assert_allclose(path[[0, -1]], vae.reconstruct(np.stack([start, end])), rtol=1e-4)


def test_between_two_texts_lie_texts():
    vae = make_text_vae(tokenizer=Tokenizer(list("abc"), "characters", 5))
    path = interpolate_between(vae, "ab", "cab", 4)
    assert path == vae.texts_of(interpolate(*vae.encode(["ab", "cab"]).mean().numpy(), 4))
    assert [path[0], path[-1]] == vae.tokenizer.decode(vae.reconstruct(["ab", "cab"]))


def test_a_conditional_model_has_one_condition_for_all_points():
    from exporting import make_conditional_vae

    vae = make_conditional_vae()
    x = np.zeros((2, *vae.event_shape), np.float32)
    x[1] = 1.0
    path = interpolate_between(vae, *x, 3, condition=2)
    np.testing.assert_allclose(path[[0, -1]], vae.reconstruct(x, np.array([2, 2])), rtol=1e-4)


def test_an_end_of_another_shape_is_one_error():
    with pytest.raises(ValueError, match=r"`end` must be of shape \(.*\)\. Received: end with shape \(2, 3\)"):
        interpolate_between(make_vae(), make_binary(1)[0], np.zeros((2, 3)))


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_linear_points_are_evenly_spaced_from_end_to_end(steps):
    z = interpolate(START, END, steps)
    expected = [START + (END - START) * i / (steps - 1) for i in range(steps)]
    assert z.dtype == np.float32
    np.testing.assert_allclose(z, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_both_ends_are_included(mode):
    z = interpolate(START, END, 7, mode)
    np.testing.assert_allclose(z[[0, -1]], [START, END], rtol=1e-6)


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_one_step_is_the_start(mode):
    np.testing.assert_allclose(interpolate(START, END, 1, mode), [START], rtol=1e-6)


def test_the_default_is_ten_linear_steps():
    np.testing.assert_array_equal(interpolate(START, END), interpolate(START, END, 10, "linear"))


@pytest.mark.parametrize("degrees", [1, 60, 90, 150, 179])
def test_between_ends_of_one_radius_the_spherical_path_is_an_evenly_walked_arc(degrees):
    z = interpolate(at_angle(20, 2.0), at_angle(20 + degrees, 2.0), 5, "spherical")
    expected = [at_angle(20 + degrees * i / 4, 2.0) for i in range(5)]
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


def test_spherical_points_are_the_formula():
    z = interpolate(START, END, 4, "spherical")
    angle = np.arccos(START @ END / np.linalg.norm(START) / np.linalg.norm(END))
    first, last = np.linalg.norm(START), np.linalg.norm(END)
    expected = [
        ((1 - t) * first + t * last)
        * (np.sin((1 - t) * angle) * START / first + np.sin(t * angle) * END / last)
        / np.sin(angle)
        for t in (0, 1 / 3, 2 / 3, 1)
    ]
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


def test_a_spherical_path_keeps_the_radius_where_a_linear_one_loses_it():
    random = np.random.default_rng(0).standard_normal((2, 400))
    ends = 20 * random / np.linalg.norm(random, axis=1, keepdims=True)
    radii = {mode: np.linalg.norm(interpolate(*ends, 5, mode), axis=1) for mode in ("linear", "spherical")}
    np.testing.assert_allclose(radii["spherical"], 20, rtol=1e-5)
    assert radii["linear"][2] < 15


@pytest.mark.parametrize("mode", ["linear", "spherical"])
@pytest.mark.parametrize(
    ("start", "end"),
    [([1, 2], [2, 4]), ([1, 2], [1, 2]), ([1, 2], [-1, -2]), ([0, 0], [1, 2]), ([0, 0], [0, 0])],
    ids=["parallel", "equal", "opposite", "from the origin", "both at the origin"],
)
def test_ends_without_an_angle_are_joined_by_a_line(start, end, mode):
    z = interpolate(start, end, 5, mode)
    expected = np.linspace(start, end, 5)
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "degrees",
    [5, 45, 90, 135, 170, 179.9],
)
def test_a_spherical_path_keeps_to_the_radii_between_its_ends(degrees):
    radii = np.linalg.norm(interpolate(at_angle(0, 1.0), at_angle(degrees, 2.0), 51, "spherical"), axis=1)
    assert radii.min() >= 1 - 1e-6
    assert radii.max() <= 2 + 1e-6


@pytest.mark.parametrize("steps", [0, -1, 2.5, True])
def test_bad_steps_are_refused_by_name(steps):
    with pytest.raises(ValueError, match=f"`steps` must be a positive integer. Received: steps={steps}"):
        interpolate(START, END, steps)


def test_an_unknown_mode_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`mode` must be one of 'linear', 'spherical'\. Received: mode='cubic'"):
        interpolate(START, END, mode="cubic")


def test_a_traversal_changes_one_dimension():
    z = traverse([1, -2, 0.5], 1, np.linspace(-3, 3, 3))
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, [[1, -3, 0.5], [1, 0, 0.5], [1, 3, 0.5]])


@pytest.mark.parametrize("dimension", [3, -1, 0.0])
def test_a_dimension_that_is_not_there_is_refused_by_name(dimension):
    with pytest.raises(ValueError, match=f"`dimension` must be .*Received: dimension={dimension}"):
        traverse(START, dimension, [0.0])


def test_an_attribute_vector_is_the_difference_of_means():
    codes, chosen = [[0, 1], [2, 5], [4, 3], [10, 0]], [False, True, True, False]
    vector = attribute_vector(codes, chosen)
    np.testing.assert_allclose(vector, [-2.0, 3.5], rtol=1e-6)
    np.testing.assert_allclose(attribute_vector(codes, np.logical_not(chosen)), -vector, rtol=1e-6)


@pytest.mark.parametrize("chosen", [[True] * 4, [False] * 4, [True, False], [1, 0, 1, 0]])
def test_an_attribute_that_splits_nothing_is_refused_by_name(chosen):
    with pytest.raises(ValueError, match=r"`has_attribute` must be booleans \(4,\), some true and some false"):
        attribute_vector(np.zeros((4, 2)), chosen)


def gaussian_classes(means, count=4000):
    """Codes of N(mean_k, S) with S = diag(1, 4), and their classes k."""
    random = np.random.default_rng(0)
    labels = random.integers(len(means), size=count)
    return np.asarray(means)[labels] + random.normal(size=(count, 2)) * [1.0, 2.0], labels


def test_a_probe_finds_the_direction_and_accuracy_of_two_gaussians():
    codes, labels = gaussian_classes([[0.0, 0.0], [2.0, 2.0]])
    probe = attribute_probe(codes, labels)
    # The log odds are linear, with slope S^-1 (difference of means). 4 standard errors of a slope are 0.25, 0.11.
    assert probe.directions.shape == (1, 2)
    np.testing.assert_allclose(probe.directions[0], [2.0, 0.5], atol=0.25)
    # The best accuracy is Phi(distance / 2), distance^2 = 2^2 / 1 + 2^2 / 4.
    best = scipy.stats.norm.cdf(np.sqrt(5) / 2)
    assert probe.accuracy == pytest.approx(best, abs=4 * np.sqrt(best * (1 - best) / 1000))
    assert probe.chance == pytest.approx(0.5, abs=0.07)
    np.testing.assert_array_equal(probe.classes, [0, 1])


def test_a_probe_of_classes_that_the_codes_do_not_hold_is_at_chance():
    codes, labels = gaussian_classes([[0.0, 0.0]] * 4)
    probe = attribute_probe(codes, labels)
    assert probe.directions.shape == (4, 2)
    assert probe.accuracy == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 1000))


def test_the_accuracy_of_a_probe_is_that_of_examples_it_has_not_seen():
    random = np.random.default_rng(0)
    # 200 dimensions of noise for 150 examples: the fit names all of these rightly, and says nothing of the other 50.
    probe = attribute_probe(random.normal(size=(200, 200)), random.integers(2, size=200))
    assert probe.accuracy == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 50))


def test_a_probe_is_in_the_units_of_the_codes():
    codes, labels = gaussian_classes([[0.0, 0.0], [2.0, 2.0], [4.0, 0.0]])
    probe, scaled = attribute_probe(codes, labels), attribute_probe(codes * [100.0, 1e-3], labels)
    np.testing.assert_allclose(scaled.directions * [100.0, 1e-3], probe.directions, rtol=1e-4)
    assert scaled.accuracy == probe.accuracy
    # A dimension that does not vary says nothing.
    still = attribute_probe(np.column_stack([codes, np.ones(len(codes))]), labels)
    np.testing.assert_allclose(still.directions[:, 2], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "test_fraction", "message"),
    [
        (np.zeros(8, int), 0.25, r"`labels` .* two classes .*Received: labels with shape \(8,\) and 1 classes"),
        (np.arange(7), 0.25, r"`labels` must have shape \(8,\)"),
        (np.arange(8), 1.5, "`test_fraction` must be a number between 0 and 1. Received: test_fraction=1.5"),
    ],
)
def test_labels_that_cannot_be_probed_are_refused_by_name(labels, test_fraction, message):
    with pytest.raises(ValueError, match=message):
        attribute_probe(np.zeros((8, 2)), labels, test_fraction)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_neighbors_are_those_of_all_pairs(count, monkeypatch):
    monkeypatch.setattr(latent, "MAX_SAMPLES", 4)
    monkeypatch.setattr(latent, "MAX_TRAINING", 7)
    random = np.random.default_rng(0)
    training, samples = random.random((40, 3, 2, 1), np.float32), random.random((9, 3, 2, 1), np.float32)
    squared = ((samples[:, None].astype(float) - training) ** 2).sum((2, 3, 4))
    index, distances = nearest_neighbors(samples, training, count)
    np.testing.assert_array_equal(index, np.argsort(squared, axis=1)[:, :count])
    np.testing.assert_allclose(distances, np.sort(squared, axis=1)[:, :count], rtol=1e-12)


def test_a_copy_is_at_distance_zero_and_images_are_measured_as_presented():
    training = Examples(np.random.default_rng(0).integers(0, 256, (50, 4, 4, 1), np.uint8), divisor=255.0)
    index, distances = nearest_neighbors(training[[7, 30]], training, 2)
    np.testing.assert_array_equal(index[:, 0], [7, 30])
    np.testing.assert_array_equal(distances[:, 0], [0.0, 0.0])
    np.testing.assert_array_equal(nearest_neighbors(training.numpy()[[7]], training)[0], [[7]])
    assert distances[:, 1].min() > 0.1


@pytest.mark.parametrize(
    ("samples", "count", "message"),
    [
        (np.zeros((2, 5)), 1, "`samples` must be examples of 4 numbers.*Received: 5"),
        (np.zeros((0, 4)), 1, r"`samples` must be .*at least one number. Received: .* with shape \(0, 4\)"),
        (np.zeros((2, 4)), 4, "`count` must be at most 3.*count=4"),
        (np.zeros((2, 4)), 0, "`count` must be a positive integer.*count=0"),
    ],
)
def test_neighbors_that_cannot_be_found_are_refused_by_name(samples, count, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(samples, np.zeros((3, 2, 2)), count)


def test_an_anomaly_score_is_minus_the_log_probability(vae, binary):
    np.testing.assert_array_equal(anomaly_score(vae, binary, 4, seed=3), -vae.log_prob(binary, 4, seed=3))


def test_noise_is_stranger_than_what_a_model_was_trained_on(vae, binary):
    vae.fit(binary, batch_size=10, epochs=30, verbose=0)
    noise = (np.random.default_rng(5).random(binary.shape) < 0.5).astype(np.float32)
    known, strange = anomaly_score(vae, binary, 20), anomaly_score(vae, noise, 20)
    # A fair coin a pixel is 20.8 nats; the model gives 90% to each pixel of a prototype, 10% to others.
    assert known.mean() < 14
    assert strange.mean() > 30 * np.log(2)
