"""Fixtures that many tests share."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker for each core. More threads in each would only wait for each other: a third of the time.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from keras_vae.utils import console

with console.without_search_for_garbage():
    import tensorflow as tf
    from helpers import make_binary, make_vae, slow_from

# The tests of strategies need two devices. They must be configured before the first operation.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="module", autouse=True)
def heap_of_a_start():
    """Hides from the garbage collector what imports and earlier modules have left.

    TensorFlow keeps functions and graphs for the life of the process. The converter to TFLite and streams of data ask
    for a full collection at each use, which takes several seconds once a few hundred tests have left their graphs.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def few_checks():
    """Has an export compare fewer draws with Keras; those of the commands compare as many as they do for users."""
    from export import verification

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "NUM_CHECKS", 8)
        yield


@pytest.fixture
def vae():
    """A small VAE that is not trained."""
    return make_vae()


@pytest.fixture
def binary():
    """Fifty small binary images."""
    return make_binary()


# Several test modules look at these exports. Each is made once. Modules that need them import `exporting` anyway.


def _exported(name, tmp_path_factory, make, **options):
    import exporting

    folder = tmp_path_factory.mktemp(name) / "export"
    return exporting.export(exporting.stirred(getattr(exporting, make)()), folder, **options)


@pytest.fixture(scope="session")
def dense(tmp_path_factory):
    """A dense model with 16 pictures in a call of `sample` and one row in a call of the other signatures."""
    return _exported("dense", tmp_path_factory, "make_vae", num_samples=16)


@pytest.fixture(scope="session")
def conv(tmp_path_factory):
    """A convolutional model of pictures of 10 x 7 x 3, with 4 pictures or rows in a call."""
    return _exported("conv", tmp_path_factory, "make_conv_vae", num_samples=4, batch_size=4)


@pytest.fixture(scope="session")
def conditional(tmp_path_factory):
    """A model of three classes, with 5 pictures and any number of rows in a call."""
    return _exported("conditional", tmp_path_factory, "make_conditional_vae", num_samples=5, batch_size=None)


@pytest.fixture(scope="session")
def mixture(tmp_path_factory):
    """A dense model with a learned mixture as its prior, with 8 pictures and one row in a call."""
    return _exported("mixture", tmp_path_factory, "make_mixture_vae", num_samples=8)


@pytest.fixture(params=slow_from(2, ["dense", "conditional", "conv", "mixture"]))
def exported(request):
    """Each of the four exports above in turn."""
    return request.getfixturevalue(request.param)
