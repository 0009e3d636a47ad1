"""What a model needs so that Keras and TensorFlow's converter can write files of it."""

import os
from typing import Any

import keras
import tensorflow as tf


class KerasFiles(keras.Model):
    """A `keras.Model` that knows its input shape, so that it can be exported before it was ever called.

    A subclass sets `event_shape`, `event_dtype` and `condition_dim`.
    """

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports `call`, the reconstruction, as `keras.Model.export` does; for any batch size.

        The file can neither sample nor compute a density. `export.exporter.export_model` writes files that can, with
        built-in operations only, and compares each of them with the model.

        Args:
          filepath: path to write to; a folder for "tf_saved_model", else a file.
          format: "tf_saved_model", "litert" or another format of `keras.Model.export`, but not "onnx".
          verbose: whether to print what was written.
          input_signature: structure of `keras.InputSpec`; None is x `(None, *event_shape)`, and for a conditional
            model the pair of x and the condition, float32 `(None, condition_dim)`.
          **kwargs: further arguments of `keras.Model.export`.

        Raises:
          ValueError: for "onnx".
        """
        if format == "onnx":
            # If Keras's converter does not know an operation, it only logs that and writes a file that cannot be run.
            raise ValueError(
                "`format` must not be 'onnx': Keras's converter does not know all operations of a VAE. Received: "
                "format='onnx'. `export.exporter.export_model(vae, folder, Options(onnx=True))` writes the decoder"
            )
        if input_signature is None:
            inputs = [keras.InputSpec(shape=(None, *shape), dtype=dtype) for shape, dtype in self._inputs()]
            input_signature = inputs if len(inputs) == 1 else [tuple(inputs)]
        super().export(filepath, format=format, verbose=verbose, input_signature=input_signature, **kwargs)

    def save_spec(self, dynamic_batch: bool = True) -> tuple[tuple, dict]:
        """Returns the positional and named inputs of `call`; `tf.lite.TFLiteConverter.from_keras_model` calls this.

        The batch size is always free. `dynamic_batch=False` asks for that of the first call, but none was ever fixed.
        """
        inputs = tuple(tf.TensorSpec((None, *shape), dtype) for shape, dtype in self._inputs())
        return (inputs if len(inputs) == 1 else (inputs,), {})

    def save(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Saves the model as a `.keras` file; the arguments are those of `keras.Model.save`.

        Raises:
          ValueError: for an HDF5 file, which Keras would write and could not load again.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                "`filepath` must end in .keras: an HDF5 file cannot be loaded as a model of several parts. "
                f"Received: filepath={str(filepath)!r}. `save_weights` writes the weights alone as .weights.h5"
            )
        return super().save(filepath, *args, **kwargs)

    def _inputs(self):
        x = (self.event_shape, self.event_dtype)
        return [x] if self.condition_dim is None else [x, ((self.condition_dim,), "float32")]
