"""Fixtures that many tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
import tensorflow as tf
from helpers import make_binary, make_vae

# Two devices for the strategies; must be said before the first operation.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture
def vae():
    """A small VAE, not trained."""
    return make_vae()


@pytest.fixture
def binary():
    """Fifty small binary images."""
    return make_binary()


# Exports that several test modules look at, each made once. Modules that need them import `exporting` anyway.


def _exported(name, tmp_path_factory, make, **options):
    import exporting

    from export import verification

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "NUM_CHECKS", 16)
        folder = tmp_path_factory.mktemp(name) / "export"
        return exporting.export(exporting.stirred(getattr(exporting, make)()), folder, **options)


@pytest.fixture(scope="session")
def dense(tmp_path_factory):
    """A dense model, 16 pictures a call of `sample`, one row a call of the others."""
    return _exported("dense", tmp_path_factory, "make_vae", num_samples=16)


@pytest.fixture(scope="session")
def conv(tmp_path_factory):
    """A convolutional model of pictures of 10 x 7 x 3, 4 pictures a call, 4 rows a call."""
    return _exported("conv", tmp_path_factory, "make_conv_vae", num_samples=4, batch_size=4)


@pytest.fixture(scope="session")
def conditional(tmp_path_factory):
    """A model of three classes, 5 pictures a call, any number of rows a call."""
    return _exported("conditional", tmp_path_factory, "make_conditional_vae", num_samples=5, batch_size=None)


@pytest.fixture(scope="session")
def mixture(tmp_path_factory):
    """A dense model with a learned mixture as its prior, 8 pictures a call, one row a call."""
    return _exported("mixture", tmp_path_factory, "make_mixture_vae", num_samples=8)


@pytest.fixture(params=["dense", "conv", "conditional", "mixture"])
def exported(request):
    """Each of the four in turn."""
    return request.getfixturevalue(request.param)
