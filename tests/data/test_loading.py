import gzip
import math
import shutil
import sys
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn import datasets

from keras_vae import data
from keras_vae.data.rows import Rows
from keras_vae.data.sources import decoded, mnist
from keras_vae.data.sources.sprites import FACTOR_SIZES, sprites

FILES = [f"{name}.gz" for name in mnist.SHA256]
DIGITS = np.random.default_rng(0).integers(0, 256, (16, 6, 5, 1), dtype=np.uint8)


class TinyDigits(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Sixteen images, labeled by their number; known to nobody, so that only the prepared files can tell."""

    VERSION = tfds.core.Version("1.0.0")
    FEATURES = {"image": tfds.features.Image(shape=(6, 5, 1)), "label": tfds.features.ClassLabel(num_classes=16)}
    SPLITS = {"train": range(12), "test": range(12, 16)}

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(self.FEATURES))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(numbers) for split, numbers in self.SPLITS.items()}

    def _generate_examples(self, numbers):
        return ((number, self.example(number)) for number in numbers)

    def example(self, number):
        return {"image": DIGITS[number], "label": number}


class RegisteredDigits(TinyDigits):
    """Known by name, as the data sets of the catalog are."""


class TinyFloats(TinyDigits, skip_registration=True):
    FEATURES = {"image": tfds.features.Tensor(shape=(6, 5, 1), dtype=np.float32), "label": TinyDigits.FEATURES["label"]}

    def example(self, number):
        return {"image": np.float32(DIGITS[number]) - 100, "label": number}


class NoLabels(TinyDigits, skip_registration=True):
    FEATURES = {"image": TinyDigits.FEATURES["image"]}

    def example(self, number):
        return {"image": DIGITS[number]}


class NoImages(TinyDigits, skip_registration=True):
    FEATURES = {"sound": tfds.features.Tensor(shape=(3,), dtype=np.float32)}

    def example(self, number):
        return {"sound": np.zeros(3, np.float32)}


class NoTrain(TinyDigits, skip_registration=True):
    SPLITS = {"test": range(12), "extra": range(12, 16)}


class NoTest(TinyDigits, skip_registration=True):
    SPLITS = {"train": range(12), "validation": range(12, 16)}


class OneExample(TinyDigits, skip_registration=True):
    SPLITS = {"train": range(1), "test": range(1, 16)}


class SeveralSizes(TinyDigits, skip_registration=True):
    FEATURES = {**TinyDigits.FEATURES, "image": tfds.features.Image(shape=(None, None, 1))}

    def example(self, number):
        return {"image": DIGITS[number, : 3 + number % 2], "label": number}


BUILDERS = (TinyDigits, RegisteredDigits, TinyFloats, NoLabels, NoImages, NoTest, NoTrain, OneExample, SeveralSizes)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with prepared data sets."""
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("prepared")
    for builder in BUILDERS:
        builder(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(scope="module")
def original():
    """MNIST as published: 60,000 and 10,000 gray images with labels."""
    return mnist.read()


@pytest.fixture(scope="module")
def dynamic():
    return data.load()


@pytest.fixture
def mnist_copy(tmp_path):
    """A folder with a copy of the MNIST files, to be damaged."""
    for name in FILES:
        shutil.copyfile(mnist.FOLDER / name, tmp_path / name)
    return tmp_path


def binary_mean_error(binary, gray):
    """Returns how many standard errors the mean of Bernoulli draws is away from that of their probabilities."""
    probability = gray / 255.0
    variance = (probability * (1 - probability)).sum()
    return (binary.sum(dtype=np.float64) - probability.sum()) / math.sqrt(variance)


def test_mnist_has_its_known_shape_counts_and_description(dynamic):
    assert dynamic.describe() == {
        "name": "mnist",
        "source": "MNIST as shipped with keras_vae",
        "shape": [28, 28, 1],
        "range": [0.0, 1.0],
        "binarization": "dynamic",
        "dequantization": "none",
        "train": 55000,
        "validation": 5000,
        "test": 10000,
        "classes": 10,
        "class_names": None,
        "factors": [],
    }


def test_the_test_set_of_mnist_has_its_published_label_counts(dynamic):
    expected = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    np.testing.assert_array_equal(np.bincount(dynamic.test.labels), expected)


def test_the_training_set_of_mnist_has_its_published_mean_and_label_counts(original):
    (images, labels), _ = original
    assert round(images.mean() / 255, 4) == 0.1307
    expected = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    np.testing.assert_array_equal(np.bincount(labels), expected)


@pytest.mark.parametrize(("fraction", "cut"), [(1 / 12, 55000), (0.5, 30000), (1e-9, 59999)])
def test_train_and_validation_are_the_original_training_set_in_order(original, fraction, cut):
    (images, labels), (test_images, test_labels) = original
    loaded = data.load(binarization="none", validation_fraction=fraction)
    for part, expected, expected_labels in (
        (loaded.train, images[:cut], labels[:cut]),
        (loaded.validation, images[cut:], labels[cut:]),
        (loaded.test, test_images, test_labels),
    ):
        np.testing.assert_array_equal(part.values, expected)
        np.testing.assert_array_equal(part.labels, expected_labels)
        assert (part.divisor, part.noise) == (255.0, None)


def test_dynamic_training_images_stay_gray_until_they_are_presented(dynamic, original):
    np.testing.assert_array_equal(dynamic.train.values, original[0][0][:55000])
    assert dynamic.train.noise == "bernoulli"
    assert set(np.unique(dynamic.train[:100].numpy())) == {0.0, 1.0}


def test_dynamic_validation_and_test_are_one_fixed_bernoulli_draw(dynamic, original):
    for part, gray in ((dynamic.validation, original[0][0][55000:]), (dynamic.test, original[1][0])):
        assert part.noise is None
        np.testing.assert_array_equal(np.unique(part.values), [0, 1])
        np.testing.assert_array_equal(part[:9].numpy(1), part[:9].numpy(2))
        assert abs(binary_mean_error(part.values, gray)) < 4


def test_fixed_draws_repeat_with_the_seed_and_change_with_it(dynamic):
    same, other = data.load(), data.load(seed=1)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(same, part).values, getattr(dynamic, part).values)
        assert np.any(getattr(other, part).values != getattr(dynamic, part).values)


def test_static_is_a_fixed_draw_in_every_split(original):
    loaded = data.load(binarization="static")
    grays = original[0][0][:55000], original[0][0][55000:], original[1][0]
    for part, gray in zip((loaded.train, loaded.validation, loaded.test), grays, strict=True):
        assert (part.noise, part.divisor) == (None, 1.0)
        assert abs(binary_mean_error(part.values, gray)) < 4


def test_threshold_is_one_from_one_half_on_in_every_split(original):
    loaded = data.load(binarization="threshold")
    grays = original[0][0][:55000], original[0][0][55000:], original[1][0]
    for part, gray in zip((loaded.train, loaded.validation, loaded.test), grays, strict=True):
        np.testing.assert_array_equal(part.values, gray >= 128)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_mnist_file_is_named(mnist_copy, name):
    (mnist_copy / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} cannot be read: .*Install keras_vae again"):
        mnist.read(mnist_copy)


def _scramble(packed):
    return packed[:1000] + bytes(byte ^ 0xFF for byte in packed[1000:1040]) + packed[1040:]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda packed: packed[:2000], id="cut off"),
        pytest.param(lambda packed: b"", id="empty"),
        pytest.param(lambda packed: b"<html>404</html>", id="not gzip"),
        pytest.param(lambda packed: gzip.compress(b"\0\0\x08\x01\0\0\0\x02ab"), id="foreign"),
        pytest.param(lambda packed: packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:], id="wrong checksum"),
        pytest.param(lambda packed: packed + b"more", id="too long"),
        pytest.param(_scramble, id="scrambled"),
    ],
)
def test_a_damaged_or_foreign_mnist_file_is_named(mnist_copy, damage):
    path = mnist_copy / FILES[-1]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{FILES[-1]} .*Install keras_vae again"):
        mnist.read(mnist_copy)


