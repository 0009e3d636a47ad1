"""A prior over several stochastic layers."""

from collections.abc import Sequence
from typing import Any, Self

import keras
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.chain import Chain, Transition, check_latent_dims
from keras_vae.networks.gated import Activation
from keras_vae.priors.normal import StandardNormal
from keras_vae.priors.prior import Prior, register
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, Shape, checked


@register
class Hierarchical(Prior):
    """p(z) = p(z_L) p(z_(L-1)|z_L) ... p(z_1|z_2): several stochastic layers, all below the top learned Gaussians.

    z is the layers side by side, z_1 first, as in `keras_vae.posteriors.Hierarchical`; the decoder sees z_1 alone
    (Burda, Grosse and Salakhutdinov, 2016, equation 1 and section 5.1).

    Args:
      latent_dims: dimensions of z_1, ..., z_L, at least two positive integers.
      top: p(z_L), a `Prior` of dimension `latent_dims[-1]` that is not made of the encoder; None is the standard
        normal.
      hidden_units: widths of the network from each layer to the one below.
      activation: activation of these networks.
      min_scale: floor of the standard deviations, positive.
    """

    @checked
    def __init__(
        self,
        latent_dims: Sequence[PositiveInt],
        top: Prior | None = None,
        hidden_units: Shape = (100, 100),
        activation: Activation = "tanh",
        min_scale: PositiveFloat = 1e-4,
        **kwargs: Any,
    ) -> None:
        latent_dims = check_latent_dims(latent_dims)
        super().__init__(sum(latent_dims), **kwargs)
        self.latent_dims = latent_dims
        self.top = StandardNormal(self.latent_dims[-1]) if top is None else top
        plain = not self.top.needs_encoder and self.top.condition_dim is None
        if self.top.latent_shape != self.latent_dims[-1:] or not plain:
            raise ValueError(
                f"`top` must be a prior of dimension {self.latent_dims[-1]}, the last of `latent_dims`, that is not "
                f"made of the encoder or of a condition. Received: {type(self.top).__name__} of shape "
                f"{self.top.latent_shape}"
            )
        self.hidden_units = checks.shape("hidden_units", hidden_units)
        self.activation = activation
        self.min_scale = checks.positive_float("min_scale", min_scale)
        self._transitions = [
            Transition(size, self.hidden_units, activation, self.min_scale, name=f"transition_{i}")
            for i, size in enumerate(self.latent_dims[-2::-1])
        ]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        if not self.top.built:
            self.top.build(None)
        for transition, size in zip(self._transitions, self.latent_dims[:0:-1], strict=True):
            transition.build((None, size))
        super().build(input_shape)

    def distribution(self) -> tfd.Distribution:
        return Chain(self.top(), self._transitions, self.latent_dims[::-1], from_last=True)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["latent_dim"]
        own = {"latent_dims": list(self.latent_dims), "hidden_units": list(self.hidden_units)}
        top = keras.saving.serialize_keras_object(self.top)
        return {**config, **own, "top": top, "activation": self.activation, "min_scale": self.min_scale}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**{**config, "top": keras.saving.deserialize_keras_object(config["top"])})
