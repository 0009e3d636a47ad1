"""Rows on the disk give, to the bit, the numbers of the array in memory."""

import gc
import os
import pickle
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest
from helpers import make_vae, slow_from

import keras_vae as kv
from keras_vae.data import rows
from keras_vae.data.array_file import ArrayFile
from keras_vae.data.drawing import drawn
from keras_vae.data.examples import Examples
from keras_vae.data.rows import Rows, map_rows, uniform_rows

SHAPE = (4, 3, 1)
GRAY = np.random.default_rng(0).integers(0, 256, (50, *SHAPE), np.uint8)
FLOATS = np.random.default_rng(1).normal(size=(50, *SHAPE)).astype(np.float32)
INDEX = np.random.default_rng(2).permutation(50)[:37]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(rows, "_CHUNK_BYTES", 100)


def on_disk(folder, array):
    file = ArrayFile.create(folder / "x.npy", array.shape, array.dtype)
    for place, row in enumerate(array):
        file.write(place, row)
    np.testing.assert_array_equal(np.load(folder / "x.npy"), array)
    return Rows(file)


@pytest.mark.parametrize("array", [GRAY, FLOATS, FLOATS.astype(np.float64)], ids=lambda a: a.dtype.name)
@pytest.mark.parametrize(
    "pick",
    [
        lambda x: x,
        lambda x: x[INDEX],
        lambda x: x[INDEX][3:20],
        lambda x: x[3:20][::-1],
        lambda x: x[np.arange(50) % 7 == 0],
    ],
    ids=["all", "selection", "part of a selection", "backwards", "mask"],
)
def test_selections_have_the_values_shape_and_figures_of_those_of_the_array(tmp_path, array, pick):
    found, expected = pick(on_disk(tmp_path, array)), array[pick(np.arange(len(array)))]
    assert isinstance(found, Rows)
    assert (found.shape, found.dtype, found.ndim, len(found)) == (expected.shape, array.dtype, 4, len(expected))
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(found.read(np.array([4, 0, 4])), expected[[4, 0, 4]])
    np.testing.assert_array_equal(np.concatenate(list(found.chunks())), expected)
    assert (found.min(), found.max()) == (expected.min(), expected.max())
    assert found.moments.total.dtype == (np.int64 if array.dtype == np.uint8 else np.float64)
    np.testing.assert_array_equal(found.moments.total / len(found), expected.mean(axis=0, dtype=np.float64))
    if array.dtype == np.uint8:
        np.testing.assert_array_equal(found.moments.squares, np.square(expected.astype(np.int64)).sum(axis=0))


@pytest.mark.parametrize("shape", [(), (3,), SHAPE])
@pytest.mark.parametrize("index", [np.arange(50), np.array([7]), np.array([3, 4, 5, 9, 2, 2, 49, 0])])
def test_uniform_rows_are_those_of_all_uniform_numbers(shape, index):
    expected = np.random.default_rng(5).random((50, *shape), np.float32)[index]
    np.testing.assert_array_equal(uniform_rows(5, index, shape), expected)


def test_a_mapping_is_made_when_rows_are_read(tmp_path):
    seen = []

    def double(x, index):
        seen.extend(index.tolist())
        return 2.0 * x + index.reshape(-1, 1, 1, 1)

    mapped = map_rows(on_disk(tmp_path, FLOATS), double)
    assert (mapped.shape, mapped.dtype) == (FLOATS.shape, np.float64)
    seen.clear()
    expected = 2.0 * FLOATS + np.arange(50.0).reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(mapped[INDEX][4:9].read(np.array([1, 3])), expected[INDEX][4:9][[1, 3]])
    assert sorted(seen) == sorted(INDEX[[5, 7]])
    np.testing.assert_array_equal(map_rows(FLOATS, lambda x, i: x + 1), FLOATS + 1)


PRESENTATIONS = {
    "gray": lambda x: x,
    "dynamic": lambda x: kv.data.binarize(x, "dynamic"),
    "static": lambda x: kv.data.binarize(x, "static", 3),
    "threshold": lambda x: kv.data.binarize(x, "threshold"),
    "dequantized": lambda x: kv.data.dequantize(x),
    "dequantized once": lambda x: kv.data.dequantize(x, fixed=True, seed=4),
}
presentations = pytest.mark.parametrize("present", PRESENTATIONS.values(), ids=PRESENTATIONS)


def pair(folder, present, array=GRAY, divisor=255.0):
    """Returns the same examples in memory and on the disk."""
    labels = np.arange(len(array))
    both = Examples(array, labels, divisor=divisor), Examples(on_disk(folder, array), labels, divisor=divisor)
    return [present(examples)[INDEX] for examples in both]


@presentations
def test_examples_are_presented_as_those_in_memory(tmp_path, present):
    expected, found = pair(tmp_path, present)
    assert isinstance(found.values, Rows)
    assert (found.dtype, found.shape, found.noise) == (expected.dtype, expected.shape, expected.noise)
    for seed in (0, 7):
        np.testing.assert_array_equal(found.numpy(seed), expected.numpy(seed))
        np.testing.assert_array_equal(found.reader(seed)(np.array([5, 2])), expected.numpy(seed)[[5, 2]])
        np.testing.assert_array_equal(np.concatenate(list(found.chunks(seed))), expected.numpy(seed))
    for figure in (Examples.limits, Examples.mean, Examples.deviation):
        np.testing.assert_array_equal(figure(found), figure(expected))
    np.testing.assert_array_equal(found[3:9].numpy(), expected[3:9].numpy())


