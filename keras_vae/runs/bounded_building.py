"""Limits on what a model may cost while it is built from a configuration that may be hostile.

The limits follow from the weights in the same file: an honest model has about as many parts as its weights need.
"""

import contextlib
import math
import threading
from collections.abc import Iterator

import keras

from keras_vae.engine.keras_compat import add_layer, layers_of, outputs_of
from keras_vae.runs.counting import before_each, numbers_in_weight
from keras_vae.runs.weights_file import Weights

# A model may have this many layers beside those with weights. A graph can be at most 950 layers deep, because Keras
# then reaches Python's limit of recursion.
_FREE_LAYERS = 1000
_FREE_CALLS = 3000
_MAX_FEATURES = 1 << 26
# Each error of a limit ends with this text, because an honest file may be beyond a limit too.
TRUSTED = ". A file that you trust is loaded by keras.saving.load_model"


class _Account:
    """Counts the weights, layers and calls of a model that is being loaded."""

    def __init__(self, weights: Weights) -> None:
        self._most = {
            "numbers in weights": weights.numbers,
            "layers and metrics": weights.arrays + _FREE_LAYERS,
            "calls of layers": weights.arrays + _FREE_CALLS,
        }
        self._spent = dict.fromkeys(self._most, 0)

    def adding(self, what, size):
        """Returns a function that adds `size(...)` of its arguments to the count of `what`."""
        return lambda owner, *args, **kwargs: self._spend(what, size(owner, *args, **kwargs), owner)

    def _spend(self, what, count, owner):
        self._spent[what] += count
        if self._spent[what] > self._most[what]:
            name = owner.__name__ if isinstance(owner, type) else getattr(owner, "name", type(owner).__name__)
            raise ValueError(
                f"with its file a model must have up to {self._most[what]} {what}. Received: more, at {name}{TRUSTED}"
            )


@contextlib.contextmanager
def bounded(weights: Weights) -> Iterator[None]:
    """Within this context the weights of its file limit the cost of a model that this thread makes.

    Numbers in weights, layers, metrics and calls of layers are counted before they are made, and `ValueError` stops a
    model that goes beyond a limit. A `Sequential` is built once; Keras would build it anew for each of its layers.
    """
    layer, metric, account = keras.layers.Layer, keras.metrics.Metric, _Account(weights)
    counts = (
        # Layers are counted in `__new__`, because Keras inspects the signature of `Layer.__init__`.
        (layer, "__new__", account.adding("layers and metrics", _made)),
        (metric, "__init__", account.adding("layers and metrics", _made)),
        (layer, "__call__", account.adding("calls of layers", _calls)),
        (layer, "add_weight", account.adding("numbers in weights", numbers_in_weight)),
    )
    with before_each(*counts), _each_sequential_built_once():
        yield


@contextlib.contextmanager
def _each_sequential_built_once():
    before = vars(keras.Sequential)["from_config"]
    keras.Sequential.from_config = _built_once(before.__func__)
    try:
        yield
    finally:
        keras.Sequential.from_config = before


def _built_once(from_config):
    """Returns a `Sequential.from_config` that, in this thread, builds the model only when its last layer is there."""
    thread = threading.get_ident()

    @classmethod
    def replacement(cls, config, custom_objects=None):
        if threading.get_ident() != thread:
            return from_config(cls, config, custom_objects)
        model = cls(name=config["name"])
        layers = [keras.saving.deserialize_keras_object(layer, custom_objects) for layer in config["layers"]]
        for layer in layers:
            add_layer(model, layer, build=layer is layers[-1])
        if not model.built and config.get("build_input_shape"):
            model.build(config["build_input_shape"])
        return model

    return replacement


def _made(owner, *_, **__):
    return owner is not keras.layers.Layer  # Keras makes a plain `Layer` for comparison with each layer that it loads


def _calls(layer, inputs=None, *_, **__):
    """Returns how many calls a call of a layer counts as: an unrolled recurrent layer calls its cell once a step."""
    shape = getattr(inputs, "shape", ())
    return 1 if not getattr(layer, "unroll", False) or len(shape) < 2 else shape[1] or 1


def check_features(model: keras.Model) -> None:
    """Raises `ValueError` if a layer returns too many numbers for one example.

    Layers that copy, pad or repeat have no weights, so the weights of the file do not limit them.
    """
    for layer in layers_of(model):
        for output in outputs_of(layer):
            if (size := math.prod(d or 1 for d in output.shape)) > _MAX_FEATURES:
                raise ValueError(
                    f"{layer.name} must give up to {_MAX_FEATURES} numbers an example. Received: {size}{TRUSTED}"
                )
