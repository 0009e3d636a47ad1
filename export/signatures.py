"""The functions that are exported, with their names, inputs and outputs; one home for SavedModel and TFLite."""

import tensorflow as tf

from keras_vae.vae import VAE


class Signatures(tf.Module):
    """`encode`, `decode`, `reconstruct` and `sample` of a model as TensorFlow functions.

      encode(x)                  -> loc, scale   mean and standard deviation of q(z|x), (batch, latent_dim)
      decode(z)                  -> mean         mean of p(x|z), (batch, *event_shape)
      reconstruct(x)             -> mean         mean of p(x|z) at the mean of q(z|x)
      sample(seed, temperature)  -> mean, z      num_samples pictures from the prior, and their codes

    Args:
      vae: the model.
      num_samples: how many pictures one call of `sample` draws.
    """

    def __init__(self, vae: VAE, num_samples: int):
        super().__init__()
        self._vae = vae
        self._num_samples = num_samples
        self._tracked = [variable.value for variable in vae.variables]

    def _encode(self, x):
        posterior = self._vae.encode(x)
        return {"loc": posterior.mean(), "scale": posterior.stddev()}

    def _decode(self, z):
        return {"mean": self._vae.decode(z).mean()}

    def _reconstruct(self, x):
        return {"mean": self._vae.reconstruct(x)}

    def _sample(self, seed, temperature):
        z, _ = self._vae.sample_latent(self._num_samples, seed, temperature)
        return {"mean": self._vae.decode(z).mean(), "z": z}

    def concrete(self, names, batch_size: int | None) -> dict:
        """Returns the concrete functions of the signatures `names`; a `batch_size` of None accepts any."""
        x = tf.TensorSpec((batch_size, *self._vae.event_shape), tf.float32, name="x")
        z = tf.TensorSpec((batch_size, self._vae.latent_dim), tf.float32, name="z")
        seed = tf.TensorSpec((), tf.int32, name="seed")
        temperature = tf.TensorSpec((), tf.float32, name="temperature")
        inputs = {"encode": (x,), "decode": (z,), "reconstruct": (x,), "sample": (seed, temperature)}
        return {
            name: tf.function(getattr(self, f"_{name}"), autograph=False).get_concrete_function(*inputs[name])
            for name in names
        }

    def save(self, folder, names, batch_size: int | None) -> None:
        """Writes a SavedModel with the signatures `names`."""
        # What the functions capture is tracked by the root, and no Python object of the model is.
        root = tf.Module()
        root.model_variables = self._tracked
        tf.saved_model.save(root, str(folder), signatures=self.concrete(names, batch_size))
