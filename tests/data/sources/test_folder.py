"""Folders of images: pixels, labels and splits as they lie on disk; sizes; and what is no image."""

import io
import json
import logging
import os
import re
import struct
import time
import zlib

import numpy as np
import pytest
from absl import logging as absl_logging
from fuzz import FUZZ, damaged, outcome
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_vae import data
from keras_vae.data.sources import folder, pictures
from keras_vae.runs import build, training
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils import atomic_files, memory

RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (24, 9, 13, 3), np.uint8)
GRAY = COLOR[..., 0]


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def save_all(root, pixels, classes=("",), suffix=".png"):
    """Writes image i to the folder of class i modulo their number."""
    for i, image in enumerate(pixels):
        save(root / classes[i % len(classes)] / f"{i:03}{suffix}", image)
    return root


def numbers(part, pixels):
    """Returns which of `pixels` each image of a split is."""
    flat = {image.tobytes(): i for i, image in enumerate(pixels)}
    return [flat[image.tobytes()] for image in part.values.reshape(-1, *pixels.shape[1:])]


def parts(dataset):
    return dataset.train, dataset.validation, dataset.test


@pytest.fixture
def logged(caplog):
    """The log, as text."""
    absl_logging.set_verbosity(absl_logging.INFO)
    absl_logging.get_absl_logger().propagate = True
    caplog.set_level(logging.INFO, logger="absl")
    return lambda: [record.getMessage() for record in caplog.records]


# What is read.


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
@pytest.mark.parametrize("pixels", [COLOR, GRAY], ids=["color", "gray"])
def test_pixels_and_labels_are_those_on_disk(tmp_path, pixels, suffix):
    save_all(tmp_path, pixels, ("dog", "cat", "eel"), suffix)
    loaded = data.load(str(tmp_path))
    assert loaded.event_shape == (9, 13, 3 if pixels is COLOR else 1)
    found = [numbers(part, pixels) for part in parts(loaded)]
    assert sorted(i for index in found for i in index) == list(range(24))
    for part, index in zip(parts(loaded), found, strict=True):
        np.testing.assert_array_equal(part.labels, np.array([1, 0, 2])[np.array(index) % 3])
        assert (part.values.dtype, part.divisor) == (np.uint8, 255.0)
    np.testing.assert_array_equal(loaded.test.numpy(), loaded.test.values / np.float32(255))
    described = loaded.describe()
    assert (described["classes"], described["class_names"]) == (3, ["cat", "dog", "eel"])
    assert described["source"] == f"images in {tmp_path}"


def test_webp_is_read(tmp_path):
    for i, pixels in enumerate(COLOR[:12]):
        Image.fromarray(pixels).save(tmp_path / f"{i:02}.webp", lossless=True)
    loaded = data.load(str(tmp_path))
    found = [i for part in parts(loaded) for i in numbers(part, COLOR)]
    assert sorted(found) == list(range(12))


def test_the_split_is_that_of_the_fractions_and_the_seed(tmp_path):
    save_all(tmp_path, COLOR)
    first, again, other = (data.load(str(tmp_path), seed=seed, test_fraction=0.25) for seed in (0, 0, 1))
    assert [len(part) for part in parts(first)] == [16, 2, 6]
    for part, same in zip(parts(first), parts(again), strict=True):
        np.testing.assert_array_equal(part.values, same.values)
    assert set(numbers(first.test, COLOR)) != set(numbers(other.test, COLOR))
    assert first.train.labels is None


def test_named_splits_are_kept_and_shuffled(tmp_path):
    for split, index in (("train", range(14)), ("test", range(14, 20)), ("validation", range(20, 24))):
        for i in index:
            save(tmp_path / split / "ab"[i % 2] / f"{i:03}.png", COLOR[i])
    loaded = data.load(str(tmp_path))
    found = [numbers(part, COLOR) for part in parts(loaded)]
    assert [sorted(index) for index in found] == [[*range(14)], [*range(20, 24)], [*range(14, 20)]]
    assert found[0] != sorted(found[0], key=lambda i: (i % 2, i))  # not one class after the other
    for part, index in zip(parts(loaded), found, strict=True):
        np.testing.assert_array_equal(part.labels, np.array(index) % 2)


