"""The .npy and .npz files: what is read, what is refused, and that no damage does more than raise one clear error."""

import io
import pickle
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzz import FUZZ, damaged, outcome
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from keras_vae import data
from keras_vae.data.rows import Rows
from keras_vae.data.sources import arrays
from keras_vae.utils import memory

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (30, 9, 13, 3), np.uint8)
Y = np.arange(30) % 4


def saved(array, **kwargs):
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


def saved_archive(save=np.savez, **content):
    file = io.BytesIO()
    save(file, **content)
    return file.getvalue()


def rows(images):
    """Returns the images as sorted rows: what is there, whatever its order."""
    flat = np.asarray(images).reshape(len(images), -1)
    return flat[np.lexsort(flat.T)]


def everything(dataset):
    return np.concatenate([part.values for part in (dataset.train, dataset.validation, dataset.test)])


def test_an_npy_file_is_divided_by_fractions_and_seed(tmp_path):
    np.save(tmp_path / "x.npy", X)
    first, again, other = (data.load(tmp_path / "x.npy", seed=seed, test_fraction=0.2) for seed in (0, 0, 1))
    assert [len(part) for part in (first.train, first.validation, first.test)] == [22, 2, 6]
    np.testing.assert_array_equal(rows(everything(first)), rows(X))
    np.testing.assert_array_equal(everything(first), everything(again))
    assert (everything(first) != everything(other)).any()
    assert (rows(first.test.values) != rows(other.test.values)).any()
    assert (first.train.values.dtype, first.train.divisor, first.name) == (np.uint8, 255.0, str(tmp_path / "x.npy"))
    assert not isinstance(first.train.values, np.memmap)


LARGE = {
    "8-bit": (X, {"dequantization": "auto"}),
    "gray": (X[..., 0], {}),
    "0 and 1": (X[..., :1] // 128, {}),
    "truth values": (X[..., :1] > 128, {}),
    "float32": (X / np.float32(255), {"binarization": "static"}),
    "float64": (X / 7.0, {}),
    "int64": (X[:, :, 0, 0].astype(np.int64), {"data_kind": "series"}),
    "int8": (X[:, :, 0, 0].astype(np.int8), {"data_kind": "vectors"}),
}


@pytest.mark.parametrize(("array", "options"), LARGE.values(), ids=LARGE)
def test_a_large_file_stays_on_the_disk_and_has_the_numbers_of_memory(tmp_path, monkeypatch, array, options):
    np.save(tmp_path / "x.npy", array)
    expected = data.load(tmp_path / "x.npy", **options)
    monkeypatch.setattr(arrays, "ON_DISK_BYTES", 100)
    monkeypatch.setattr(arrays, "_CHUNK", 300)
    found = data.load(tmp_path / "x.npy", **options)
    assert found.describe() == expected.describe()
    for name in ("train", "validation", "test"):
        a, b = getattr(found, name), getattr(expected, name)
        assert isinstance(a.values, Rows)
        assert (a.values.dtype, a.dtype, a.divisor) == (b.values.dtype, b.dtype, b.divisor)
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_large_file_in_column_order_is_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "ON_DISK_BYTES", 100)
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    loaded = data.load(tmp_path / "x.npy")
    assert isinstance(loaded.train.values, np.ndarray)
    np.testing.assert_array_equal(rows(everything(loaded)), rows(X))


def test_numbers_that_are_not_finite_are_found_in_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "ON_DISK_BYTES", 100)
    x = np.zeros((30, 9, 13, 1))
    x[17] = 1e300
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueError, match=r"must hold finite float32 numbers\. Received: 117 that are NaN or infinite"):
        data.load(tmp_path / "x.npy")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_keys_of_keras_are_its_splits(tmp_path, save):
    save(tmp_path / "k.npz", x_train=X[:20], y_train=Y[:20], x_test=X[20:], y_test=Y[20:, None], more=np.zeros(3))
    loaded = data.load(tmp_path / "k.npz")
    np.testing.assert_array_equal(rows(loaded.test.values), rows(X[20:]))
    for part in (loaded.train, loaded.validation, loaded.test):
        index = [int(np.flatnonzero((image == X).all((1, 2, 3)))[0]) for image in part.values]
        np.testing.assert_array_equal(part.labels, Y[index])
    assert loaded.describe()["classes"] == 4
    assert loaded.describe()["class_names"] is None


