"""Half precision: what a model computes in, and the same model in float32.

Weights are float32 under Keras's policies "mixed_bfloat16" and "mixed_float16", and so are all densities of the
package, so that a model in half precision becomes one in float32 without a loss.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import keras

from keras_vae.engine.keras_compat import layers_of
from keras_vae.utils.errors import reason

_OTHERS = {"bfloat16", "float16", "float64"}


def precision_of(model: keras.Model) -> str:
    """Returns "bfloat16", "float16" or "float64" if a layer of `model` computes in it, and else "float32"."""
    return min({layer.compute_dtype for layer in layers_of(model)} & _OTHERS, default="float32")


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Within this context new layers have the policy `name` of Keras, such as "mixed_bfloat16"."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a copy of a built model, with the same weights, all layers of which compute in float32.

    Raises:
      ValueError: if Keras cannot make the model again from its configuration.
    """
    classes = {type(layer).__name__: type(layer) for layer in layers_of(model)}  # those that nobody has registered too
    try:
        with dtype_policy("float32"), keras.saving.custom_object_scope(classes):
            copy = type(model).from_config(_with_float32(model.get_config()))
        # By way of a file each layer sets up what it keeps beside its weights.
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "model.weights.h5"
            model.save_weights(file)
            copy.load_weights(file)
        if precision_of(copy) != "float32":
            raise ValueError("a layer has its type from elsewhere than the policy in its configuration")
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"`vae` must have a copy in float32, and Keras cannot make one: {reason(error)}. Load its weights into "
            f"a model that is made under the policy float32. Received: a model that computes in {precision_of(model)}"
        ) from error
    return copy


def _with_float32(config: Any) -> Any:
    """Returns the configuration with the policy float32 in the place of every other one."""
    if isinstance(config, list | tuple):
        return type(config)(_with_float32(item) for item in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and _is_other(config["config"]["name"]):
        return {**config, "config": {"name": "float32"}}
    changed = {key: _with_float32(value) for key, value in config.items()}
    # The layer before the first one of a `keras.Sequential` casts what comes in, to a type and not by a policy.
    if config.get("class_name") == "InputLayer" and _is_other(str(config["config"].get("dtype"))):
        changed["config"]["dtype"] = "float32"
    return changed


def _is_other(name: str) -> bool:
    return name.removeprefix("mixed_") in _OTHERS