def test_a_missing_validation_or_test_folder_is_cut_from_train(tmp_path, logged):
    save_all(tmp_path / "train", COLOR[:20])
    save(tmp_path / "more" / "a.png", COLOR[20])
    without_test = data.load(str(tmp_path), test_fraction=0.5, validation_fraction=0.1)
    assert [len(part) for part in parts(without_test)] == [9, 1, 10]
    assert f"{tmp_path} has train/, so what is beside it is ignored: more" in logged()
    save_all(tmp_path / "test", COLOR[20:])
    with_test = data.load(str(tmp_path), test_fraction=0.5, validation_fraction=0.1)
    assert [len(part) for part in parts(with_test)] == [18, 2, 4]
    assert sorted(numbers(with_test.test, COLOR)) == [20, 21, 22, 23]


def test_a_class_keeps_its_number_where_a_split_lacks_it(tmp_path):
    for name, i in (("a", 0), ("b", 1), ("c", 2), ("a", 3), ("c", 4)):
        save(tmp_path / "train" / name / f"{i}.png", COLOR[i])
    save(tmp_path / "test" / "c" / "5.png", COLOR[5])
    loaded = data.load(str(tmp_path))
    assert (loaded.test.labels.tolist(), loaded.class_names) == ([2], ("a", "b", "c"))


def test_sub_folders_of_a_class_belong_to_it(tmp_path):
    save_all(tmp_path / "a" / "deeper" / "still", GRAY[:5])
    save_all(tmp_path / "b", GRAY[5:9])
    loaded = data.load(str(tmp_path))
    labels = {i: label for part in parts(loaded) for i, label in zip(numbers(part, GRAY), part.labels, strict=True)}
    assert labels == {i: int(i > 4) for i in range(9)}


def test_jpeg_and_gif_are_read_as_pillow_does(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 250, 13, dtype=np.uint8), (9, 13))
    for i in range(4):
        save(tmp_path / f"{i}.jpg", smooth, quality=95)
        save(tmp_path / f"{i}.jpeg", smooth, quality=95)
    loaded = data.load(str(tmp_path))
    assert loaded.event_shape == (9, 13, 1)
    # JPEG at quality 95 loses a level or two.
    np.testing.assert_allclose(loaded.train.values[..., 0].astype(int), np.tile(smooth, (6, 1, 1)), atol=3)
    second = Image.fromarray(255 - GRAY[1])
    Image.fromarray(GRAY[0]).save(tmp_path / "a.gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(pictures.decode(tmp_path / "a.gif", 9, 13, 1)[..., 0], GRAY[0])


def test_gray_beside_color_is_color(tmp_path, logged):
    save_all(tmp_path, COLOR[:5])
    save(tmp_path / "gray.png", GRAY[9])
    loaded = data.load(str(tmp_path))
    values = np.concatenate([part.values for part in parts(loaded)])
    assert any((image == GRAY[9][..., None]).all() for image in values)
    assert "1 of 6 images gray, taken as color" in logged()


def laid_on(background, pixels, alpha):
    """Returns `alpha pixels + (1 - alpha) background`, rounded."""
    share = alpha / 255.0
    return np.rint(share * pixels + (1.0 - share) * np.array(background))


@pytest.mark.parametrize(("background", "color"), [("white", (255, 255, 255)), ("#102030", (16, 32, 48))])
def test_transparent_pictures_are_laid_on_a_background_and_it_is_said_once(tmp_path, logged, background, color):
    alpha = RANDOM.integers(0, 256, (9, 13, 1), np.uint8)
    alpha[:3] = 0
    save_all(tmp_path, [np.concatenate([image, alpha], -1) for image in COLOR[:5]])
    save(tmp_path / "opaque.png", COLOR[5])
    loaded = data.load(str(tmp_path), background=background)
    values = np.concatenate([part.values for part in parts(loaded)]).astype(int)
    for image in COLOR[:5]:
        # Pillow rounds on the way.
        assert np.abs(values - laid_on(color, image, alpha)).max(axis=(1, 2, 3)).min() <= 1
    assert (values[:, :3] == color).all(axis=(1, 2, 3)).sum() == 5
    assert [line for line in logged() if "laid on" in line] == [
        f"5 of 6 images with transparent pixels laid on {background}"
    ]


def test_colors_under_transparent_pixels_bleed_into_no_neighbor(tmp_path):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, ::2] = [255, 0, 0, 0]  # hidden red beside white
    pixels[:, 1::2] = 255
    save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(pictures.decode(tmp_path / "a.png", 5, 5, 3), np.full((5, 5, 3), 255))