def test_x_and_y_keep_together(tmp_path):
    np.savez(tmp_path / "k.npz", x=X, y=Y)
    loaded = data.load(tmp_path / "k.npz")
    for part in (loaded.train, loaded.validation, loaded.test):
        index = [int(np.flatnonzero((image == X).all((1, 2, 3)))[0]) for image in part.values]
        np.testing.assert_array_equal(part.labels, Y[index])


@pytest.mark.parametrize("key", ["arr_0", "images", "x"])
def test_the_only_array_needs_no_name(tmp_path, key):
    np.savez(tmp_path / "k.npz", **{key: X})
    np.testing.assert_array_equal(rows(everything(data.load(tmp_path / "k.npz"))), rows(X))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array(["dog", "cat", "eel"] * 10), ["cat", "dog", "eel"]),
        (Y * 10 - 10, ["-10", "0", "10", "20"]),
        (Y.astype(np.uint8), None),
        (Y % 2 == 0, None),
    ],
)
def test_labels_are_numbered_in_sorted_order_and_keep_their_names(tmp_path, labels, names):
    np.savez(tmp_path / "k.npz", x=X, y=labels)
    loaded = data.load(tmp_path / "k.npz")
    assert loaded.describe()["class_names"] == names
    expected = np.unique(labels, return_inverse=True)[1]
    index = [int(np.flatnonzero((image == X).all((1, 2, 3)))[0]) for image in loaded.train.values]
    np.testing.assert_array_equal(loaded.train.labels, expected[index])
    assert loaded.train.labels.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_floating_images_keep_their_values(tmp_path, dtype):
    x = RANDOM.normal(size=(30, 5, 7)).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    loaded = data.load(tmp_path / "x.npy")
    assert (loaded.event_shape, loaded.train.values.dtype) == ((5, 7, 1), np.float32)
    np.testing.assert_array_equal(rows(everything(loaded)), rows(x.astype(np.float32)))


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_binary_images_are_zero_and_one(tmp_path, dtype):
    x = (RANDOM.random((30, 5, 7)) < 0.5).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    loaded = data.load(tmp_path / "x.npy")
    assert (loaded.train.values.dtype, loaded.describe()["range"]) == (np.uint8, [0.0, 1.0])
    np.testing.assert_array_equal(rows(everything(loaded)), rows(x.astype(np.uint8)))


KINDS = [
    ("auto", (30, 7), (7,)),
    ("vectors", (30, 7), (7,)),
    ("series", (30, 7), (7, 1)),
    ("series", (30, 7, 2), (7, 2)),
    ("auto", (30, 7, 2), (7, 2, 1)),
    ("images", (30, 7, 2), (7, 2, 1)),
    ("auto", (30, 4, 3, 2), (4, 3, 2)),
]


@pytest.mark.parametrize(("data_kind", "shape", "event_shape"), KINDS)
def test_two_dimensions_are_vectors_and_more_are_images_unless_they_are_called_series(
    tmp_path, data_kind, shape, event_shape
):
    x = RANDOM.normal(size=shape).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(30) % 3)
    loaded = data.load(tmp_path / "x.npz", data_kind=data_kind)
    assert loaded.event_shape == loaded.test.event_shape == event_shape
    assert loaded.train.kind == {1: "vectors", 2: "series", 3: "images"}[len(event_shape)]
    assert loaded.describe()["classes"] == 3
    np.testing.assert_array_equal(rows(everything(loaded)), rows(x))