def test_one_wrong_label_makes_a_file_foreign(mnist_copy):
    path = mnist_copy / FILES[-1]
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[-1] ^= 1
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(ValueError, match=rf"{FILES[-1]} is damaged: its SHA-256"):
        mnist.read(mnist_copy)


@pytest.mark.parametrize("name", ["tiny_digits", "tiny_digits:1.0.0", "registered_digits"])
def test_a_prepared_data_set_gives_its_images_and_labels(prepared, name):
    loaded = data.load(name, data_dir=prepared, validation_fraction=0.25)
    for part in (loaded.train, loaded.validation, loaded.test):
        np.testing.assert_array_equal(part.values, DIGITS[part.labels])
        np.testing.assert_array_equal(part.numpy(), DIGITS[part.labels] / np.float32(255))
    assert (len(loaded.train), len(loaded.validation)) == (9, 3)
    assert sorted([*loaded.train.labels, *loaded.validation.labels]) == list(range(12))
    assert sorted(loaded.test.labels) == list(range(12, 16))
    assert loaded.binarization == "none"


def test_a_validation_set_is_that_of_the_prepared_data_set_and_a_test_set_is_cut_where_there_is_none(prepared):
    loaded = data.load("no_test", data_dir=prepared, test_fraction=0.25)
    assert sorted(loaded.validation.labels) == list(range(12, 16))
    assert (len(loaded.train), len(loaded.test)) == (9, 3)


