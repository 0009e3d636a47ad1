"""Files that earlier versions wrote are still read, to the same numbers."""

import pathlib
import shutil

import keras
import numpy as np
import pytest
from helpers import slow_from

from keras_vae.runs.run_dir import RunDir

# A flow posterior, a mixture prior, a mixture of logistics on 4 x 3 pixels, objective and KL weight on schedules,
# compiled and trained for two steps; written by version 0.1.0 before the package had sub-packages.
FILE = pathlib.Path(__file__).with_name("model_of_0_1.keras")
X = (np.random.default_rng(0).integers(0, 256, (20, 4, 3, 1)) / 255).astype(np.float32)


def by_run_dir(folder):
    shutil.copy(FILE, folder / "model.keras")
    return RunDir(folder).model()


@pytest.mark.parametrize(
    "load", slow_from(1, [lambda _: keras.saving.load_model(FILE), by_run_dir]), ids=["keras", "run directory"]
)
def test_a_model_of_0_1_does_what_it_did(load, tmp_path):
    vae = load(tmp_path)
    np.testing.assert_allclose(np.asarray(vae.sample(3, seed=7)).sum(dtype=np.float64), 17.832307875, rtol=1e-6)
    np.testing.assert_allclose(vae.log_prob(X[:3], num_samples=10), [-66.57648, -65.876305, -70.96286], rtol=1e-5)
    assert int(vae.optimizer.iterations) == int(vae.train_steps) == 2
    assert np.isfinite(vae.fit(X, verbose=0).history["loss"][0])