def transparent(mode):
    """Returns a picture of two halves, the left one transparent, and how it is saved."""
    left = np.arange(12).reshape(3, 4) % 4 < 2
    colored = np.where(left[..., None], [255, 0, 255], [10, 20, 30]).astype(np.uint8)
    gray = np.where(left, 77, 10).astype(np.uint8)
    if mode == "palette with one transparent color":
        image = Image.frombytes("P", (4, 3), left.astype(np.uint8).tobytes())
        image.putpalette([10, 20, 30, 255, 0, 255])
        return image, {"transparency": 1}
    if mode == "palette with alpha":
        return transparent("palette with one transparent color")[0], {"transparency": b"\xff\x00"}
    if mode == "gray with alpha":
        return Image.merge("LA", [Image.fromarray(c.astype(np.uint8)) for c in (gray, 255 * ~left)]), {}
    image, hidden = {
        "one transparent color": (colored, (255, 0, 255)),
        "one transparent gray": (gray, 77),
        "one transparent gray of 16 bits": (np.where(left, 2571, 2570).astype(np.uint16), 2571),
    }[mode]
    return Image.fromarray(image), {"transparency": hidden}


@pytest.mark.parametrize(
    ("mode", "right"),
    [
        ("palette with one transparent color", [10, 20, 30]),
        ("palette with alpha", [10, 20, 30]),
        ("one transparent color", [10, 20, 30]),
        ("gray with alpha", [10, 10, 10]),
        ("one transparent gray", [10, 10, 10]),
        ("one transparent gray of 16 bits", [10, 10, 10]),
    ],
)
def test_every_kind_of_transparency_shows_the_background(tmp_path, mode, right):
    image, options = transparent(mode)
    image.save(tmp_path / "a.png", **options)
    loaded = data.sources.folder.read(tmp_path, background="yellow").train.values
    np.testing.assert_array_equal(loaded[0, :, :2], np.broadcast_to([255, 255, 0], (3, 2, 3)))
    np.testing.assert_array_equal(loaded[0, :, 2:], np.broadcast_to(right, (3, 2, 3)))


def test_gray_with_alpha_stays_gray_on_a_gray_background(tmp_path):
    Image.merge("LA", [Image.fromarray(GRAY[0]), Image.fromarray(GRAY[1])]).save(tmp_path / "a.png")
    assert pictures.read_header(tmp_path / "a.png") == (9, 13, 1, True, False)
    for background, value in ("white", 255), ("black", 0):
        values = data.sources.folder.read(tmp_path, background=background).train.values
        assert values.shape == (1, 9, 13, 1)
        expected = laid_on(value, GRAY[0].astype(float), GRAY[1])
        assert np.abs(values[0, ..., 0] - expected).max() <= 1


@pytest.mark.parametrize("background", ["nowhere", "#12", "#11223344", "", None, 3])
def test_a_background_that_is_no_color_is_an_error_before_anything_is_read(background):
    with pytest.raises(ValueError, match=r"^`background` must be a color: a name of CSS.*Received: background="):
        data.load("nowhere", background=background)


