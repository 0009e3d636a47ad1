"""A posterior over several stochastic layers."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.chain import Chain, Transition, check_latent_dims
from keras_vae.networks.gated import Activation
from keras_vae.posteriors.gaussian import DiagonalGaussian
from keras_vae.posteriors.head import ScaledPosterior, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, Shape, checked


@register
class Hierarchical(ScaledPosterior):
    """q(z|x) = q(z_1|x) q(z_2|z_1) ... q(z_L|z_(L-1)), each a diagonal Gaussian: several stochastic layers.

    z is the layers side by side, z_1 first. A model with it, `keras_vae.priors.Hierarchical` and
    `Decoder(..., latent_dim=latent_dims[0])` is that of Burda, Grosse and Salakhutdinov (2016), section 5.1.

    Args:
      latent_dims: dimensions of z_1, ..., z_L, at least two positive integers.
      min_scale: floor of the standard deviations, positive.
      hidden_units: widths of the network from each layer to the next.
      activation: activation of these networks.
    """

    @checked
    def __init__(
        self,
        latent_dims: Sequence[PositiveInt],
        min_scale: PositiveFloat = 1e-4,
        hidden_units: Shape = (100, 100),
        activation: Activation = "tanh",
        **kwargs: Any,
    ) -> None:
        latent_dims = check_latent_dims(latent_dims)
        super().__init__(sum(latent_dims), min_scale, **kwargs)
        self.latent_dims = latent_dims
        self.hidden_units = checks.shape("hidden_units", hidden_units)
        self.activation = activation
        self._first = DiagonalGaussian(self.latent_dims[0], min_scale, name="first")
        self._transitions = [
            Transition(size, self.hidden_units, activation, min_scale, name=f"transition_{i}")
            for i, size in enumerate(self.latent_dims[1:])
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._first.build(input_shape)
        for transition, size in zip(self._transitions, self.latent_dims, strict=False):
            transition.build((None, size))
        self.built = True

    def call(self, features: tf.Tensor) -> tfd.Distribution:
        return Chain(self._first(features), self._transitions, self.latent_dims)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["latent_dim"]
        own = {"latent_dims": list(self.latent_dims), "hidden_units": list(self.hidden_units)}
        return {**config, **own, "activation": self.activation}
