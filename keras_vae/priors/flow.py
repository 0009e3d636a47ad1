"""Priors made by normalizing flows."""

from typing import Any

from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.autoregressive_flow import AutoregressiveFlow
from keras_vae.distributions.coupling_flow import CouplingFlow, DeepCouplingFlow
from keras_vae.priors.normal import StandardNormal
from keras_vae.priors.prior import Prior, register
from keras_vae.utils.arguments import LatentDim, PositiveInt, checked


@register
class Flow(Prior):
    """p(z) is N(0, I) pushed through learned affine coupling layers (Dinh et al., 2017).

        log p(z) = log N(f^-1(z); 0, I) - log |det df|

    With one hidden layer, the two halves of z take turns from layer to layer, and the networks have tanh units. With
    two or more, the flow is deep: each pair of layers has the halves of a fixed random permutation, and the networks
    are residual with SiLU units, h + silu(W h + b). A new flow is the identity, so that p(z) starts as N(0, I).

    Args:
      latent_dim: dimension of z, at least 2; or its shape, a tuple of positive integers.
      num_layers: number of coupling layers, a positive integer.
      hidden_units: width of the network in each coupling layer.
      hidden_layers: number of hidden layers of that network, a positive integer.
    """

    @checked
    def __init__(
        self,
        latent_dim: LatentDim,
        num_layers: PositiveInt = 6,
        hidden_units: PositiveInt = 64,
        hidden_layers: PositiveInt = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        self.num_layers = num_layers
        self.hidden_units = hidden_units
        self.hidden_layers = hidden_layers
        self._flow = self._make_flow()

    def _make_flow(self):
        if self.hidden_layers == 1:
            return CouplingFlow(self.latent_dim, self.num_layers, self.hidden_units, name="flow")
        return DeepCouplingFlow(self.latent_dim, self.num_layers, self.hidden_units, self.hidden_layers, name="flow")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self._flow.build(None)
        super().build(input_shape)

    def distribution(self) -> tfd.Distribution:
        flow = self._flow.bijector()
        if len(self.latent_shape) > 1:
            flow = tfb.Chain([tfb.Reshape(self.latent_shape, [self.latent_dim]), flow])
        return tfd.TransformedDistribution(StandardNormal(self.latent_dim)(), flow)

    def get_config(self) -> dict[str, Any]:
        own = {"num_layers": self.num_layers, "hidden_units": self.hidden_units, "hidden_layers": self.hidden_layers}
        return {**super().get_config(), **own}


@register
class MAF(Flow):
    """p(z) is N(0, I) pushed through masked autoregressive layers: a masked autoregressive flow.

        z_i = u_i exp(s_i(z_<i)) + t_i(z_<i),  log p(z) = log N(u; 0, I) - sum_i s_i(z_<i)    (one layer)

    Papamakarios, Pavlakou and Murray, "Masked autoregressive flow for density estimation" (2017), equations 3 to 6.
    Shifts and log scales of a layer are one `keras_vae.networks.MADE` with SiLU units, and the log scales lie in
    (-2, 2); the order of the values is reversed from layer to layer. The density takes one pass of each network, a draw
    one pass for each value of z. A new flow is the identity, so that p(z) starts as N(0, I).

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.
      num_layers: number of autoregressive layers, a positive integer.
      hidden_units: width of the network in each layer.
      hidden_layers: number of hidden layers of that network, a positive integer.
    """

    def _make_flow(self):
        size = self.latent_dim, self.num_layers, self.hidden_units, self.hidden_layers
        return AutoregressiveFlow(*size, name="flow")