@pytest.mark.parametrize("name", ["tiny_digits", "no_labels", "no_test"])
def test_a_prepared_data_set_is_decoded_to_the_disk_once(prepared, name, tmp_path, monkeypatch):
    expected = data.load(name, data_dir=prepared)
    for _ in range(2):
        found = data.load(name, data_dir=prepared, cache_dir=tmp_path / "cache")
        for part in ("train", "validation", "test"):
            a, b = getattr(found, part), getattr(expected, part)
            assert isinstance(a.values, Rows)
            np.testing.assert_array_equal(a.numpy(), b.numpy())
            np.testing.assert_array_equal(a.labels, b.labels)
        monkeypatch.setattr(decoded, "_write", None)


def test_floating_images_of_a_prepared_data_set_stay_in_memory(prepared, tmp_path):
    loaded = data.load("tiny_floats", data_dir=prepared, cache_dir=tmp_path)
    assert isinstance(loaded.train.values, np.ndarray)


def test_a_prepared_data_set_has_the_same_order_each_time(prepared):
    first, second = (data.load("tiny_digits", data_dir=str(prepared)) for _ in range(2))
    np.testing.assert_array_equal(first.train.labels, second.train.labels)


def test_a_prepared_data_set_is_binarized_on_request(prepared):
    loaded = data.load("tiny_digits", data_dir=prepared, binarization="threshold")
    np.testing.assert_array_equal(loaded.test.values, DIGITS[loaded.test.labels] >= 128)


def test_floating_images_keep_their_values(prepared):
    loaded = data.load("tiny_floats", data_dir=prepared)
    np.testing.assert_array_equal(loaded.test.numpy(), np.float32(DIGITS[loaded.test.labels]) - 100)
    with pytest.raises(ValueError, match=r"`binarization` must be 'none' for values outside \[0, 1\]"):
        data.load("tiny_floats", data_dir=prepared, binarization="dynamic")


def test_a_data_set_without_labels_has_none(prepared):
    loaded = data.load("no_labels", data_dir=prepared)
    assert loaded.train.labels is None
    assert loaded.describe()["classes"] is None
    assert sorted(image.sum() for image in loaded.test.values) == sorted(image.sum() for image in DIGITS[12:])


@pytest.mark.parametrize("name", ["no_such_data_set", "fashion_mnist", "tiny_digits", "not/a:1.0.0"])
def test_a_missing_data_set_is_said_at_once_in_one_line(tmp_path, name):
    started = time.perf_counter()
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        data.load(name, data_dir=tmp_path)
    assert time.perf_counter() - started < 10
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(
        f"Data set '{name}' cannot be loaded. Looked for a prepared data set '{name}' in {tmp_path}"
    )
    assert f"`tfds build {name} --data_dir={tmp_path}`" in message