@pytest.mark.parametrize("data_kind", ["vectors", "series"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, ">i4", np.uint8, bool])
def test_integers_that_are_no_images_are_presented_as_they_are(tmp_path, data_kind, dtype):
    x = RANDOM.integers(0, 100, (30, 7)).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    loaded = data.load(tmp_path / "x.npy", data_kind=data_kind)
    wide = np.dtype(dtype).itemsize > 1
    assert loaded.train.dtype == loaded.train.numpy().dtype == (np.int32 if wide else np.float32)
    assert loaded.train.divisor == 1
    np.testing.assert_array_equal(rows(everything(loaded)), rows(x.astype(np.int64)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_kind": "images"}, r"must be images \(count, height, width\) or .*Received: shape \(30, 7\)"),
        ({"binarization": "dynamic"}, "`binarization` must be 'none' for vectors: .*binarization='dynamic'"),
        ({"data_kind": "series", "dequantization": "uniform"}, "`dequantization` must be 'none' for series"),
        ({"image_size": 8}, "`image_size` is for folders of images only"),
        ({"data_kind": "sounds"}, "`data_kind` must be one of 'auto', 'images', 'series', 'vectors'"),
    ],
)
def test_what_is_for_other_data_is_refused(tmp_path, options, message):
    np.save(tmp_path / "x.npy", np.uint8(RANDOM.integers(0, 256, (30, 7))))
    with pytest.raises(ValueError, match=message):
        data.load(tmp_path / "x.npy", **options)
    assert data.load(tmp_path / "x.npy", dequantization="auto").dequantization == "none"