def test_16_bits_are_scaled_to_8(tmp_path, logged):
    deep = RANDOM.integers(0, 65536, (6, 9, 13)).astype(np.uint16)
    deep[:, 0, :4] = [0, 128, 129, 65535]
    save_all(tmp_path, deep)
    loaded = data.load(str(tmp_path))
    expected = np.rint(deep / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(expected[0, 0, :4], [0, 0, 1, 255])
    assert sorted(i for part in parts(loaded) for i in numbers(part, expected)) == list(range(6))
    assert "6 of 6 images scaled from 16 to 8 bits" in logged()


@pytest.mark.parametrize(("palette", "channels"), [("gray", 1), ("color", 3)])
def test_a_palette_is_gray_if_its_colors_are(tmp_path, palette, channels):
    index = RANDOM.integers(0, 3, (9, 13), np.uint8)
    colors = [[7, 7, 7], [90, 90, 90], [200, 200, 200] if palette == "gray" else [200, 0, 9]]
    image = Image.frombytes("P", (13, 9), index.tobytes())
    image.putpalette(bytes(np.array(colors, np.uint8)))
    image.save(tmp_path / "a.png")
    assert pictures.read_header(tmp_path / "a.png").channels == channels
    decoded = pictures.decode(tmp_path / "a.png", 9, 13, channels)
    np.testing.assert_array_equal(decoded, np.array(colors, np.uint8)[index][..., :channels])


def test_one_bit_is_black_and_white(tmp_path):
    Image.fromarray(GRAY[0] > 127).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pictures.decode(tmp_path / "a.png", 9, 13, 1)[..., 0], (GRAY[0] > 127) * 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_a_photo_is_turned_the_way_it_was_held(tmp_path, orientation, name):
    shown = np.zeros((16, 32), np.uint8)
    shown[:8, :8] = 255  # a white corner, top left
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    turn = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[inverse]  # of Image.Transpose
    stored = Image.fromarray(shown)
    stored = stored if turn is None else stored.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / name, exif=exif, quality=95)
    assert pictures.read_header(tmp_path / name)[:2] == (16, 32)
    np.testing.assert_allclose(pictures.decode(tmp_path / name, 16, 32, 1)[..., 0].astype(int), shown, atol=5)


# Sizes.


def test_several_sizes_are_one_error_that_names_two_files_and_the_flag(tmp_path):
    save_all(tmp_path, COLOR[:3])
    save(tmp_path / "z.png", COLOR[3][:8])
    with pytest.raises(ValueError, match=r"--image_size=HEIGHTxWIDTH must say") as caught:
        data.load(str(tmp_path))
    assert str(caught.value).endswith(f"Received: 9x13 of {tmp_path}/000.png and 8x13 of {tmp_path}/z.png")


def test_several_sizes_are_brought_to_one_and_it_is_said(tmp_path, logged):
    for i, (height, width) in enumerate([(10, 14), (20, 28), (30, 20), (5, 7), (5, 7)]):
        save(tmp_path / f"{i}.png", np.full((height, width, 3), [200, 100, i], np.uint8))
    loaded = data.load(str(tmp_path), image_size=(10, 14))
    values = np.concatenate([part.values for part in parts(loaded)])
    assert values.shape == (5, 10, 14, 3)
    # A constant image stays what it is, at any scale.
    np.testing.assert_array_equal(np.ptp(values, axis=(1, 2)), 0)
    assert sorted(values[:, 0, 0].tolist()) == [[200, 100, i] for i in range(5)]
    assert {"4 of 5 images resized to 10x14", "1 of 5 images cut in the middle to the aspect of 10x14"} <= set(logged())
    assert data.load(str(tmp_path), image_size=6).event_shape == (6, 6, 3)


def test_images_of_the_wanted_size_are_not_touched(tmp_path):
    save_all(tmp_path, COLOR)
    loaded = data.load(str(tmp_path), image_size=(9, 13))
    assert sorted(i for part in parts(loaded) for i in numbers(part, COLOR)) == list(range(24))


def test_the_middle_is_cut_to_the_aspect(tmp_path):
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 77
    save(tmp_path / "a.png", wide)
    np.testing.assert_array_equal(pictures.decode(tmp_path / "a.png", 8, 8, 1), np.full((8, 8, 1), 77))
    # The filter of a new pixel at the edge reaches half a new pixel further.
    wide[:, 6:18] = 77
    save(tmp_path / "a.png", wide)
    np.testing.assert_array_equal(pictures.decode(tmp_path / "a.png", 4, 4, 1), np.full((4, 4, 1), 77))


def test_shrinking_averages_and_does_not_alias(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 200).astype(np.uint8)
    save(tmp_path / "a.png", board)
    small = pictures.decode(tmp_path / "a.png", 8, 8, 1)
    np.testing.assert_allclose(small, 100, atol=1)