def test_the_folder_of_the_user_is_looked_in_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "default"))
    with pytest.raises(ValueError, match=f"in {tmp_path / 'default'} "):
        data.load("no_such_data_set")


def test_a_home_folder_is_expanded(prepared, monkeypatch):
    monkeypatch.setenv("HOME", str(prepared.parent))
    loaded = data.load("tiny_digits", data_dir=f"~/{prepared.name}")
    np.testing.assert_array_equal(loaded.test.values, DIGITS[loaded.test.labels])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_images", r"must have a feature 'image'. Received: features \['sound'\]"),
        ("no_train", r"must have a split 'train'. Received: splits \['extra', 'test'\]"),
        ("one_example", "must hold at least 2 examples .*: one to train on, one to choose settings by. Received: 1"),
        ("several_sizes", "must have images of one size"),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused(prepared, name, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.load(name, data_dir=prepared)
    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, math.nan, 12])
def test_a_bad_validation_fraction_is_refused_by_name(fraction):
    with pytest.raises(
        ValueError, match=r"`validation_fraction` must be a number between 0 and 1\. Received: validation_"
    ):
        data.load(validation_fraction=fraction)


def test_an_unknown_binarization_is_refused_by_name():
    with pytest.raises(ValueError, match="`binarization` must be one of"):
        data.load(binarization="auto")


# Dequantization and sprites.


def test_dequantized_splits_lie_on_the_levels_of_the_original(original):
    loaded = data.load(dequantization="uniform", binarization="none")
    np.testing.assert_array_equal(np.floor(loaded.test[:50].numpy() * 256), original[1][0][:50])
    assert (loaded.train.noise, loaded.validation.noise, loaded.test.noise) == ("uniform", None, None)
    assert {part.levels for part in (loaded.train, loaded.validation, loaded.test)} == {256}
    assert loaded.describe()["dequantization"] == "uniform"


def test_dequantization_of_binarized_images_is_refused():
    with pytest.raises(ValueError, match=r"`dequantization` must be 'none' for binarized.*binarization='dynamic'"):
        data.load(dequantization="uniform")


def test_sprites_are_split_into_disjoint_parts_with_their_factors():
    loaded = data.load("sprites")
    parts = (loaded.train, loaded.validation, loaded.test)
    assert [len(part) for part in parts] == [3520, 320, 768]
    factors = np.concatenate([part.factors for part in parts])
    assert len(np.unique(factors, axis=0)) == 4608
    everything = sprites()
    for part in parts:
        index = np.ravel_multi_index(part.factors.T, FACTOR_SIZES)
        np.testing.assert_array_equal(part.values, everything.values[index])
    assert loaded.describe()["factors"] == ["shape", "scale", "orientation", "x", "y"]


def test_sprites_keep_the_part_for_the_test_that_is_asked_for():
    quarter = data.load("sprites", test_fraction=0.25)
    assert [len(part) for part in (quarter.train, quarter.validation, quarter.test)] == [3168, 288, 1152]


# Digits of scikit-learn.


def test_digits_are_those_of_scikit_learn_between_zero_and_one():
    bunch = datasets.load_digits()
    loaded = data.load("digits", seed=3)
    parts = (loaded.train, loaded.validation, loaded.test)
    assert [len(part) for part in parts] == [1372, 125, 300]
    number = {image.tobytes(): i for i, image in enumerate(bunch.images.astype(np.float32))}
    found = [[number[(16 * image).tobytes()] for image in part.numpy()[..., 0]] for part in parts]
    assert len({i for index in found for i in index}) == len({image.tobytes() for image in bunch.images}) == 1797
    for part, index in zip(parts, found, strict=True):
        np.testing.assert_array_equal(part.labels, bunch.target[index])
    assert (loaded.train.values.dtype, loaded.describe()["range"]) == (np.uint8, [0.0, 1.0])


def test_digits_are_dequantized_on_their_17_levels():
    loaded, plain = (data.load("digits", dequantization=kind) for kind in ("uniform", "none"))
    assert {part.levels for part in (loaded.train, loaded.validation, loaded.test)} == {17}
    np.testing.assert_array_equal(np.floor(loaded.test.numpy() * 17), plain.test.values)


