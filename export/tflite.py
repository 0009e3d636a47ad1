"""SavedModel -> TFLite with built-in operations only."""

import re
import tempfile

import tensorflow as tf

from export.signatures import Signatures
from export.verification import ExportError


def convert(signatures: Signatures, names, batch_size: int) -> bytes:
    """Returns a TFLite file with the signatures `names` at a static batch size, float32.

    Raises:
      ExportError: if the model needs an operation that is no TFLite built-in; the message names it. Flex would make it
        convert, and then it would not run on a device.
    """
    with tempfile.TemporaryDirectory() as folder:
        signatures.save(folder, names, batch_size)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(names))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # the converter's own exception class is not public
            raise ExportError(_explain(str(error))) from error


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