@pytest.mark.parametrize("size", [(16, 16), (20, 35), (90, 60)])
def test_a_photo_shrunk_as_it_is_decoded_is_that_shrunk_afterwards(tmp_path, size):
    y, x = np.indices((400, 600)) / 100.0
    photo = np.stack([np.sin(x) * np.cos(y), np.cos(2 * x), np.sin(y + x)], -1) * 120 + 128
    for name in ("a.jpg", "a.png"):
        save(tmp_path / name, photo.astype(np.uint8), **({"quality": 98} if name == "a.jpg" else {}))
    jpeg, png = (pictures.decode(tmp_path / name, *size, 3).astype(int) for name in ("a.jpg", "a.png"))
    # JPEG keeps colors at half the resolution and loses a level or two.
    np.testing.assert_allclose(jpeg, png, atol=6)


@FUZZ
@given(
    size=st.tuples(*[st.integers(1, 40)] * 2),
    new=st.tuples(*[st.integers(1, 40)] * 2),
    value=st.integers(0, 255),
    mode=st.sampled_from(["L", "RGB"]),
)
def test_any_constant_image_stays_constant(tmp_path, size, new, value, mode):
    Image.new(mode, size, value if mode == "L" else (value, 255 - value, 7)).save(tmp_path / "a.png")
    header = pictures.read_header(tmp_path / "a.png")
    assert header[:3] == (size[1], size[0], 1 if mode == "L" else 3)
    image = pictures.decode(tmp_path / "a.png", *new, header.channels)
    assert image.shape == (*new, header.channels)
    assert (image == np.array([value, 255 - value, 7])[: header.channels]).all()


@FUZZ
@given(levels=st.lists(st.integers(0, 255), min_size=1, max_size=50), new=st.tuples(*[st.integers(1, 60)] * 2))
def test_any_gradient_stays_monotone_and_in_its_range(tmp_path, levels, new):
    row = np.sort(np.array(levels, np.uint8))
    save(tmp_path / "a.png", np.broadcast_to(row, (5, len(row))))
    image = pictures.decode(tmp_path / "a.png", *new, 1)[..., 0].astype(int)
    assert (np.diff(image, axis=1) >= 0).all()
    assert (np.diff(image, axis=0) == 0).all()
    assert row[0] <= image.min() <= image.max() <= row[-1]


@pytest.mark.parametrize("image_size", [0, -1, (4,), (4, 0), (1, 2, 3), 2.5, "8", True])
def test_a_bad_image_size_is_refused_by_name(tmp_path, image_size):
    with pytest.raises(ValueError, match=r"^`image_size` must be a positive integer or two, .*Received: "):
        data.load(str(tmp_path), image_size=image_size)


# What is no image.


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=rf"^No images found in {tmp_path}\. Looked for \.png, \.jpg.*0 other files"):
        data.load(str(tmp_path))
    (tmp_path / "readme.txt").write_text("x")
    save_all(tmp_path / "train", COLOR)
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match=rf"^No images found in {tmp_path}/test\."):
        data.load(str(tmp_path))


def test_what_the_package_wrote_is_no_data(tmp_path, logged):
    save_all(tmp_path / "pics", COLOR, ("a", "b"))
    own = ("runs/one", "a/two", "train", "c")
    for name in own:
        save(tmp_path / "pics" / name / "figures" / "samples.png", GRAY[0])
        atomic_files.mark(tmp_path / "pics" / name)
    # A version without the marker wrote these; the third is no run.
    for name, beside in (("runs/old", "metrics.csv"), ("hub", "model.keras")):
        save(tmp_path / "pics" / name / "samples.png", GRAY[0])
        (tmp_path / "pics" / name / "config.json").write_text(json.dumps(Config().to_dict()))
        (tmp_path / "pics" / name / beside).touch()
    for name, text in (("config.json", "{}"), ("metrics.csv", "")):
        (tmp_path / "pics" / "a" / name).write_text(text)
    (tmp_path / "pics" / "b" / "link").symlink_to(tmp_path / "pics" / "runs" / "one")
    dataset = data.load(str(tmp_path / "pics"))
    assert dataset.class_names == ("a", "b")
    assert sorted(i for part in parts(dataset) for i in numbers(part, COLOR)) == list(range(24))
    (said,) = (text for text in logged() if "since keras_vae wrote it" in text)
    assert all(str(tmp_path / "pics" / name) in said for name in ("runs/one", "a/two", "train", "c", "hub", "b/link"))


def test_a_folder_that_the_package_wrote_is_one_error(tmp_path):
    figures = tmp_path / "figures"
    atomic_files.make_own(figures)
    save(figures / "samples.png", GRAY[0])
    with pytest.raises(ValueError, match=f"No images found in {figures}.*not read as data, since keras_vae wrote it"):
        data.load(str(figures))


