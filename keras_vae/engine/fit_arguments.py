"""Checks of the numbers that `fit`, `evaluate` and `predict` take, before anything runs.

Keras does not check them itself: it takes some zeros for "not given", trains forever on some negative numbers, and
finds other mistakes only after an epoch.
"""

import numbers
from typing import Any

import keras

from keras_vae.engine.keras_compat import is_of_keras
from keras_vae.utils import checks

_FOR_BATCHES = tuple(f"on_{kind}batch_{when}" for kind in ("", "train_", "test_") for when in ("begin", "end"))
_COUNTS = ("batch_size", "validation_batch_size", "steps_per_epoch", "validation_steps")


def check_fit(validation_split: float, arguments: dict) -> None:
    """Raises `ValueError` for a number among the arguments of `fit` that is outside its range."""
    for name in ("epochs", "initial_epoch"):  # 0 epochs are allowed and train nothing, as with Keras
        checks.nonnegative_int(name, arguments[name])
    check_counts(**{name: arguments.get(name) for name in _COUNTS})
    _check_callbacks(arguments["callbacks"])
    if arguments["verbose"] not in ("auto", 0, 1, 2):
        raise ValueError(f"`verbose` must be 'auto', 0, 1 or 2. Received: verbose={arguments['verbose']!r}")
    _check_validation_freq(arguments.get("validation_freq", 1))
    _check_validation_split(validation_split)


def acts_on_batches(callbacks: Any) -> bool:
    """Whether a callback that is neither Keras's nor the package's own has a method for batches."""
    callbacks = getattr(callbacks, "callbacks", callbacks) or []
    return any(map(_acts_on_batches, callbacks if isinstance(callbacks, list | tuple) else [callbacks]))


def _acts_on_batches(callback):
    others = (cls for cls in type(callback).__mro__ if not is_of_keras(cls))
    own = [vars(cls) for cls in others if not cls.__module__.startswith("keras_vae.")]
    return any(name in attributes for attributes in (vars(callback), *own) for name in _FOR_BATCHES)


def check_counts(**counts: Any) -> None:
    """Raises `ValueError` unless all sizes and numbers of steps are positive integers, or None for Keras's default."""
    for name, value in counts.items():
        if value is not None:
            checks.positive_int(name, value)


def _check_callbacks(value):
    callbacks = value if isinstance(value, list | tuple) else [] if value is None else [value]
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback | keras.callbacks.CallbackList):
            raise ValueError(f"`callbacks` must be Keras callbacks. Received: callbacks={value!r}")


def _check_validation_freq(value):
    # Keras accepts only `list` and `int` here, and neither tuples nor NumPy's integers.
    if not isinstance(value, list | int):
        raise ValueError(
            f"`validation_freq` must be a positive integer or a list of them. Received: validation_freq={value!r}"
        )
    for epoch in value if isinstance(value, list) else [value]:
        checks.positive_int("validation_freq", epoch)


def _check_validation_split(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(
            f"`validation_split` must be a number of at least 0 and below 1. Received: validation_split={value!r}"
        )


def num_training_examples(count: int, validation_split: float) -> int:
    """Returns how many of `count` examples are left to train on; raises `ValueError` if a part would be empty."""
    left = int(count * (1.0 - validation_split))
    if not 0 < left < count:
        raise ValueError(
            "`validation_split` must leave at least one example to train on and one to validate on. "
            f"Received: validation_split={validation_split!r} of {count} examples"
        )
    return left
