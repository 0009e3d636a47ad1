"""A posterior made by a normalizing flow."""

from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.coupling_flow import CouplingFlow
from keras_vae.posteriors.gaussian import DiagonalGaussian
from keras_vae.posteriors.head import register
from keras_vae.utils.arguments import PositiveFloat, PositiveInt, checked


class _FlowPosterior(DiagonalGaussian):
    """Base of the flow posteriors: a diagonal Gaussian pushed through a map that sees the features of x.

    A subclass sets `_flow`, a layer that is built with the shape of the features, and may override `_bijector`.
    """

    # The networks see the features of their own example.
    has_density_at_other_codes = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self._flow.build(self._flatten.compute_output_shape(input_shape))

    def call(self, features: tf.Tensor) -> tfd.Distribution:
        base = self.distribution(self.project(features))
        context = tf.cast(self._flatten(features), tf.float32)
        return tfd.TransformedDistribution(base, self._bijector(context))

    def _bijector(self, context):
        return self._flow.bijector(context)


@register
class Flow(_FlowPosterior):
    """q(z|x) is a diagonal Gaussian pushed through affine coupling layers that see the features of x.

        z = f(loc + scale * eps; features),  log q(z|x) = log N(f^-1(z)) - log |det df|

    Rezende and Mohamed, "Variational inference with normalizing flows" (2015), with the coupling layers of Dinh et al.,
    "Density estimation using Real NVP" (2017). New coupling layers are the identity, so that it starts as the Gaussian.

    Args:
      latent_dim: dimension of z, at least 2.
      min_scale: floor of the standard deviation of the base, positive.
      num_layers: number of coupling layers, a positive integer.
      hidden_units: width of the network in each coupling layer.
    """

    @checked
    def __init__(
        self,
        latent_dim: PositiveInt,
        min_scale: PositiveFloat = 1e-4,
        num_layers: PositiveInt = 4,
        hidden_units: PositiveInt = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, min_scale, **kwargs)
        self.num_layers = num_layers
        self.hidden_units = hidden_units
        self._flow = CouplingFlow(latent_dim, num_layers, hidden_units, name="flow")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_layers": self.num_layers, "hidden_units": self.hidden_units}
