"""The functions that are exported, with their names, inputs and outputs; one home for SavedModel and TFLite."""

import tensorflow as tf

from keras_vae.noise import Noise, Tempered
from keras_vae.sampling import center, draw
from keras_vae.vae import VAE


class Signatures:
    """`encode`, `decode`, `reconstruct` and `sample` of a model as TensorFlow functions.

      encode(x)                  -> loc          centre of q(z|x), (batch, latent_dim), and for posteriors that have a
                                    scale        standard deviation of each dimension, as much
      decode(z)                  -> mean         mean of p(x|z), (batch, *event_shape)
      reconstruct(x)             -> mean         mean of p(x|z) at the centre of q(z|x)
      sample(seed, temperature)  -> mean, z      num_samples pictures from the prior, and their codes

    Of a conditional model all take a `condition` too, float32 `(batch, condition_dim)`, one-hot for classes.

    Args:
      vae: the model.
      num_samples: how many pictures one call of `sample` draws.
    """

    def __init__(self, vae: VAE, num_samples: int):
        self._vae = vae
        self._num_samples = num_samples
        # Made once, outside the graph: a prior that is made of the encoder does not bring the encoder along.
        self._prior = vae.prior(vae.encoder)

    def _encode(self, x, condition=None):
        posterior = self._vae.encode(x, condition)
        try:
            return {"loc": center(posterior), "scale": posterior.stddev()}
        except NotImplementedError:
            return {"loc": center(posterior)}

    def _decode(self, z, condition=None):
        return {"mean": self._vae.decode(z, condition).mean()}

    def _reconstruct(self, x, condition=None):
        return {"mean": self._vae.reconstruct(x, condition)}

    def _sample(self, seed, temperature, condition=None):
        z = draw(self._prior, Tempered(Noise(seed), temperature), (self._num_samples,))
        return {"mean": self._vae.decode(z, condition).mean(), "z": z}

    def concrete(self, names, batch_size: int | None) -> dict:
        """Returns the concrete functions of the signatures `names`; a `batch_size` of None accepts any."""
        vae = self._vae
        x = tf.TensorSpec((batch_size, *vae.event_shape), tf.float32, name="x")
        z = tf.TensorSpec((batch_size, vae.latent_dim), tf.float32, name="z")
        seed = tf.TensorSpec((), tf.int32, name="seed")
        temperature = tf.TensorSpec((), tf.float32, name="temperature")
        inputs = {"encode": [x], "decode": [z], "reconstruct": [x], "sample": [seed, temperature]}
        if vae.condition_dim is not None:
            for name, specs in inputs.items():
                count = self._num_samples if name == "sample" else batch_size
                specs.append(tf.TensorSpec((count, vae.condition_dim), tf.float32, name="condition"))
        return {
            name: tf.function(getattr(self, f"_{name}"), autograph=False).get_concrete_function(*inputs[name])
            for name in names
        }

    def save(self, folder, names, batch_size: int | None) -> None:
        """Writes a SavedModel with the signatures `names`."""
        # What the functions capture is tracked by the root, and no Python object of the model is.
        root = tf.Module()
        root.model_variables = [variable.value for variable in self._vae.variables]
        tf.saved_model.save(root, str(folder), signatures=self.concrete(names, batch_size))