@presentations
@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_and_blocks_are_those_of_examples_in_memory(tmp_path, present, shuffle):
    def steps(examples):
        batches = list(examples.batches(8, shuffle, 3).take(12).as_numpy_iterator())
        blocks = [
            [drawn(part).numpy() for part in block.batches] for block in examples.blocks(8, 3, shuffle, 3).take(4)
        ]
        return [*batches, *blocks]

    expected, found = (steps(examples) for examples in pair(tmp_path, present))
    for a, b in zip(expected, found, strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("likelihood", slow_from(1, ["Bernoulli", "DiscretizedLogisticMixture"]))
def test_a_model_trains_and_is_measured_to_the_numbers_of_examples_in_memory(tmp_path, likelihood):
    def figures(examples):
        vae = make_vae(SHAPE, likelihood=getattr(kv.likelihoods, likelihood)(SHAPE))
        vae.adapt(examples)
        history = vae.fit(examples, validation_data=examples[:9], batch_size=8, epochs=2, verbose=0).history
        measured = kv.measure.evaluate(vae, examples[:11], 5)
        return history, measured, vae.bounds(examples, 3, progress_file=tmp_path / "bounds.npz")

    expected, found = (figures(examples) for examples in pair(tmp_path, lambda x: x))
    assert found[:2] == expected[:2]
    np.testing.assert_array_equal(found[2], expected[2])


def test_values_outside_of_the_support_are_found_on_the_disk(tmp_path):
    vae = make_vae(SHAPE)
    with_nan = np.zeros_like(FLOATS)
    with_nan[33] = np.nan
    with pytest.raises(ValueError, match="`x` must be finite"):
        vae.fit(Examples(on_disk(tmp_path, with_nan)), verbose=0)
    with pytest.raises(ValueError, match=r"`x` must lie in \[0, 1\]"):
        vae.fit(Examples(on_disk(tmp_path, FLOATS)), verbose=0)


def test_an_array_on_the_disk_is_let_go_after_a_training(tmp_path):
    vae = make_vae(SHAPE)
    examples = Examples(on_disk(tmp_path, GRAY), divisor=255.0)
    vae.fit(examples, batch_size=8, verbose=0)
    gone = weakref.ref(examples.values)
    del examples
    gc.collect()
    assert gone() is None


def test_batches_outlive_their_examples(tmp_path):
    batches = Examples(on_disk(tmp_path, GRAY), divisor=255.0).batches(50, shuffle=False)
    gc.collect()
    np.testing.assert_array_equal(next(iter(batches))[0], (GRAY / np.float32(255.0)).astype(np.float32))


def test_a_file_that_becomes_shorter_is_an_error_that_names_it(tmp_path):
    found = on_disk(tmp_path, GRAY)
    with (tmp_path / "x.npy").open("r+b") as file:
        file.truncate(300)
    with pytest.raises(OSError, match=r"x\.npy has become shorter while it was read"):
        found.read(np.arange(50))


ENDS_WHILE_READING = """
import sys
import numpy as np
from keras_vae.data import Examples
from keras_vae.data.array_file import ArrayFile
from keras_vae.data.rows import Rows

file = ArrayFile.create(__import__("pathlib").Path(sys.argv[1]), (5000, 64, 64, 3), np.uint8)
iterator = iter(Examples(Rows(file), divisor=255.0).blocks(128, 16))
next(iterator)
print("ended")
"""


@pytest.mark.slow
def test_a_program_ends_while_its_data_are_read(tmp_path):
    for _ in range(3):
        command = [sys.executable, "-c", ENDS_WHILE_READING, str(tmp_path / "x.npy")]
        assert subprocess.run(command, capture_output=True, text=True, timeout=120).stdout == "ended\n"


def test_indices_are_those_of_an_array(tmp_path):
    found = on_disk(tmp_path, GRAY)
    np.testing.assert_array_equal(found.read(np.array([-1, 3, 3])), GRAY[[-1, 3, 3]])
    np.testing.assert_array_equal(found.read(np.arange(50) == 7), GRAY[7:8])
    np.testing.assert_array_equal(found[3], GRAY[3])
    np.testing.assert_array_equal(np.asarray(Rows(GRAY, [4, -1])), GRAY[[4, -1]])
    assert len(found[0:0]) == 0
    with pytest.raises(IndexError, match="out of bounds"):
        found.read(np.array([50]))


def test_rows_of_a_file_go_to_other_processes_with_the_path(tmp_path):
    found = pickle.loads(pickle.dumps(on_disk(tmp_path, GRAY)[INDEX]))
    np.testing.assert_array_equal(np.asarray(found), GRAY[INDEX])


def test_a_write_that_stops_short_goes_on(tmp_path, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, offset: write(file, content[:5], offset))
    np.testing.assert_array_equal(np.asarray(on_disk(tmp_path, GRAY)), GRAY)


def test_a_fit_takes_rows_as_they_are(tmp_path):
    losses = [
        make_vae(SHAPE).fit(x, batch_size=8, verbose=0).history["loss"]
        for x in (FLOATS > 0, on_disk(tmp_path, (FLOATS > 0).astype(np.float32)))
    ]
    assert losses[0] == losses[1]
