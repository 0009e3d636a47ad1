"""Keras on another backend, in half precision, or of another generation: one error that says what to do."""

import os
import subprocess
import sys

import keras
import pytest
from helpers import SHAPE, make_vae

import keras_vae as kv
from keras_vae.utils import environment

# What an object of Keras 2 is known by.
Legacy = type("Adam", (), {"__module__": "tf_keras.src.optimizers.adam"})
OWN = type("OwnAdam", (Legacy,), {"__module__": "project.optimizers"})


@pytest.fixture
def floatx():
    """The setting of `keras.config`, set back afterwards."""
    policy = keras.config.dtype_policy()  # made of floatx when it is first asked for
    yield keras.config.set_floatx
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("name", ["VAE", "likelihoods"])
def test_another_backend_ends_the_use_of_any_name_with_what_to_set(name):
    code = f"import sys; sys.path[:] = {sys.path!r}; import keras_vae; keras_vae.{name}"
    env = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "ImportError: keras_vae needs Keras on TensorFlow: set the environment variable KERAS_BACKEND"
    )
    assert last.endswith("Received: backend 'jax'")


def test_a_backend_of_keras_json_is_named_too(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(
        ImportError, match=r'"backend": "tensorflow" in ~/.keras/keras.json.* Received: backend \'numpy\''
    ):
        environment.check_backend()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_for_all_is_refused_and_names_the_policy_that_works(dtype, floatx):
    floatx(dtype)
    with pytest.raises(ValueError, match=f"`floatx` of Keras .*mixed_bfloat16.* Received: floatx='{dtype}'"):
        make_vae()


@pytest.mark.parametrize("kind", [Legacy, OWN])
def test_objects_of_keras_2_are_named(kind):
    hint = r"It is of Keras 2 \(tf_keras, or tf.keras under TF_USE_LEGACY_KERAS\): take that of `import keras`$"
    with pytest.raises(ValueError, match=r"`optimizer` must be an Optimizer or a string\. Received: .*" + hint):
        make_vae().compile(kind())
    with pytest.raises(ValueError, match=r"`trunk` must be a Layer\. Received: .*" + hint):
        kv.Encoder(kind(), kv.posteriors.DiagonalGaussian(2))
    with pytest.raises(ValueError, match=r"`likelihood` must be a Likelihood\. Received: .*" + hint):
        kv.Decoder(kv.networks.mlp([4]), kind())


@pytest.mark.parametrize("value", ["adam", keras.optimizers.Adam(), None])
def test_others_are_not(value):
    assert environment.whose(value) == ""
    assert kv.likelihoods.Bernoulli(SHAPE).event_shape == SHAPE