def test_hidden_files_and_others_are_ignored_with_their_count(tmp_path, logged):
    save_all(tmp_path, COLOR)
    save(tmp_path / ".hidden.png", COLOR[0])
    save(tmp_path / ".folder" / "a.png", COLOR[0])
    (tmp_path / "notes.txt").write_text("x")
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    loaded = data.load(str(tmp_path))
    assert sum(len(part) for part in parts(loaded)) == 24
    assert f"{tmp_path}: 4 hidden files and files that are no images ignored" in logged()


def test_images_beside_class_folders_are_refused(tmp_path):
    save(tmp_path / "a.png", COLOR[0])
    save(tmp_path / "b" / "c.png", COLOR[0])
    with pytest.raises(ValueError, match=r"in sub-folders, whose names are the labels, or none\. Received: ") as caught:
        data.load(str(tmp_path))
    assert str(caught.value).endswith(f"Received: {tmp_path}/a.png and {tmp_path}/b/c.png")


def test_loops_of_links_do_not_hang(tmp_path, logged):
    save_all(tmp_path / "a", COLOR[:12])
    save_all(tmp_path / "b", COLOR[12:])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "self").symlink_to("self")
    for i in range(30):  # 2^30 ways through them
        (tmp_path / "b" / f"d{i}").mkdir()
        for name in "xy":
            (tmp_path / "b" / f"d{i}" / name).symlink_to(tmp_path / "b" / f"d{i + 1}")
    started = time.perf_counter()
    loaded = data.load(str(tmp_path))
    assert time.perf_counter() - started < 20
    assert sorted(i for part in parts(loaded) for i in numbers(part, COLOR)) == list(range(24))
    assert f"{tmp_path}/a/up is a link to a folder that is read already: ignored" in logged()


def test_a_linked_folder_is_followed_and_is_no_second_split(tmp_path):
    save_all(tmp_path / "elsewhere", COLOR)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(tmp_path / "elsewhere")
    assert sum(len(part) for part in parts(data.load(str(tmp_path / "data")))) == 24
    (tmp_path / "data" / "test").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"^No images found in {tmp_path}/data/test\."):
        data.load(str(tmp_path / "data"))


def break_images(root, count=1):
    """Writes images of which the first `count` are broken, each in its own way."""
    save_all(root, COLOR)
    for i in range(count):
        path = root / f"{i:03}.png"
        content = path.read_bytes()
        path.write_bytes([content[:200], b"", b"text", content[:30] + b"?" + content[31:]][i % 4])
    return [str(root / f"{i:03}.png") for i in range(count)]


@pytest.mark.parametrize("count", [1, 4, 10])
def test_bad_images_are_all_named_and_stop(tmp_path, count):
    names = break_images(tmp_path, count)
    with pytest.raises(ValueError, match=rf"^{count} of 24 images in {tmp_path} cannot be read: ") as caught:
        data.load(str(tmp_path))
    assert [name for name in re.findall(r"[^ ]*\.png", str(caught.value)) if name in names] == names
    assert str(caught.value).endswith("go on without them by --on_bad_image=skip")


def test_of_many_bad_images_ten_are_named_and_the_others_counted(tmp_path):
    names = break_images(tmp_path, 13)
    with pytest.raises(ValueError, match=r"^13 of 24 images .*; and 3 more\. Mend") as caught:
        data.load(str(tmp_path))
    assert [name in str(caught.value) for name in names] == [True] * 10 + [False] * 3


def test_bad_images_are_skipped_on_request_and_logged(tmp_path, logged):
    break_images(tmp_path, 5)
    loaded = data.load(str(tmp_path), on_bad_image="skip")
    assert sorted(i for part in parts(loaded) for i in numbers(part, COLOR)) == list(range(5, 24))
    assert any(re.match(rf"5 of 24 images in {tmp_path} cannot be read: .*004\.png", line) for line in logged())


