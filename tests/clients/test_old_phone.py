"""An exported decoder in tflite-runtime 2.14, the last of the old runtimes, draws and decodes what Python does."""

import logging
import pathlib

import numpy as np
import pytest
from client_models import (
    NAMES,
    NUM_SAMPLES,
    SEEDS,
    TOLERANCE,
    export_all,
    make_codes,
    most_other_pictures,
    prepared_folder,
    relative_difference,
    run,
)

LOG = logging.getLogger(__name__)
PYTHON = prepared_folder() / "old_runtime" / "bin" / "python"


@pytest.fixture(scope="module")
def exported():
    return export_all()


@pytest.fixture(scope="module")
def phone(exported, tmp_path_factory):
    """Returns name -> arrays that the old runtime makes of each model."""
    folder, arrays = tmp_path_factory.mktemp("phone"), {}
    for name, model in exported.items():
        codes, conditions = make_codes(model.vae), {}
        if model.condition_dim is not None:
            of = [model.one_hot(model.class_of(i)) for i in range(max(len(SEEDS), len(codes)))]
            conditions["sample_condition"] = np.stack([np.tile(row, (NUM_SAMPLES, 1)) for row in of[: len(SEEDS)]])
            conditions["decode_condition"] = np.stack([row[None] for row in of[: len(codes)]])
        np.savez(folder / "inputs.npz", seeds=np.array(SEEDS), codes=codes, **conditions)
        script = pathlib.Path(__file__).with_name("old_phone.py")
        run([PYTHON, script, model.folder / "decoder.tflite", folder / "inputs.npz", folder / f"{name}.npz"])
        arrays[name] = dict(np.load(folder / f"{name}.npz"))
    return arrays


def test_the_runtime_is_the_old_one():
    versions = "from importlib.metadata import version as v; print(v('tflite-runtime'), v('numpy'))"
    runtime, numpy = run([PYTHON, "-c", versions]).split()
    assert runtime == "2.14.0"
    assert numpy.startswith("1.")


@pytest.mark.parametrize("name", NAMES)
def test_sample_is_that_of_python(exported, phone, name):
    mean, z = exported[name].samples(SEEDS)
    others = most_other_pictures(name, len(SEEDS) * NUM_SAMPLES)
    differences = relative_difference(phone[name]["mean"], mean, others), relative_difference(phone[name]["z"], z)
    LOG.info("largest difference of sample, %s: %.2g", name, max(differences))
    assert max(differences) < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_decode_is_that_of_python(exported, phone, name):
    expected = exported[name].decoded(make_codes(exported[name].vae))
    difference = relative_difference(phone[name]["decoded"], expected)
    LOG.info("largest difference of decode, %s: %.2g", name, difference)
    assert difference < TOLERANCE