def test_missing_scikit_learn_is_said_with_the_command_that_helps(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        ValueError, match=r'comes with scikit-learn, which is not installed: pip install "keras_vae\[eval'
    ):
        data.load("digits")


# What a name may be.


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_data_set",
            "There is no folder or file of that name in .* either. A data set is 'mnist', 'sprites', ",
        ),
        ("./nowhere", "^There is no folder or file nowhere .from .*. A data set is 'mnist', "),
        ("nowhere.npz", "^There is no folder or file nowhere.npz .from .*. A data set is 'mnist', "),
        ("/no/where", "^There is no folder or file /no/where .from "),
        (
            "table.xls",
            "^A file of data must be .npy, .npz or one of texts. Received: table.xls. A data set is 'mnist', ",
        ),
        ("", "^`name` must be 'mnist', .*Received: name=''$"),
        (None, "^`name` must be 'mnist', .*Received: name=None$"),
    ],
)
def test_a_name_that_is_nothing_is_one_error_with_all_that_is_possible(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.xls").write_text("1,2")
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "default"))
    with pytest.raises(ValueError, match=message) as caught:
        data.load(name)
    assert "\n" not in str(caught.value)
    for possible in ("'digits'", "folder of images", "folder of IDX files", ".npy or .npz", "tensorflow-datasets"):
        assert possible in str(caught.value)


def test_a_folder_goes_before_a_prepared_data_set_unless_data_dir_is_given(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny_digits").mkdir()
    np.save(tmp_path / "mnist", np.zeros((9, 2, 2)))
    with pytest.raises(ValueError, match=r"^No images found in tiny_digits.*needs --data_dir$"):
        data.load("tiny_digits")
    assert len(data.load("tiny_digits", data_dir=prepared).test) == 4
    with pytest.raises(ValueError, match=r"^No images found in tiny_digits\."):
        data.load("./tiny_digits", data_dir=prepared)
    assert data.load("mnist").event_shape == (28, 28, 1)


@pytest.mark.parametrize("name", ["photos", "../photos"])
def test_a_folder_that_is_not_there_is_not_called_no_folder_of_images(name):
    with pytest.raises(ValueError, match=rf"^There is no folder or file {name} \(from "):
        data.load(name, image_size=9)


@pytest.mark.parametrize("name", ["mnist", "sprites", "digits", "tiny_digits"])
def test_an_image_size_is_for_folders_of_images_only(prepared, name):
    with pytest.raises(
        ValueError, match=rf"`image_size` is for folders of images only.*image_size=\(9, 9\) for '{name}'"
    ):
        data.load(name, data_dir=prepared, image_size=9)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, math.nan, 12])
def test_a_bad_test_fraction_is_refused_by_name(fraction):
    with pytest.raises(
        ValueError, match=r"`test_fraction` must be a number between 0 and 1\. Received: test_fraction="
    ):
        data.load(test_fraction=fraction)


def test_an_unknown_way_with_bad_images_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"`on_bad_image` must be one of 'stop', 'skip'\. Received: on_bad_image='mend'"
    ):
        data.load(on_bad_image="mend")


@pytest.mark.parametrize("name", ["kubric:movi_a", "robotics:mt_opt/rlds:1.0.0", "huggingface:mnist", "gs://bucket/x"])
@pytest.mark.parametrize("data_dir", [None, "here"])
def test_a_name_that_would_reach_for_the_network_is_refused_before_it_does(tmp_path, monkeypatch, name, data_dir):
    def reached(*_, **__):
        raise AssertionError("tensorflow-datasets was asked")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tfds, "load", reached)
    with pytest.raises(ValueError, match=f"must be named without a namespace: .* Received: '{name}'"):
        data.load(name, data_dir)


def test_a_version_is_no_namespace(prepared):
    (version,) = (path.name for path in (prepared / "tiny_digits").iterdir() if path.name[0].isdigit())
    assert data.load(f"tiny_digits:{version}", str(prepared)).source == f"tensorflow-datasets tiny_digits/{version}"