def test_labels_stay_with_their_images_when_others_are_skipped(tmp_path):
    save_all(tmp_path, COLOR, ("a", "b"))
    for name in ("a/002.png", "b/005.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
    for part in parts(data.load(str(tmp_path), on_bad_image="skip")):
        np.testing.assert_array_equal(part.labels, np.array(numbers(part, COLOR)) % 2)


@pytest.mark.parametrize("bad", [24, 23])
def test_skipping_cannot_make_up_for_nothing_left(tmp_path, bad):
    break_images(tmp_path, bad)
    message = "24 of 24 images .* cannot be read" if bad == 24 else "must hold at least 3 examples"
    with pytest.raises(ValueError, match=message):
        data.load(str(tmp_path), on_bad_image="skip")


def test_a_broken_link_is_a_bad_image(tmp_path):
    save_all(tmp_path, COLOR)
    (tmp_path / "away.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=rf"1 of 25 .*: {tmp_path}/away.png \(not a file \(a broken link\?\)\)\. Mend"):
        data.load(str(tmp_path))


def png_header(width, height):
    """Returns a gray PNG of that size with next to no pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, side):
    save_all(tmp_path, COLOR)
    (tmp_path / "bomb.png").write_bytes(png_header(side, side))
    started = time.perf_counter()
    with pytest.raises(ValueError, match=rf"bomb.png \(Image size \({side**2} pixels\) exceeds limit of \d+ pixels"):
        data.load(str(tmp_path))
    assert time.perf_counter() - started < 5


def test_another_format_under_a_name_of_these_is_a_bad_image(tmp_path):
    save_all(tmp_path, COLOR)
    Image.fromarray(COLOR[0]).save(tmp_path / "fake.png", format="TIFF")
    with pytest.raises(ValueError, match=r"fake.png \(not a PNG, JPEG, BMP, GIF or WebP image\)"):
        data.load(str(tmp_path))


def test_more_than_the_memory_is_refused_before_it_is_allocated(tmp_path, monkeypatch):
    save_all(tmp_path, COLOR)
    monkeypatch.setattr(memory, "_memory", lambda: 2**26)
    with pytest.raises(ValueError, match=r"24 images of shape \(1200, 1200, 3\) must fit in memory, which is 0.1 GiB"):
        data.load(str(tmp_path), image_size=1200)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(ValueError, match=rf"^Folder {tmp_path} cannot be read: .*Permission denied"):
        data.load(str(tmp_path))


def encoded(form, pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


@FUZZ
@given(
    content=damaged(encoded("PNG", COLOR[0]))
    | damaged(encoded("PNG", GRAY[0].astype(np.uint16)))
    | damaged(encoded("JPEG", COLOR[0]))
    | damaged(encoded("GIF", GRAY[0]))
    | damaged(encoded("BMP", COLOR[0]))
    | damaged(encoded("WEBP", COLOR[0]))
    | st.binary(max_size=60)
)
def test_a_damaged_image_is_a_bad_one_or_harmless(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    splits, message = outcome(folder.read, tmp_path, (9, 13))
    if message:
        assert message.startswith(f"1 of 1 images in {tmp_path} cannot be read: {tmp_path}/a.png (")
        assert "\n" not in message
    else:
        assert splits.train.values.shape[:3] == (1, 9, 13)
        assert splits.train.values.dtype == np.uint8


# In a run.


@pytest.mark.slow
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_run_on_odd_color_images_reports_what_it_was_trained_on(tmp_path, network):
    save_all(tmp_path / "pets", COLOR, ("cat", "dog"))
    config = Config(
        dataset=str(tmp_path / "pets"),
        run_dir=str(tmp_path / "run"),
        network=network,
        hidden_units=(8,),
        latent_dim=2,
        epochs=1,
        batch_size=8,
        conditional=network == "mlp",
        num_importance_samples=2,
        test_fraction=0.25,
    )
    run_dir = training.run(config)
    assert RunDir(run_dir).config == config
    described = build.load_data(RunDir(run_dir).config).describe()
    assert described == {
        "name": str(tmp_path / "pets"),
        "source": f"images in {tmp_path / 'pets'}",
        "shape": [9, 13, 3],
        "range": [COLOR.min() / 255, COLOR.max() / 255],
        "binarization": "none",
        "dequantization": "none",
        "train": 16,
        "validation": 2,
        "test": 6,
        "classes": 2,
        "class_names": ["cat", "dog"],
        "factors": [],
    }
    assert json.loads((run_dir / "report.json").read_text())["data"] == described
