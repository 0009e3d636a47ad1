"""Half precision: what a model computes in, and the same model in float32.

Weights are float32 under Keras's policies "mixed_bfloat16" and "mixed_float16", and so are all densities of the
package, so that a model in half precision becomes one in float32 without a loss.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_vae.engine.keras_compat import layers_of

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
    """Returns a copy of a built model, with the same weights, all layers of which compute in float32."""
    with dtype_policy("float32"):
        copy = type(model).from_config(_with_float32(model.get_config()))
    for weight, value in zip(copy.weights, model.weights, strict=True):
        weight.assign(value)
    return copy


def _with_float32(config: Any) -> Any:
    """Returns the configuration with float32 in the place of every other type that layers compute in."""
    if isinstance(config, list | tuple):
        return type(config)(_with_float32(item) for item in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and _is_other(config["config"]["name"]):
        return {**config, "config": {"name": "float32"}}
    return {
        key: "float32" if key == "dtype" and isinstance(value, str) and _is_other(value) else _with_float32(value)
        for key, value in config.items()
    }


def _is_other(name: str) -> bool:
    return name.removeprefix("mixed_") in _OTHERS
