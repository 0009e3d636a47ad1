"""Large folders and prepared data sets are decoded once, to the disk, and read to the bit as if they were in memory."""

import concurrent.futures
import errno
import os
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from keras_vae import data
from keras_vae.data import array_file
from keras_vae.data.rows import Rows
from keras_vae.data.sources import decoded, folder, pictures

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 9, 13, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def pets(tmp_path):
    for i, image in enumerate(PIXELS):
        path = tmp_path / "pets" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "pets"


@pytest.fixture
def decodes(monkeypatch):
    """Names of the pictures that were decoded."""
    seen, decode = [], pictures.decode

    def counted(path, *options):
        seen.append(path.name)
        return decode(path, *options)

    monkeypatch.setattr(pictures, "decode", counted)
    return seen


def check_equal(found, expected):
    for name in ("train", "validation", "test"):
        a, b = getattr(found, name), getattr(expected, name)
        assert isinstance(a.values, Rows)
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_array_equal(a.labels, b.labels)
    assert found.describe() == expected.describe()
    assert found.manifest == expected.manifest


@pytest.mark.parametrize("options", [{}, {"image_size": 6, "dequantization": "auto"}], ids=["plain", "resized"])
def test_a_folder_is_decoded_once_and_has_the_numbers_of_memory(pets, tmp_path, decodes, options):
    expected = data.load(pets, **options)
    assert isinstance(expected.train.values, np.ndarray)
    assert not os.path.exists(decoded.cache_folder())
    decodes.clear()
    for _ in range(2):
        check_equal(data.load(pets, cache_dir=tmp_path / "cache", **options), expected)
        assert len(decodes) == 24
    data.load(pets, cache_dir=tmp_path / "cache", image_size=5)
    assert len(decodes) == 48


def test_a_large_folder_goes_to_the_cache_of_the_user(pets, monkeypatch):
    expected = data.load(pets)
    monkeypatch.setattr(folder, "ON_DISK_BYTES", 1000)
    check_equal(data.load(pets), expected)
    assert len(list(decoded.cache_folder().iterdir())) == 1


def other_pixels(path):
    before = path.stat()
    Image.fromarray(PIXELS[1]).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.mark.parametrize(
    ("change", "count"),
    [(other_pixels, 24), (lambda path: path.unlink(), 23), (lambda path: path.rename(path.with_name("x.png")), 24)],
    ids=["pixels", "removed", "renamed"],
)
def test_a_change_of_a_file_is_seen(pets, tmp_path, decodes, change, count):
    data.load(pets, cache_dir=tmp_path / "cache")
    decodes.clear()
    change(pets / "a" / "00.png")
    check_equal(data.load(pets, cache_dir=tmp_path / "cache"), data.load(pets))
    assert len(decodes) == 2 * count


@pytest.mark.parametrize("file", ["values.npy", "about.json"])
def test_a_damaged_cache_is_decoded_anew(pets, tmp_path, file):
    expected = data.load(pets)
    data.load(pets, cache_dir=tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob(f"*/{file}")
    path.write_bytes(path.read_bytes()[:40])
    check_equal(data.load(pets, cache_dir=tmp_path / "cache"), expected)


@pytest.mark.parametrize("content", [b"no image", b"\x89PNG\r\n\x1a\n"])
def test_bad_pictures_stop_or_are_left_out_each_time(pets, tmp_path, content):
    (pets / "b" / "05.png").write_bytes(content)
    expected = data.load(pets, on_bad_image="skip")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"1 of 24 images in .* cannot be read: .*05.png"):
            data.load(pets, cache_dir=tmp_path / "cache")
        check_equal(data.load(pets, cache_dir=tmp_path / "cache", on_bad_image="skip"), expected)


def test_splits_on_the_disk_are_those_in_memory(pets, tmp_path):
    (tmp_path / "split").mkdir()
    for name in ("train", "test"):
        (tmp_path / "split" / name).symlink_to(pets / ("a" if name == "train" else "b"))
    check_equal(data.load(tmp_path / "split", cache_dir=tmp_path / "cache"), data.load(tmp_path / "split"))


