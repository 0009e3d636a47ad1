import io

import matplotlib.image
import numpy as np
import pytest

from keras_vae import plotting


def random_images(count, height=3, width=4, channels=1):
    return np.random.default_rng(count).random((count, height, width, channels)).astype(np.float32)


def png_of(figure, dpi=100):
    """Returns a figure's PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def pixels_of(figure):
    """Returns what a figure looks like, `(height, width, 3)` in [0, 1]."""
    return matplotlib.image.imread(io.BytesIO(png_of(figure)))[..., :3]


def shown(figure):
    """Returns the picture of an image grid."""
    return np.asarray(figure.axes[0].images[0].get_array())


def finite_history(epochs, **first):
    curve = -100.0 + np.log(np.arange(1, epochs + 1))
    history = {key: list(curve + i) for i, key in enumerate(("elbo", "log_likelihood", "kl", "val_elbo", "val_kl"))}
    for key, value in first.items():
        history[key][0] = value
    return history


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (6, 3, 2), (5, 3, 2), (2, 3, 1), (4, 1, 4)])
def test_tile_puts_each_image_in_its_place_and_leaves_white_gaps(count, columns, rows, channels):
    images = random_images(count, channels=channels)
    expected = np.ones((rows * 4 - 1, columns * 5 - 1, channels), np.float32)
    for number, image in enumerate(images):
        top, left = number // columns * 4, number % columns * 5
        expected[top : top + 3, left : left + 4] = image
    np.testing.assert_array_equal(plotting.tile(images, columns), expected)


@pytest.mark.parametrize("columns", [0, -1, 1.5])
def test_bad_columns_are_refused_by_name(columns):
    with pytest.raises(ValueError, match=f"`columns` must be a positive integer. Received: columns={columns}"):
        plotting.image_grid(random_images(3), columns)


@pytest.mark.parametrize(("channels", "drawn"), [(1, 0), (2, 0), (3, slice(None)), (4, 0)])
def test_gray_and_color_are_drawn_and_of_other_channels_the_first(channels, drawn):
    images = random_images(5, channels=channels)
    np.testing.assert_array_equal(shown(plotting.image_grid(images, 2)), plotting.tile(images, 2)[..., drawn])


def test_values_outside_the_unit_interval_are_clipped():
    images = np.float32([-7.0, 0.25, 1.5]).reshape(3, 1, 1, 1)
    np.testing.assert_array_equal(shown(plotting.image_grid(images, 3)), [[0, 1, 0.25, 1, 1]])


def test_a_rendered_grid_shows_the_values_of_its_images():
    images = np.repeat(np.float32([0.0, 0.2, 1.0, 0.6]), 400).reshape(4, 20, 20, 1)
    pixels = pixels_of(plotting.image_grid(images, 2))
    height, width, _ = pixels.shape
    centers = pixels[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2, 0]
    # atol: eight bits of gray.
    np.testing.assert_allclose(centers, [[0.0, 0.2], [1.0, 0.6]], atol=1 / 255)


def test_a_rendered_grid_shows_colors():
    pixels = pixels_of(plotting.image_grid(np.full((1, 9, 9, 3), [1.0, 0.2, 0.0]), 1))
    np.testing.assert_allclose(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2], [1.0, 0.2, 0.0], atol=1 / 255)


@pytest.mark.parametrize(("count", "columns", "inches"), [(10, 5, (3.0, 1.2)), (11, 5, (3.0, 1.8)), (1, 1, (0.6, 0.6))])
def test_each_image_of_a_grid_has_the_same_room(count, columns, inches):
    np.testing.assert_allclose(plotting.image_grid(random_images(count), columns).get_size_inches(), inches)
    titled = plotting.image_grid(random_images(count), columns, "title")
    np.testing.assert_allclose(titled.get_size_inches(), (inches[0], inches[1] + 0.3))
    assert titled.get_suptitle() == "title"


def reconstruction_rows(x, reconstruction, columns):
    """Returns rows of inputs, and each reconstruction one row below its input; gaps are white."""
    blank = np.ones((columns, *x.shape[1:]), np.float32)
    rows = []
    for start in range(0, len(x), columns):
        for part in (x, reconstruction):
            rows.append(np.concatenate([part[start : start + columns], blank])[:columns])
    return np.concatenate(rows)


@pytest.mark.parametrize(
    ("count", "columns"),
    [(4, 4), (6, 3), (3, 1), (3, 10), (5, 3)],
)
def test_each_reconstruction_is_below_its_input(count, columns):
    x = random_images(count)
    figure = plotting.reconstructions(x, 1 - x, columns)
    expected = plotting.tile(reconstruction_rows(x, 1 - x, columns), columns)[..., 0]
    width = 5 * min(count, columns) - 1
    np.testing.assert_array_equal(shown(figure)[:, :width], expected[:, :width])


def test_a_learning_curve_draws_the_numbers_of_the_history():
    history = finite_history(20)
    figure = plotting.learning_curve(history)
    assert [axes.get_title() for axes in figure.axes] == ["ELBO", "log p(x|z)", "KL(q || p)"]
    for axes, keys in zip(figure.axes, (("elbo", "val_elbo"), ("log_likelihood",), ("kl", "val_kl")), strict=True):
        assert [line.get_label() for line in axes.lines] == ["training", "validation"][: len(keys)]
        for line, key in zip(axes.lines, keys, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), np.stack([np.arange(1, 21), history[key]], 1))


def test_a_bad_first_epoch_does_not_set_the_scale_of_a_learning_curve():
    low, high = plotting.learning_curve(finite_history(40, elbo=-1e6)).axes[0].get_ylim()
    assert -105 < low < -97
    assert -97 + np.log(40) < high < -80


def test_every_later_epoch_is_inside_a_learning_curve():
    history = finite_history(40)
    low, high = plotting.learning_curve(history).axes[0].get_ylim()
    assert low < np.quantile(history["elbo"] + history["val_elbo"], 0.05)
    assert high > max(history["val_elbo"])


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_run_that_diverged_still_has_a_learning_curve(bad):
    history = finite_history(5, elbo=bad)
    low, high = plotting.learning_curve(history).axes[0].get_ylim()
    assert np.isfinite([low, high]).all()


@pytest.mark.parametrize("labels", [None, np.arange(30) % 10])
def test_a_latent_map_draws_each_mean_in_the_color_of_its_label(labels):
    loc = np.random.default_rng(0).normal(size=(30, 2))
    figure = plotting.latent_map(loc, labels)
    points = figure.axes[0].collections[0]
    np.testing.assert_array_equal(points.get_offsets(), loc)
    if labels is None:
        assert len(figure.axes) == 1
    else:
        np.testing.assert_array_equal(points.get_array(), labels)
        assert figure.axes[1].get_ylabel() == "label"


@pytest.mark.parametrize(("values", "dimensions"), [(None, None), ([-3.0, 0.0, 2.5], [7, 2])])
def test_a_traversal_has_a_row_a_dimension_and_a_column_a_value(values, dimensions):
    images = random_images(6).reshape(2, 3, 3, 4, 1)
    figure = plotting.traversal_grid(images, values, dimensions)
    axes, picture = figure.axes[0], shown(figure)
    np.testing.assert_array_equal(picture, plotting.tile(images.reshape(6, 3, 4, 1), 3)[..., 0])
    rows, columns = axes.get_yticks(), axes.get_xticks()
    assert [label.get_text() for label in axes.get_yticklabels()] == (
        ["z[0]", "z[1]"] if dimensions is None else ["z[7]", "z[2]"]
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == ([] if values is None else ["-3", "0", "2.5"])
    # Each label is at the middle of its images: 3 pixels and a gap high, 4 and a gap wide.
    np.testing.assert_array_equal(rows, [1, 5])
    np.testing.assert_array_equal(columns, [] if values is None else [1.5, 6.5, 11.5])
    # The labels have room of their own; the images keep theirs.
    size = axes.get_position().size * figure.get_size_inches()
    np.testing.assert_allclose(size, [3 * 0.6, 2 * 0.6], rtol=1e-10)


def test_bars_are_the_kl_of_each_dimension_from_the_largest_down():
    figure = plotting.kl_bars([0.5, 0.0, 2.0, 0.004], threshold=0.01)
    axes = figure.axes[0]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [2.0, 0.5, 0.004, 0.0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "0", "3", "1"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.01, 0.01])
    assert axes.get_title() == "KL(q || p): 2 of 4 dimensions active, 2.50 nats in all"
    colors = [bar.get_facecolor() for bar in axes.patches]
    assert axes.get_ylim() == (0.0, 4.0)
    assert colors[0] == colors[1] != colors[2] == colors[3]


def test_a_threshold_of_zero_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`threshold` must be a positive number. Received: threshold=0.0"):
        plotting.kl_bars(np.ones(3), 0.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_neighbors_stand_beside_their_sample(channels):
    samples, nearest = random_images(2, channels=channels), random_images(6, channels=channels)
    figure = plotting.neighbors(samples, nearest.reshape(2, 3, 3, 4, channels))
    gap = np.ones((1, 3, 4, channels))
    rows = [np.concatenate([samples[i : i + 1], gap, nearest[3 * i : 3 * i + 3]]) for i in range(2)]
    expected = plotting.tile(np.concatenate(rows), 5)
    np.testing.assert_array_equal(shown(figure), expected if channels == 3 else expected[..., 0])


def lines_of(figure):
    """Returns the lines of a grid of plots that are drawn in color: color -> a list of arrays `(points, 2)`."""
    found = {}
    for line in figure.axes[0].lines:
        if line.get_color() != "0.8":
            points = line.get_xydata()
            ends = np.flatnonzero(np.isnan(points).any(axis=1))
            found[line.get_color()] = [part[np.isfinite(part).all(1)] for part in np.split(points, ends)]
            found[line.get_color()] = [part for part in found[line.get_color()] if len(part)]
    return found


def heights(values, low, high, row=0):
    """Returns where values lie in the axes of a grid: 19 units a plot, of which 5% are margins, and gaps of 1."""
    return 20 * row - 0.5 + 19 * (0.05 + 0.9 * (high - np.asarray(values, np.float64)) / (high - low))


def test_series_are_lines_one_for_each_channel():
    x = np.random.default_rng(0).normal(size=(5, 8, 2)).astype(np.float32)
    figure = plotting.example_grid(x, 3, "title")
    low, high = x.min(), x.max()
    lines = lines_of(figure)
    assert list(lines) == ["C0", "C1"]
    for channel, of_channel in enumerate(lines.values()):
        assert len(of_channel) == 5
        for i, line in enumerate(of_channel):
            np.testing.assert_allclose(line[:, 0], 20 * (i % 3) - 0.5 + 19 * (np.arange(8) + 0.5) / 8, rtol=1e-6)
            np.testing.assert_allclose(line[:, 1], heights(x[i, :, channel], low, high, i // 3), rtol=1e-5)
    assert figure.get_suptitle() == "title"
    text = f"in each plot: values of 2 channels from {low:.3g} to {high:.3g} over the index from 0 to 7"
    assert text in [each.get_text() for each in figure.texts]


def test_vectors_are_bars_from_zero():
    x = np.float32([[1.0, 3.0, 2.0], [0.5, -1.0, 4.0]])
    (bars,) = lines_of(plotting.example_grid(x, 2)).values()
    assert len(bars) == 6
    np.testing.assert_allclose(np.stack(bars)[:, 0, 1], heights(np.zeros(6), -1.0, 4.0), rtol=1e-6)
    np.testing.assert_allclose(np.stack(bars)[:, 1, 1], heights(x.ravel(), -1.0, 4.0), rtol=1e-6)


def test_bars_begin_at_the_lowest_value_where_zero_is_far():
    (bars,) = lines_of(plotting.example_grid(np.float32([[100.0, 101.0, 102.0]]), 1)).values()
    np.testing.assert_allclose(np.stack(bars)[:, 0, 1], heights([100.0] * 3, 100.0, 102.0), rtol=1e-5)


def test_a_long_vector_is_a_line_and_other_shapes_are_flattened():
    x = np.random.default_rng(0).normal(size=(2, 65)).astype(np.float32)
    (lines,) = lines_of(plotting.example_grid(x, 2)).values()
    assert [len(line) for line in lines] == [65, 65]
    (flat,) = lines_of(plotting.example_grid(x.reshape(2, 5, 13, 1, 1), 2)).values()
    np.testing.assert_array_equal(flat, lines)


def test_of_many_channels_the_first_ten_are_drawn():
    assert len(lines_of(plotting.example_grid(np.zeros((2, 5, 12)), 2))) == 10


def test_integers_equal_values_and_values_that_are_not_finite_are_drawn():
    (bars,) = lines_of(plotting.example_grid(np.int64([[3, 3], [3, 3]]), 2)).values()
    assert len(bars) == 4
    x = np.float32([[np.nan, 1.0, np.inf], [np.nan] * 3])
    (bars,) = lines_of(plotting.example_grid(x, 2)).values()
    assert [len(bar) for bar in bars if len(bar) == 2] == [2]


def test_pairs_and_neighbors_of_series_leave_empty_places():
    x = np.random.default_rng(0).normal(size=(5, 8, 1)).astype(np.float32)
    (lines,) = lines_of(plotting.reconstructions(x, -x, 3)).values()
    low, high = min(x.min(), -x.max()), max(x.max(), -x.min())
    order = [(x[0], 0), (x[1], 0), (x[2], 0), (-x[0], 1), (-x[1], 1), (-x[2], 1), (x[3], 2), (x[4], 2), (-x[3], 3)]
    assert len(lines) == 10
    for line, (values, row) in zip(lines, order, strict=False):
        np.testing.assert_allclose(line[:, 1], heights(values[:, 0], low, high, row), rtol=1e-5)
    (lines,) = lines_of(plotting.neighbors(x[:2], np.stack([x[:2], x[2:4]]))).values()
    assert [round(line[0, 0] // 20) for line in lines] == [0, 2, 3, 0, 2, 3]


def test_a_traversal_of_vectors_has_its_labels_beside_its_plots():
    figure = plotting.traversal_grid(np.random.default_rng(0).normal(size=(2, 5, 4)), np.arange(5.0), [7, 2])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.get_yticks(), [9, 29])
    np.testing.assert_array_equal(axes.get_xticks(), [9, 29, 49, 69, 89])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z[7]", "z[2]"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: plotting.example_grid(np.zeros((3, 7)), 2),
        lambda: plotting.example_grid(random_images(3)[..., 0], 2, "title"),
        lambda: plotting.example_grid(np.full((2, 5), np.nan), 2),
        lambda: plotting.traversal_grid(np.zeros((2, 3, 5)), [0.0, 1.0, 2.0]),
        lambda: plotting.neighbors(np.zeros((2, 5)), np.ones((2, 3, 5))),
        lambda: plotting.image_grid(random_images(5), 2, "title"),
        lambda: plotting.image_grid(random_images(5, channels=3), 2),
        lambda: plotting.reconstructions(random_images(4), random_images(4), 2),
        lambda: plotting.learning_curve(finite_history(1)),
        lambda: plotting.learning_curve({"elbo": [-3.0, -2.0]}),
        lambda: plotting.latent_map(np.zeros((3, 2)), np.arange(3)),
        lambda: plotting.latent_map(np.zeros((3, 2))),
        lambda: plotting.traversal_grid(random_images(6)[None], np.linspace(-3, 3, 6)),
        lambda: plotting.traversal_grid(random_images(6, channels=3)[:, None]),
        lambda: plotting.kl_bars(np.linspace(3, 0, 40)),
        lambda: plotting.kl_bars(np.zeros(1)),
        lambda: plotting.neighbors(random_images(2), random_images(6).reshape(2, 3, 3, 4, 1)),
    ],
)
def test_every_figure_renders_to_png_bytes_of_its_size(make):
    figure = make()
    png = png_of(figure, dpi=50)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    np.testing.assert_allclose(size, figure.get_size_inches() * 50, atol=1, rtol=0)
