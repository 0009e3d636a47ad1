"""A prior made by a normalizing flow."""

from typing import Any

from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.coupling_flow import CouplingFlow
from keras_vae.priors.normal import StandardNormal
from keras_vae.priors.prior import Prior, register
from keras_vae.utils.arguments import LatentDim, PositiveInt, checked


@register
class Flow(Prior):
    """p(z) is N(0, I) pushed through learned affine coupling layers (Dinh et al., 2017).

        log p(z) = log N(f^-1(z); 0, I) - log |det df|

    Args:
      latent_dim: dimension of z, at least 2; or its shape, a tuple of positive integers.
      num_layers: number of coupling layers, a positive integer.
      hidden_units: width of the network in each coupling layer.
    """

    @checked
    def __init__(
        self, latent_dim: LatentDim, num_layers: PositiveInt = 6, hidden_units: PositiveInt = 64, **kwargs: Any
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        self.num_layers = num_layers
        self.hidden_units = hidden_units
        self._flow = CouplingFlow(self.latent_dim, num_layers, hidden_units, name="flow")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self._flow.build(None)
        super().build(input_shape)

    def distribution(self) -> tfd.Distribution:
        flow = self._flow.bijector()
        if len(self.latent_shape) > 1:
            flow = tfb.Chain([tfb.Reshape(self.latent_shape, [self.latent_dim]), flow])
        return tfd.TransformedDistribution(StandardNormal(self.latent_dim)(), flow)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_layers": self.num_layers, "hidden_units": self.hidden_units}
