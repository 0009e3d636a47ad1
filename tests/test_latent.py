import numpy as np
import pytest

from keras_vae.latent import interpolate

START, END = np.float32([1.0, -2.0, 0.5]), np.float32([3.0, 2.0, -0.5])


def at_angle(degrees, radius=1.0):
    angle = np.radians(degrees)
    return radius * np.array([np.cos(angle), np.sin(angle)])


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
