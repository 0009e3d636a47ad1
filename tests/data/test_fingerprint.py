"""The fingerprint of a data set: the same for the same data, another for any change."""

import dataclasses
import re
import time

import numpy as np
import PIL
import pytest
from PIL import Image

from keras_vae import data
from keras_vae.data import fingerprint


def arrays(folder, change=lambda x, y: (x, y)):
    """Writes 40 gray pictures of 4 x 4 and 2 classes and returns them as loaded, after a change."""
    index = np.arange(40 * 16, dtype=np.uint8).reshape(40, 4, 4)
    x, y = change(index * 37 % 251, np.arange(40) % 2)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "data.npz", x=x, y=y)
    return data.load(str(folder / "data.npz"))


def test_it_does_not_depend_on_the_folder_and_is_that_of_earlier_runs(tmp_path):
    found = fingerprint.fingerprint(arrays(tmp_path / "here"))
    assert found == fingerprint.fingerprint(arrays(tmp_path / "there"))
    assert found["test"] == {
        "count": 7,
        "dtype": "uint8",
        "divisor": 255.0,
        "values": "4909ea1b6dec38ad3e6a23e07f827b6c",
        "labels": "109d7f58a37a4ffda45def60596382ea",
    }
    assert (found["shape"], found["train"]["count"], found["validation"]["count"]) == ([4, 4, 1], 30, 3)


def other_value(x, y):
    x = x.copy()
    x[20, 3, 3] ^= 1
    return x, y


def other_label(x, y):
    y = y.copy()
    y[:2] = y[:2][::-1]
    return x, y


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda x, y: (x[:20], y[:20]), r"train count \(30, now 16\); train values; train labels; validation "),
        (lambda x, y: (x.astype(np.float32), y), r"train dtype \('?uint8'?, now '?float32'?\); train divisor \(255"),
        (lambda x, y: (x[:, :3], y), r"shape \(\[4, 4, 1\], now \[3, 4, 1\]\); train values; validation values; test"),
        (lambda x, y: (x, np.where(y, "b", "a")), "in classes. Bring"),
        (lambda x, y: (x[::-1], y[::-1]), "in train values"),
        (other_value, "in (train|validation|test) values. Bring the data back as they were, or train anew in another"),
        (other_label, "labels. Bring the data back"),
    ],
)
def test_any_change_is_one_error_that_names_what_has_changed(tmp_path, change, named):
    before = fingerprint.fingerprint(arrays(tmp_path))
    fingerprint.check_unchanged(arrays(tmp_path), before, "run")
    start = r"`dataset` must be as it was when run began\. Received: '.*data\.npz', changed since .*"
    with pytest.raises(ValueError, match=start + named):
        fingerprint.check_unchanged(arrays(tmp_path, change), before, "run")


def test_another_split_of_the_same_data_is_a_change(tmp_path):
    before = fingerprint.fingerprint(arrays(tmp_path))
    other = data.load(str(tmp_path / "data.npz"), seed=1)
    with pytest.raises(ValueError, match=r"train values; .*test values"):
        fingerprint.check_unchanged(other, before, "run")


def test_a_picture_file_of_another_size_is_a_change(tmp_path):
    for i in range(20):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f"{i}.png")
    before = fingerprint.fingerprint(data.load(str(tmp_path)))
    assert re.fullmatch("[0-9a-f]{32}", before["files"])
    with (tmp_path / "3.png").open("ab") as file:
        file.write(b"0")
    with pytest.raises(ValueError, match=r"changed since in files\. Bring the data back"):
        fingerprint.check_unchanged(data.load(str(tmp_path)), before, "run")


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({}, "otherwise, remove"),
        ({"versions": {"NumPy": np.__version__}}, "otherwise, remove"),
        ({"versions": {"NumPy": "1.0", "Pillow": PIL.__version__}}, f"otherwise (NumPy 1.0, now {np.__version__}), r"),
    ],
)
def test_other_libraries_are_named_if_the_data_have_changed_and_else_do_not_matter(tmp_path, versions, said):
    before = fingerprint.fingerprint(arrays(tmp_path))
    assert before.pop("versions") == {"NumPy": np.__version__, "Pillow": PIL.__version__}
    fingerprint.check_unchanged(arrays(tmp_path), {**before, **versions}, "run")
    with pytest.raises(ValueError, match=f"the data are the same and libraries read them {re.escape(said)}") as caught:
        fingerprint.check_unchanged(arrays(tmp_path, other_value), {**before, **versions}, "run")
    assert str(caught.value).endswith(" remove run/data.json")


@pytest.mark.parametrize("damaged", [{}, {"train": None}, {"shape": 3, "train": {"count": []}, "versions": 3}])
def test_a_damaged_fingerprint_is_one_error(tmp_path, damaged):
    with pytest.raises(ValueError, match="changed since in shape"):
        fingerprint.check_unchanged(arrays(tmp_path), damaged, "run")


def test_a_sample_of_many_examples_is_taken_in_hundredths_of_a_second(tmp_path):
    small = arrays(tmp_path)
    values = np.random.default_rng(0).integers(0, 256, (55_000, 28, 28, 1), np.uint8)
    large = dataclasses.replace(small, train=data.Examples(values, np.arange(55_000) % 10, divisor=255.0))
    started = time.process_time()
    before = fingerprint.fingerprint(large)
    assert time.process_time() - started < 0.15
    changed = values.copy()
    changed[::3] ^= 1  # the sample takes one of five
    assert (
        before["train"]
        != fingerprint.fingerprint(dataclasses.replace(large, train=dataclasses.replace(large.train, values=changed)))[
            "train"
        ]
    )
