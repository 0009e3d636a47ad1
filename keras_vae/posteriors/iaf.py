"""A posterior made by an inverse autoregressive flow."""

from typing import Any

from tensorflow_probability import bijectors as tfb

from keras_vae.distributions.autoregressive_flow import AutoregressiveFlow
from keras_vae.posteriors.flow import _FlowPosterior
from keras_vae.posteriors.head import register
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, checked


@register
class IAF(_FlowPosterior):
    """q(z|x) is a diagonal Gaussian pushed through inverse autoregressive layers that see the features of x.

        y_i = (y'_i - t_i(y'_<i; features)) exp(-s_i(y'_<i; features))    (one layer, y' to y)
        log q(z|x) = log N(y_0; loc, scale^2) + the sum of s over all values and layers

    Kingma et al., "Improving variational inference with inverse autoregressive flow" (2016), section 3. Shifts t and
    log scales s of a layer are one `keras_vae.networks.MADE` with SiLU units, and the log scales lie in (-2, 2); the
    order of the values is reversed from layer to layer. A draw and its density take one pass of each network together.
    The density at a code that was not drawn from this distribution takes one pass for each value of z. A new flow is
    the identity, so that it starts as the Gaussian.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the standard deviation of the base, positive.
      num_layers: number of autoregressive layers, a positive integer.
      hidden_units: width of the network in each layer.
      hidden_layers: number of hidden layers of that network, a positive integer.
    """

    @checked
    def __init__(
        self,
        latent_dim: PositiveInt,
        min_scale: PositiveFloat = 1e-4,
        num_layers: PositiveInt = 4,
        hidden_units: PositiveInt = 64,
        hidden_layers: PositiveInt = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, min_scale, **kwargs)
        self.num_layers = num_layers
        self.hidden_units = hidden_units
        self.hidden_layers = hidden_layers
        self._flow = AutoregressiveFlow(latent_dim, num_layers, hidden_units, hidden_layers, name="flow")

    def _bijector(self, context):
        return tfb.Invert(super()._bijector(context))

    def get_config(self) -> dict[str, Any]:
        own = {"num_layers": self.num_layers, "hidden_units": self.hidden_units, "hidden_layers": self.hidden_layers}
        return {**super().get_config(), **own}
