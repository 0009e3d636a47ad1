"""Drawn images against the factors they were drawn from."""

import numpy as np
import pytest

from keras_vae.data.sources.sprites import FACTOR_NAMES, FACTOR_SIZES, SHAPES, sprites


@pytest.fixture(scope="module")
def drawn():
    images = sprites()
    return images, images.factors


def moments(values):
    """Returns area in pixels, center (x, y) and the covariance of each image's white, from its pixels."""
    weight = values[..., 0] / 255.0
    area = weight.sum((1, 2))
    place = np.arange(weight.shape[1]) + 0.5
    grid = np.stack(np.meshgrid(place, place), -1)
    center = np.einsum("nij,ijk->nk", weight, grid) / area[:, None]
    second = np.einsum("nij,ijk,ijl->nkl", weight, grid, grid, optimize=True) / area[:, None, None]
    return area, center, second - center[:, :, None] * center[:, None, :]


def test_every_combination_of_factors_is_there_once(drawn):
    images, factors = drawn
    assert images.values.dtype == np.uint8
    assert images.values.shape == (4608, 32, 32, 1)
    assert len(FACTOR_NAMES) == len(FACTOR_SIZES) == factors.shape[1]
    np.testing.assert_array_equal(np.ravel_multi_index(factors.T, FACTOR_SIZES), np.arange(np.prod(FACTOR_SIZES)))
    np.testing.assert_array_equal(images.labels, factors[:, 0])
    np.testing.assert_array_equal(images.limits(), [0.0, 1.0])


def test_no_two_images_are_equal(drawn):
    flat = drawn[0].values.reshape(len(drawn[0]), -1)
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_no_figure_is_cut_off(drawn):
    values = drawn[0].values
    assert max(values[:, edge].max() for edge in (0, -1)) == 0
    assert max(values[:, :, edge].max() for edge in (0, -1)) == 0


@pytest.mark.parametrize("size", [16, 32, 45])
def test_area_is_that_of_the_scale_whatever_the_other_factors(size):
    images = sprites(size)
    factors = images.factors
    area, _, _ = moments(images.values)
    side = size * (0.15 + 0.05 * factors[:, 1])
    error = area - side**2
    # Straight sides are exact but where two meet; an ellipse is taken as straight within a pixel.
    for shape, tolerance in (("square", 0.2), ("ellipse", 1.0), ("triangle", 0.4)):
        np.testing.assert_allclose(error[factors[:, 0] == SHAPES.index(shape)], 0.0, atol=tolerance)


def test_center_is_the_factors_x_and_y(drawn):
    images, factors = drawn
    _, center, _ = moments(images.values)
    np.testing.assert_allclose(center, 32 * (0.33 + 0.34 * factors[:, 3:] / 7), atol=0.2)


def test_an_ellipse_points_where_its_orientation_says(drawn):
    images, factors = drawn
    chosen = (factors[:, 0] == SHAPES.index("ellipse")) & (factors[:, 1] == 3)
    _, _, covariance = moments(images.values[chosen])
    angle = 0.5 * np.arctan2(2 * covariance[:, 0, 1], covariance[:, 0, 0] - covariance[:, 1, 1])
    np.testing.assert_allclose(np.degrees(angle), 15 * factors[chosen, 2], atol=2.0)
    # An ellipse of half axes 2w and w has variances w^2 and w^2 / 4 along them; a pixel's own width adds 1/12.
    axes = np.linalg.eigvalsh(covariance)
    width = 0.3 * 32 / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(axes.mean(0), [width**2 / 4 + 1 / 12, width**2 + 1 / 12], rtol=0.03)


def test_a_square_at_no_angle_has_straight_sides():
    images = sprites(30)
    factors = images.factors
    # Scale 3 is 9 pixels; x = y = 0 puts its center at 9.9, so it covers 5.4 to 14.4.
    index = np.flatnonzero((factors == [0, 3, 0, 0, 0]).all(1))[0]
    row = images.values[index, 9, :, 0]
    np.testing.assert_array_equal(row, [0] * 5 + [153] + [255] * 8 + [102] + [0] * 15)
    np.testing.assert_array_equal(images.values[index, :, 9, 0], row)


def test_a_triangle_at_no_angle_has_its_mirror_line_along_x():
    images = sprites(50)
    factors = images.factors
    index = np.flatnonzero((factors == [2, 3, 0, 0, 0]).all(1))[0]
    # Its center is at 16.5, the middle of pixel 16.
    picture = images.values[index, :33, :, 0].astype(int)
    np.testing.assert_allclose(picture, picture[::-1], atol=1)
    # Its flat side looks to larger x: the last white column is the tallest.
    heights = (picture > 127).sum(0)
    assert heights.argmax() == np.flatnonzero(heights)[-1]


def test_drawing_repeats(drawn):
    np.testing.assert_array_equal(sprites().values, drawn[0].values)


@pytest.mark.parametrize("size", [15, 0, 32.0, True])
def test_a_bad_size_is_refused_by_name(size):
    with pytest.raises(ValueError, match=f"`size` must be .*Received: size={size}"):
        sprites(size)