@pytest.mark.parametrize(("data_kind", "shape"), [("vectors", (30, 7, 2)), ("series", (30, 7, 2, 1))])
def test_an_array_of_another_rank_than_its_kind_is_refused(tmp_path, data_kind, shape):
    np.save(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(ValueError, match=rf"must be {data_kind} \(count.*Received: shape \(30, 7, 2"):
        data.load(tmp_path / "x.npy", data_kind=data_kind)


@pytest.mark.parametrize("name", ["sprites", "digits", "folder", "cifar10"])
def test_a_kind_is_for_files_of_arrays(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=f"`data_kind` must be 'auto' or 'images' for all but .*for '{name}'"):
        data.load(name, data_kind="series")


def test_an_array_in_fortran_order_is_the_same_images(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    np.savez(tmp_path / "x.npz", np.asfortranarray(X))
    for name in ("x.npy", "x.npz"):
        np.testing.assert_array_equal(rows(everything(data.load(tmp_path / name))), rows(X))


NAN = np.where(np.arange(30)[:, None, None] == 17, np.nan, np.zeros((30, 4, 4)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            saved(X[0, 0, 0]),
            r"images \(count, height, width\) or .*, or series .*, or vectors .*Received: shape \(3,\)",
        ),
        (saved(X[None]), r"must be an array .*Received: shape \(1, 30, 9, 13, 3\)"),
        (saved(X[:0]), r"must not be empty. Received: shape \(0, 9, 13, 3\)"),
        (saved(X[:1]), "must hold at least 3 examples .* one to choose settings by, one to m.*Received: 1"),
        (saved(X[:2]), "must hold at least 3 examples .* Received: 2"),
        (saved(X.astype(np.int64)), r"uint8 from 0 to 255, bool, or floating. Received: int64; convert it with \.as"),
        (saved(X[..., 0].astype(np.int16)), r"\.astype\('uint8'\) or .*, or read it as series: data_kind='series'"),
        (saved(X[:, 0, :, 0].astype(str)), "must be integers, bool, or floating. Received: <U3"),
        (saved(np.int64([[0, -(2**31) - 1]] * 20)), "must hold integers from -2147483648 .* from -2147483649 to 0"),
        (saved(np.uint64([[0, 2**63]] * 20)), "must hold integers from .* from 0 to 9223372036854775808"),
        (saved(X.astype(complex)), "Received: complex128"),
        (saved(X.astype(str)), "Received: <U3"),
        (saved(X.astype(object), allow_pickle=True), "Python objects, which need pickle and are never loaded"),
        (saved(np.zeros(3, [("a", "u1")])), "must be images"),
        (saved(NAN), "finite float32 numbers. Received: 16 that are NaN or infinite in the images from 0 to 29"),
        (saved(NAN * 0 + 1e300), "finite float32 numbers"),
        (saved(X)[:-1], r"shape \(30, 9, 13, 3\) of uint8 takes 10530 bytes, and 10529 follow the header"),
        (saved(X) + b"x", "takes 10530 bytes, and 10531 follow the header"),
        (saved(X)[:20], "is damaged or no NumPy array: "),
        (b"", "is damaged or no NumPy array: "),
        (pickle.dumps(X), "is damaged or no NumPy array: "),
        (b"\x93NUMPY\x03\x00" + saved(X)[8:], "version .3, 0. of the format"),
    ],
)
def test_an_npy_file_that_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        data.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved_archive(a=X, b=X), r"k.npz must hold the arrays x_train and x_test .*or only one. Received: a, b$"),
        (saved_archive(x_train=X, y_train=Y), "Received: x_train, y_train$"),
        (saved_archive(), "Received: no array$"),
        (saved_archive(x_train=X, x_test=X, y_test=Y), "both y_train and y_test, or none. Received: x_test, x_tr"),
        (saved_archive(x_train=X, x_test=X[:, :5]), r"of one size and type. Received: uint8 \(30, 9, 13, 3\) and uint"),
        (saved_archive(x_train=X, x_test=X / 255), r"Received: uint8 .* and float64"),
        (saved_archive(x=X, y=Y[:9]), r"k.npz \[y\] must be labels of shape \(30,\). Received: shape \(9,\)"),
        (saved_archive(x=X, y=Y / 2), r"k.npz \[y\] must be labels, integers or text. Received: float64"),
        (saved_archive(x=X, y=np.array([None] * 30)), r"k.npz \[y\] must hold numbers. Received: Python objects"),
        (saved_archive(x=NAN), r"k.npz \[x\] must hold finite float32"),
        (saved_archive(x=np.zeros((0, 3, 3))), r"k.npz \[x\] must not be empty"),
        (saved_archive(x=X)[:-40], "k.npz cannot be read: "),
        (b"", "k.npz cannot be read: "),
        (b"garbage" * 9, "k.npz cannot be read: "),
    ],
)
def test_an_npz_file_that_does_not_fit_is_named_with_its_key(tmp_path, content, message):
    path = tmp_path / "k.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        data.load(path)
    assert "\n" not in str(caught.value)