def test_a_cache_that_cannot_be_is_one_error_that_names_it(pets, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`cache_dir` must be a folder that can be written\. Received: .*file"):
        data.load(pets, cache_dir=tmp_path / "file")
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100))
    with pytest.raises(ValueError, match=r"`cache_dir` must have 0\.0 GiB of room .* with 0\.0 GiB"):
        data.load(pets, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_an_error_and_leaves_nothing(pets, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(array_file.os, "pwrite", full)
        with pytest.raises(ValueError, match=r"`cache_dir` must be a folder that can be written.*No space left"):
            data.load(pets, cache_dir=tmp_path / "cache", on_bad_image="skip")
    assert list((tmp_path / "cache").iterdir()) == []
    check_equal(data.load(pets, cache_dir=tmp_path / "cache"), data.load(pets))


def test_a_disk_that_fails_says_nothing_of_a_picture(pets, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(pictures, "decode", broken)
    with pytest.raises(ValueError, match=r"\.png cannot be read now: .*Input/output error"):
        data.load(pets, cache_dir=tmp_path / "cache", on_bad_image="skip")


def test_equal_names_sizes_and_times_in_another_folder_are_other_pictures(pets, tmp_path):
    shutil.copytree(pets, tmp_path / "others")
    for i, path in enumerate(sorted((tmp_path / "others").rglob("*.png"))):
        before = path.stat()
        path.write_bytes(sorted(pets.rglob("*.png"))[(i + 1) % 24].read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    data.load(pets, cache_dir=tmp_path / "cache")
    check_equal(data.load(tmp_path / "others", cache_dir=tmp_path / "cache"), data.load(tmp_path / "others"))


def test_two_that_decode_one_folder_wait_for_each_other(pets, tmp_path):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = [pool.submit(data.load, pets, cache_dir=tmp_path / "cache") for _ in range(3)]
    for each in found:
        check_equal(each.result(), data.load(pets))


def test_what_another_has_kept_meanwhile_is_neither_decoded_again_nor_replaced(tmp_path, monkeypatch):
    x, calls, find = np.zeros((2, 3, 3, 1), np.uint8), [], decoded.find

    def decode(write):
        calls.append(1)
        for i in range(2):
            write(i, x[i])
        return {}

    decoded.written(tmp_path, "key", x.shape, decode)
    before = (tmp_path / "key").stat().st_ino
    looks = iter([None])  # what was kept came just after the first look
    monkeypatch.setattr(decoded, "find", lambda *args: next(looks, find(*args)))
    kept = decoded.written(tmp_path, "key", x.shape, decode)
    assert (len(calls), (tmp_path / "key").stat().st_ino) == (1, before)
    np.testing.assert_array_equal(kept.values[np.arange(2)], x)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_moments_are_kept_beside_the_pictures_and_found_once(pets, tmp_path, monkeypatch):
    expected = data.load(pets).train
    found = data.load(pets, cache_dir=tmp_path / "cache").train
    np.testing.assert_array_equal(found.mean(), expected.mean())
    monkeypatch.setattr(array_file.ArrayFile, "__getitem__", lambda self, places: pytest.fail("pixels are read"))
    again = data.load(pets, cache_dir=tmp_path / "cache").train
    np.testing.assert_array_equal(again.mean(), expected.mean())
    np.testing.assert_array_equal(again.deviation(), expected.deviation())
    np.testing.assert_array_equal(again.limits(), expected.limits())


def test_other_rows_have_other_moments_and_damaged_ones_are_found_anew(pets, tmp_path):
    found = data.load(pets, cache_dir=tmp_path / "cache")
    means = [part.mean() for part in (found.train, found.test)]
    kept = sorted((tmp_path / "cache").glob("*/moments-*.npz"))
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:99])
    kept[1].write_bytes(b"")
    again = data.load(pets, cache_dir=tmp_path / "cache")
    for part, mean in zip((again.train, again.test), means, strict=True):
        np.testing.assert_array_equal(part.mean(), mean)


def test_moments_are_found_in_a_cache_that_cannot_be_written(pets, tmp_path, monkeypatch):
    found = data.load(pets, cache_dir=tmp_path / "cache")

    def refuses(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(decoded.np, "savez", refuses)
    np.testing.assert_array_equal(found.train.mean(), data.load(pets).train.mean())
    assert not list((tmp_path / "cache").rglob("*moments*"))
