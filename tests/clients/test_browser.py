"""The exported page in headless Chromium: its numbers are those of Python, and it can be used on a phone."""

import base64
import logging

import numpy as np
import pytest
import tensorflow as tf
from client_models import (
    NAMES,
    NUM_SAMPLES,
    SEEDS,
    TOLERANCE,
    make_codes,
    most_other_pictures,
    prepared_folder,
    relative_difference,
)
from client_pages import drive, python_words, serve_all

from keras_vae.distributions.noise import Noise

prepared_folder()
LOG = logging.getLogger(__name__)
COUNTERS = [(0, 0, 0), (7, 3, 39), (-1, 15, 2), (2**31 - 1, 0, 1000), (-(2**31), 2**31, 0), (2**32 - 1, 1, 1)]


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    with serve_all(tmp_path_factory.mktemp("browser")) as sites:
        yield sites


@pytest.fixture(scope="module")
def numbers(sites):
    """Returns name -> samples, decoded codes and noise that the page computes."""
    results = {}
    for name, (model, _, url) in sites.items():
        codes = make_codes(model.vae)
        results[name] = drive(
            "numbers",
            url,
            samples=[
                {"seed": seed, "temperature": 1.0, "classIndex": model.class_of(i)} for i, seed in enumerate(SEEDS)
            ]
            + [{"seed": 3, "temperature": 0.5, "classIndex": 0}],
            codes=[{"z": z.tolist(), "classIndex": model.class_of(i)} for i, z in enumerate(codes)],
            counters=COUNTERS,
            normals=[[seed, NUM_SAMPLES, 40] for seed in SEEDS],
        )
    return results


@pytest.fixture(scope="module")
def visits(sites):
    """Returns name -> everything that the page shows while somebody uses it."""
    return {name: drive("visit", site.url) for name, site in sites.items()}


each = pytest.mark.parametrize("name", NAMES)


# The numbers.


@each
def test_sample_is_that_of_python(sites, numbers, name):
    mean, z = sites[name].model.samples(SEEDS)
    drawn = numbers[name]["samples"][: len(SEEDS)]
    drawn_mean, drawn_z = (np.array([values[key] for values in drawn]) for key in ("mean", "z"))
    differences = (
        relative_difference(drawn_mean.reshape(mean.shape), mean, most_other_pictures(name, len(SEEDS) * NUM_SAMPLES)),
        relative_difference(drawn_z.reshape(z.shape), z),
    )
    LOG.info("largest difference of sample, %s: %.2g", name, max(differences))
    assert max(differences) < TOLERANCE


@each
def test_temperature_is_that_of_python(sites, numbers, name):
    mean, _ = sites[name].model.samples([3], temperature=0.5)
    assert relative_difference(np.reshape(numbers[name]["samples"][-1]["mean"], mean.shape), mean) < TOLERANCE


@each
def test_decode_is_that_of_python(sites, numbers, name):
    model = sites[name].model
    expected = model.decoded(make_codes(model.vae))
    difference = relative_difference(np.reshape(numbers[name]["decoded"], expected.shape), expected)
    LOG.info("largest difference of decode, %s: %.2g", name, difference)
    assert difference < TOLERANCE


def test_noise_words_are_those_of_python(numbers):
    for (seed, row, position), words in zip(COUNTERS, numbers["dense"]["words"], strict=True):
        assert words == python_words(seed, row, position)


def test_noise_uniforms_are_those_of_python(numbers):
    words = [python_words(*counter)[0] for counter in COUNTERS]
    assert numbers["dense"]["uniforms"] == [((word >> 9) + 0.5) / 2**23 for word in words]


def test_noise_normals_are_those_of_python(numbers):
    expected = np.stack([Noise(seed).normal((NUM_SAMPLES, 40)) for seed in SEEDS])
    difference = np.max(np.abs(np.reshape(numbers["dense"]["normals"], expected.shape) - expected))
    LOG.info("largest difference of the normals: %.2g", difference)
    # cos of 2 pi v loses up to 4e-7 to the rounding of 2 pi v in float32, times a radius of up to 5.8.
    assert difference < 3e-6


@each
def test_console_has_no_errors_and_nothing_is_asked_of_another_host(numbers, visits, name):
    for result in (numbers[name], visits[name]):
        assert result["console"] == []
        assert result["elsewhere"] == []


# The page.


def test_it_says_what_it_is_loading(sites, visits):
    size = sites["dense"].folder.joinpath("decoder.tflite").stat().st_size
    assert visits["dense"]["statusTexts"][1:] == [
        "Loading the model card...",
        f"Loading the model ({-(-size // 1000)} kB)...",
        "Loading the runtime...",
        "Preparing the model...",
        visits["dense"]["statusTexts"][-1],
    ]
    assert visits["dense"]["statusTexts"][-1].startswith("16 pictures of seed 7, drawn in ")


def test_the_noise_is_checked_against_the_card(sites, visits):
    count = len(sites["dense"].model.card()["noise"]["test_vectors"])
    assert count > 0
    assert visits["dense"]["checks"] == f"Noise: {count} test vectors of the model card agree."


