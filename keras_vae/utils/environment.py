"""Checks of how Keras is set up: its backend, its precision, and objects that come from the Keras before 3."""

import os
from typing import Any


def check_backend() -> None:
    """Raises `ImportError` if Keras does not run on TensorFlow.

    A backend can only be chosen before Keras is imported, so this can only report the mistake and not mend it.
    """
    try:
        import keras

        name = keras.backend.backend()
    except ImportError as error:  # Keras itself is missing, or the backend that the user chose
        if error.name == "keras":
            raise
        name = os.environ.get("KERAS_BACKEND") or error.name
    if name != "tensorflow":
        raise ImportError(
            "keras_vae needs Keras on TensorFlow: set the environment variable KERAS_BACKEND=tensorflow, or "
            f'"backend": "tensorflow" in ~/.keras/keras.json, before Keras is imported. Received: backend {name!r}'
        ) from None


def check_precision() -> None:
    """Raises `ValueError` if Keras would keep weights and metrics in half precision."""
    import keras

    if keras.config.floatx() in ("float16", "bfloat16"):
        raise ValueError(
            "`floatx` of Keras must be float32 or float64: in half precision densities, metrics and small steps of the "
            'optimizer are lost. For speed set keras.config.set_dtype_policy("mixed_bfloat16"). '
            f"Received: floatx={keras.config.floatx()!r}"
        )


def whose(value: Any) -> str:
    """Returns a sentence for an error if `value` was made by Keras 2 (`tf_keras`, or `tf.keras` on it), else ""."""
    if not any(base.__module__.startswith(("tf_keras.", "tensorflow.python.keras.")) for base in type(value).__mro__):
        return ""
    return ". It is of Keras 2 (tf_keras, or tf.keras under TF_USE_LEGACY_KERAS): take that of `import keras`"
