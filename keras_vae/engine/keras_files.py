"""The files that Keras and TensorFlow's converter write of a model: what they must know to write them."""

import keras
import tensorflow as tf


class KerasFiles(keras.Model):
    """A `keras.Model` of known input that can be exported at once, called or not.

    A subclass sets `event_shape` and `condition_dim`.
    """

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
        """Exports `call`, the reconstruction, as `keras.Model.export` does; for any batch size.

        This file knows no sampling and no density. `export.exporter.export_model` writes the decoder, the encoder and
        their signatures, with built-in operations only, and compares each file with the model.

        Args:
          filepath: where to; a folder for "tf_saved_model", else a file.
          format: "tf_saved_model", "litert" and so on, as in `keras.Model.export`, but for "onnx".
          verbose: whether to print what was written.
          input_signature: structure of `keras.InputSpec`; None is x `(None, *event_shape)`, and for a conditional
            model the pair of x and the condition `(None, condition_dim)`, both float32.
          **kwargs: further arguments of `keras.Model.export`.

        Raises:
          ValueError: for "onnx".
        """
        if format == "onnx":
            # Keras's converter leaves operations that it does not know in the file, and only logs that it did.
            raise ValueError(
                "`format` must not be 'onnx': Keras's converter does not know all operations of a VAE. Received: "
                "format='onnx'. `export.exporter.export_model(vae, folder, Options(onnx=True))` writes the decoder"
            )
        if input_signature is None:
            inputs = [keras.InputSpec(shape=(None, *shape), dtype="float32") for shape in self._input_shapes()]
            input_signature = inputs if len(inputs) == 1 else [tuple(inputs)]
        super().export(filepath, format=format, verbose=verbose, input_signature=input_signature, **kwargs)

    def save_spec(self, dynamic_batch: bool = True):
        """Returns the positional and named inputs of `call`; `tf.lite.TFLiteConverter.from_keras_model` asks for it.

        The batch size is free, also where the original one is asked for: the model was made without one.
        """
        inputs = tuple(tf.TensorSpec((None, *shape), tf.float32) for shape in self._input_shapes())
        return (inputs if len(inputs) == 1 else (inputs,), {})

    def save(self, filepath, *args, **kwargs):
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

    def _input_shapes(self):
        return [self.event_shape] if self.condition_dim is None else [self.event_shape, (self.condition_dim,)]