def claim(shape, version=1):
    """Returns an .npy header of that shape, without values."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


HUGE = (2**20, 2**10, 2**10, 2**10)


@pytest.mark.parametrize("version", [1, 2])
def test_a_header_that_claims_more_than_the_file_holds_allocates_nothing(tmp_path, version):
    (tmp_path / "x.npy").write_bytes(claim(HUGE, version) + bytes(100))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", claim(HUGE, version) + bytes(100))
    tracemalloc.start()
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ValueError, match=f"{name}.* takes {2**50} bytes, and 100 follow the header"):
            data.load(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_a_header_whose_own_length_is_a_claim_allocates_nothing(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(50))
    tracemalloc.start()
    with pytest.raises(ValueError, match="is damaged or no NumPy array"):
        data.load(tmp_path / "x.npy")
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_an_archive_that_claims_more_than_it_can_hold_allocates_nothing(tmp_path):
    size = 2**40
    content = saved_archive(np.savez_compressed, x=X)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        real = archive.getinfo("x.npy").file_size
    directory = content.rindex(b"PK\x01\x02")
    place = directory + 24  # the size once unpacked, in the entry of the central directory
    assert struct.unpack_from("<I", content, place) == (real,)
    path = tmp_path / "x.npz"
    path.write_bytes(content[:place] + struct.pack("<I", size // 2**10) + content[place + 4 :])
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"x.npz \[x\] is damaged: it claims 1073741824 bytes, more than the file"):
        data.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_a_member_packed_otherwise_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", saved(X))
    with pytest.raises(ValueError, match=r"\[x\] must be stored or deflated, as NumPy does. Received: type 14"):
        data.load(tmp_path / "x.npz")


def test_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    monkeypatch.setattr(memory, "_memory", lambda: 10_000)
    with pytest.raises(ValueError, match=r"x.npy must fit in memory, which is 0.0 GiB here"):
        data.load(tmp_path / "x.npy")


class Exploit:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_no_pickle_is_ever_loaded(tmp_path):
    objects = np.array([Exploit()] * 30, dtype=object)
    (tmp_path / "x.npy").write_bytes(saved(objects, allow_pickle=True))
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Exploit()))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Exploit()))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", saved(X))
        archive.writestr("y.npy", saved(objects, allow_pickle=True))
    for name in ("x.npy", "raw.npy", "raw.npz", "x.npz"):
        with pytest.raises(ValueError, match=name):
            data.load(tmp_path / name)


@FUZZ
@given(
    array=numpy_strategies.arrays(
        st.sampled_from([np.uint8, np.bool_, np.float16, np.float32, np.dtype(">f8")]),
        numpy_strategies.array_shapes(min_dims=3, max_dims=4, min_side=1, max_side=7),
    )
)
def test_any_images_come_back_or_are_too_few_or_not_finite(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    loaded, message = outcome(data.load, tmp_path / "x.npy")
    assert (message is None) == (len(array) >= 3 and np.isfinite(single).all())
    if message:
        assert re.search("must hold at least 3" if np.isfinite(single).all() else "finite", message)
        return
    scale = 255 if array.dtype == np.uint8 and array.max() > 1 else 1
    parts = (loaded.train, loaded.validation, loaded.test)
    expected = (single / np.float32(scale)).reshape(len(array), *loaded.event_shape)
    np.testing.assert_array_equal(rows(np.concatenate([part.numpy() for part in parts])), rows(expected))


def attempt(path):
    """Reads a damaged file: gives what can be trained on, or one line that names the file."""
    splits, message = outcome(arrays.read, path)
    if message:
        assert str(path) in message
        assert "\n" not in message
    else:
        assert splits.train.values.ndim == 4
        assert splits.train.values.dtype in (np.uint8, np.float32)
        assert np.isfinite(splits.train.numpy()).all()


SMALL = X[:5, :3, :2, 0]


@FUZZ
@given(content=damaged(saved(SMALL)) | damaged(saved(SMALL / 255)) | st.binary(max_size=60))
def test_damage_of_an_npy_file_is_an_error_or_harmless(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    attempt(tmp_path / "x.npy")


@FUZZ
@given(
    content=damaged(saved_archive(x=SMALL, y=Y[:5]))
    | damaged(saved_archive(np.savez_compressed, x=SMALL, y=Y[:5].astype(str)))
    | st.binary(max_size=60)
)
def test_damage_of_an_npz_file_is_an_error_or_harmless(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    attempt(tmp_path / "x.npz")


HEADER = (
    r"\{'descr': '[<>|]?[a-zA-Z?][0-9]{0,12}', 'fortran_order': (True|False), 'shape': \((-?[0-9]{1,30}, ?){0,5}\)\}"
)


@FUZZ
@given(header=st.text(max_size=200) | st.from_regex(HEADER, fullmatch=True))
def test_any_text_as_header_is_an_error_or_harmless(tmp_path, header):
    text = header.encode()
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(100))
    attempt(tmp_path / "x.npy")
