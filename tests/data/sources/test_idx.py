"""IDX files: what is read, and that no damage does more than raise one clear error."""

import gzip
import io
import math
import re
import struct
import tracemalloc

import numpy as np
import pytest
from fuzz import FUZZ, damaged, outcome
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from keras_vae import data
from keras_vae.data.sources import idx, mnist
from keras_vae.utils import memory

RANDOM = np.random.default_rng(0)
IMAGES = {
    "train": RANDOM.integers(0, 256, (24, 9, 13), np.uint8),
    "t10k": RANDOM.integers(0, 256, (6, 9, 13), np.uint8),
}
LABELS = {"train": np.arange(24, dtype=np.uint8) % 5, "t10k": np.arange(6, dtype=np.uint8)[::-1] % 5}


def packed(array, kind=8):
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder, compress=True, labels=True, dash="-"):
    for split in IMAGES:
        for kind, array in (("images", IMAGES[split]), ("labels", LABELS[split]))[: 1 + labels]:
            name = f"{split}-{kind}{dash}idx{array.ndim}-ubyte"
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(packed(array)))
            else:
                (folder / name).write_bytes(packed(array))
    return folder


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("dash", ["-", "."])
def test_images_and_labels_are_those_that_were_written_in_their_order(tmp_path, compress, dash):
    loaded = data.load(str(write(tmp_path, compress, dash=dash)), validation_fraction=0.25)
    np.testing.assert_array_equal(loaded.train.values[..., 0], IMAGES["train"][:18])
    np.testing.assert_array_equal(loaded.validation.values[..., 0], IMAGES["train"][18:])
    np.testing.assert_array_equal(loaded.test.values[..., 0], IMAGES["t10k"])
    np.testing.assert_array_equal(loaded.train.labels, LABELS["train"][:18])
    np.testing.assert_array_equal(loaded.test.labels, LABELS["t10k"])
    np.testing.assert_array_equal(loaded.test.numpy(), IMAGES["t10k"][..., None] / np.float32(255))
    assert loaded.train.values.dtype == np.uint8
    assert loaded.describe()["source"] == f"IDX files in {tmp_path}"


def test_the_files_of_mnist_as_a_folder_are_mnist():
    expected, loaded = data.load("mnist", binarization="none"), data.load(str(mnist.FOLDER))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(loaded, part).values, getattr(expected, part).values)
        np.testing.assert_array_equal(getattr(loaded, part).labels, getattr(expected, part).labels)


def test_files_without_labels_give_none(tmp_path):
    loaded = data.load(str(write(tmp_path, labels=False)))
    assert (loaded.train.labels, loaded.describe()["classes"]) == (None, None)
    np.testing.assert_array_equal(loaded.test.values[..., 0], IMAGES["t10k"])


@pytest.mark.parametrize("name", ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"])
def test_a_missing_file_is_named(tmp_path, name):
    (write(tmp_path) / f"{name}-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=rf"^Folder {tmp_path} must hold {name}-ubyte, plain or with .gz\. Received: "):
        data.load(str(tmp_path))


def test_an_image_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`image_size` is for folders of images only\. Received: image_size=\(8, 8\)"):
        data.load(str(write(tmp_path)), image_size=8)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-labels-idx1-ubyte", packed(LABELS["t10k"][:5]), "must hold a label for each of the 6 .*Received: 5 lab"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"][:, :8]), "must have one size. Received: 9x13 in .* and 8x13"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"])[:-1], r"says \(6, 9, 13\), 702 values, and there are 701$"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"]) + b"x", "702 values, and there are more$"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"])[:9], "it ends within its header$"),
        ("t10k-images-idx3-ubyte", b"", "must start with the bytes 00 00 08 and its rank, and starts with ''$"),
        ("t10k-images-idx3-ubyte", b"<html>404", "starts with '3c 68 74 6d'$"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"], 13), "starts with '00 00 0d 03'$"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"][0]), "it must have 3 dimensions, and has 2$"),
        ("t10k-images-idx3-ubyte", packed(IMAGES["t10k"][:0]), r"it is empty: its shape is \(0, 9, 13\)$"),
        ("t10k-images-idx3-ubyte.gz", packed(IMAGES["t10k"]), "Not a gzipped file"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(packed(IMAGES["t10k"]))[:-9], "ended before the end-of-stream"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_the_reason(tmp_path, name, content, message):
    write(tmp_path, compress=name.endswith(".gz"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        data.load(str(tmp_path))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", [gzip.compress, lambda content: content], ids=["gz", "plain"])
def test_a_header_that_claims_more_than_the_file_can_hold_allocates_nothing(tmp_path, compress):
    path = tmp_path / ("a.gz" if compress is gzip.compress else "a")
    path.write_bytes(compress(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**16, 2**16) + bytes(1000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"claims \(4294967295, 65536, 65536\), which is more than the file can hold"):
        idx.read(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_a_bomb_is_read_no_further_than_its_header_says(tmp_path):
    # 200 MB of zeros in 200 kB: the header says 1,000 bytes.
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(packed(np.zeros((10, 10, 10), np.uint8)) + bytes(200_000_000), 1))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"1000 values, and there are more$"):
        idx.read(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_more_than_the_memory_is_refused_before_it_is_allocated(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_memory", lambda: 2**19)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(packed(np.zeros((1024, 32, 32), np.uint8))))
    with pytest.raises(ValueError, match=r"\(1024, 32, 32\) must fit in memory, which is 0.0 GiB here. Received: 0.0"):
        idx.read(path, 3)


@FUZZ
@given(array=numpy_strategies.arrays(np.uint8, numpy_strategies.array_shapes(min_dims=1, max_dims=4, max_side=9)))
def test_any_array_of_bytes_comes_back(array):
    content = packed(array)
    np.testing.assert_array_equal(idx.parse(io.BytesIO(content), len(content)), array)


@FUZZ
@given(content=damaged(packed(IMAGES["t10k"])) | st.binary(max_size=60))
def test_damage_of_a_plain_file_is_an_error_or_an_array_that_fills_it(tmp_path, content):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    array, message = outcome(idx.read, path, 3)
    if message:
        assert re.match(rf"IDX file {path} cannot be read: .", message)
    else:
        assert math.prod(array.shape) == len(content) - 16


@FUZZ
@given(content=damaged(gzip.compress(packed(IMAGES["t10k"]), mtime=0)))
def test_damage_of_a_packed_file_is_an_error_or_harmless(tmp_path, content):
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(content)
    array, message = outcome(idx.read, path, 3)
    if message:
        assert re.match(rf"IDX file {path} cannot be read: .", message)
    else:
        np.testing.assert_array_equal(array, IMAGES["t10k"])  # gzip has a checksum; only its header may change