@each
def test_nothing_is_wider_than_the_window(visits, name):
    assert visits[name]["overflow"] == {width: {"excess": 0, "elements": []} for width in ("phone", "desk")}


@each
def test_controls_have_names_and_fit_a_finger(visits, name):
    assert visits[name]["unusable"] == {"nameless": [], "small": []}


def test_dark_mode_is_dark(visits):
    brightness = {
        scheme: np.mean([int(part) for part in color[4:-1].split(",")])
        for scheme, color in visits["dense"]["colors"].items()
    }
    assert brightness["light"] > 200
    assert brightness["dark"] < 50


def test_a_wrong_seed_is_explained(visits):
    expected = "The seed must be an integer from -2147483648 to 2147483647. Received: "
    assert visits["dense"]["seedMessages"] == {
        "": f"{expected}nothing.",
        "1.5": f"{expected}1.5.",
        "3000000000": f"{expected}3000000000.",
        "-2147483649": f"{expected}-2147483649.",
    }
    assert visits["dense"]["seedAfterNext"] == "12"


def red(mean, low, high):
    """Returns what a canvas shows of the first channel, 0 to 255."""
    return np.clip((mean[..., 0].ravel() - low) * 255 / (high - low), 0, 255)


@each
def test_a_picture_and_its_changes_are_those_of_python(sites, visits, name):
    model, visit = sites[name].model, visits[name]
    (mean,), (z,) = model.samples([12])
    low, high = model.card()["value_range"] or (mean.min(), mean.max())
    # Sliders have steps of 0.01; colors are rounded.
    np.testing.assert_allclose(visit["chosen"]["z"], z[2], atol=0.0051)
    np.testing.assert_allclose(visit["chosen"]["pixels"], red(mean[2], low, high), atol=0.51)
    moved = z[2].copy()
    moved[0] = visit["changed"]["z"][0]
    assert abs(moved[0] - z[2][0]) > 0.05
    np.testing.assert_allclose(visit["changed"]["pixels"], red(model.decoded(moved[None])[0], low, high), atol=0.51)
    assert visit["changed"]["pixels"] != visit["chosen"]["pixels"]
    # Pixels that are drawn one after the other are drawn from one noise for all codes, and not from that of the seed.
    expected = red(model.decoded(z[2:3])[0], low, high) if name == "autoregressive" else visit["chosen"]["pixels"]
    np.testing.assert_allclose(visit["resetPixels"], expected, atol=1)
    np.testing.assert_allclose(visit["pointPixels"], expected, atol=1)
    step = 0.3 * Noise(0, stream=1).normal((1, len(z[2])))[0]
    np.testing.assert_allclose(visit["nudged"], z[2] + step, atol=0.0051)


def test_the_class_is_chosen_on_the_page(sites, visits):
    model = sites["conditional"].model
    mean = model.vae.sample(NUM_SAMPLES, seed=12, condition=1).numpy()
    np.testing.assert_allclose(visits["conditional"]["classOnePixels"], red(mean[2], 0, 1), atol=0.51)
    assert "classOnePixels" not in visits["dense"]


def test_unbounded_values_are_scaled_and_the_page_says_so(visits):
    assert "The values have no bounds." in visits["mixture"]["note"]
    assert visits["dense"]["note"] == ""


def test_pixels_drawn_in_turn_are_announced_and_explained(visits):
    said = visits["autoregressive"]["statusTexts"]
    assert "Drawing 16 pictures of seed 7, pixel by pixel..." in said
    assert "Drawing the pictures between, 9 of 9..." in said
    assert said[-1].startswith("16 pictures of seed ")
    assert visits["autoregressive"]["note"].startswith("Each pixel is drawn given those before it.")
    assert not any("pixel by pixel" in text for text in visits["dense"]["statusTexts"])


@each
def test_saved_files_are_pictures(sites, visits, name):
    height, width, _ = sites[name].model.vae.event_shape
    for button, columns, rows in (("save-grid", 4, 4), ("save-picture", 1, 1), ("save-strip", 9, 1)):
        file = visits[name]["downloads"][button]
        assert file["name"].endswith(".png")
        picture = tf.io.decode_png(base64.b64decode(file["png"])).numpy()
        scale = -(-256 // (max(height, width) * columns))
        gap = 2 * scale if columns > 1 else 0
        assert picture.shape == (
            rows * (height * scale + gap) - gap,
            columns * (width * scale + gap) - gap,
            4,
        )
    saved = visits[name]["downloads"]["save-grid"]
    assert saved["name"] == "samples-seed-12.png"


def test_the_saved_grid_shows_the_samples(sites, visits):
    (mean,), _ = sites["dense"].model.samples([12])
    picture = tf.io.decode_png(base64.b64decode(visits["dense"]["downloads"]["save-grid"]["png"])).numpy()
    height, width, _ = mean.shape[1:]
    scale = -(-256 // (4 * max(height, width)))
    for index, expected in enumerate(mean):
        top, left = (place * scale for place in ((index // 4) * (height + 2), (index % 4) * (width + 2)))
        shown = picture[top : top + height * scale : scale, left : left + width * scale : scale, 0]
        np.testing.assert_allclose(shown.ravel(), red(expected, 0, 1), atol=0.51)
