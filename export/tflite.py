"""SavedModel -> TFLite with built-in operations only."""

import re
import tempfile
from collections.abc import Collection

import tensorflow as tf

from export.errors import ExportError
from export.signatures import Signatures
from keras_vae.utils.console import stderr_held_back


def convert(signatures: Signatures, names: Collection[str], batch_size: int | None) -> bytes:
    """Returns a TFLite file with the signatures `names`, not packed yet (`export.packing`).

    Args:
      signatures: signatures of the model.
      names: names of those to convert.
      batch_size: static batch size; None accepts any, but then some delegates cannot run the file.

    Raises:
      ExportError: if the model needs an operation that is no TFLite built-in; the message names it. With Flex it would
        convert, but not run on a device.
    """
    with tempfile.TemporaryDirectory() as folder:
        signatures.save(folder, names, batch_size)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(names))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            # TensorFlow folds casts, and then warns of attributes that it left itself ("NodeDef mentions attribute
            # Truncate").
            with stderr_held_back():
                return converter.convert()
        except Exception as error:  # the converter's class of errors is not public
            raise ExportError(_explain(str(error))) from error


def convert_what_can_be(
    signatures: Signatures, names: Collection[str], batch_size: int | None, required: Collection[str] = ()
) -> tuple[bytes, tuple[str, ...], dict[str, str]]:
    """Returns a file with the signatures of `names` that convert, their names, and why each of the others does not.

    Raises:
      ExportError: if a signature of `required` does not convert, or if none does.
    """
    try:
        return convert(signatures, names, batch_size), tuple(names), {}
    except ExportError as error:
        together = error
    reasons = {}
    for name in names:
        try:
            convert(signatures, (name,), batch_size)
        except ExportError as error:
            if name in required:
                raise
            reasons[name] = str(error)
    rest = tuple(name for name in names if name not in reasons)
    if not (rest and reasons):
        raise together
    return convert(signatures, rest, batch_size), rest, reasons


def _explain(message: str) -> str:
    operations = sorted(
        set(re.findall(r"\btf\.([A-Z]\w*)\(|op is neither a custom op nor a flex op.*?'tf\.(\w+)'", message))
    )
    names = sorted({name for pair in operations for name in pair if name})
    if not names:
        return f"TFLite conversion failed: {message.strip().splitlines()[0] if message.strip() else 'no message'}"
    return (
        f"the model needs operations that TFLite has no built-in for: {', '.join(names)}. "
        "They would need Flex, which devices do not have; write that part of the model with other operations"
    )
