"""The VampPrior: a mixture of posteriors at learned inputs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.data.examples import Examples
from keras_vae.distributions.mixture import MixtureOfNormals, is_diagonal_normal
from keras_vae.priors.prior import Prior, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import LatentDim, PositiveInt, Shape, checked


@register
class VampPrior(Prior):
    """p(z) = 1/K sum_k q(z | u_k): the mean of the posteriors at K learned pseudo-inputs u_k.

    Tomczak and Welling, "VAE with a VampPrior" (2018), equation 9. The pseudo-inputs start at training examples
    (`VAE.adapt`), and are kept within [low, high].

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
      event_shape: shape of one x.
      num_components: K, a positive integer.
      low: smallest value of a pseudo-input.
      high: largest value of a pseudo-input.
    """

    needs_encoder = True

    @checked
    def __init__(
        self,
        latent_dim: LatentDim,
        event_shape: Shape,
        num_components: PositiveInt = 100,
        low: float = 0.0,
        high: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)
        self.num_components = checks.positive_int("num_components", num_components)
        self.low, self.high = float(low), float(high)
        if self.low >= self.high:
            raise ValueError(f"`low` must be below `high`. Received: low={low!r} and high={high!r}")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.pseudo_inputs = self.add_weight(
            name="pseudo_inputs",
            shape=(self.num_components, *self.event_shape),
            initializer=keras.initializers.RandomUniform(self.low, self.high),
            dtype="float32",
        )
        super().build(input_shape)

    def adapt(self, examples: Examples) -> None:
        # The pseudo-inputs are spread over the data, and repeat if there are fewer examples than components.
        index = np.arange(self.num_components) * max(1, len(examples) // self.num_components) % len(examples)
        self.pseudo_inputs.assign(examples[index].numpy())

    def distribution(self, encoder: keras.layers.Layer | None = None) -> tfd.Distribution:
        """Returns p(z), made of the model's `encoder`.

        Raises:
          ValueError: if there is no encoder.
        """
        if encoder is None:
            raise ValueError(
                "`encoder` must be given, as `vae.prior_distribution()` does: VampPrior is made of the posteriors at "
                "its pseudo-inputs. Received: encoder=None"
            )
        components = encoder(tf.clip_by_value(tf.convert_to_tensor(self.pseudo_inputs), self.low, self.high))
        mixture = MixtureOfNormals if is_diagonal_normal(components) else tfd.MixtureSameFamily
        return mixture(tfd.Categorical(logits=tf.zeros(self.num_components)), components)

    def get_config(self) -> dict[str, Any]:
        own = {"event_shape": list(self.event_shape), "num_components": self.num_components}
        return {**super().get_config(), **own, "low": self.low, "high": self.high}
