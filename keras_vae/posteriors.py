"""Posterior heads: features -> q(z|x)."""

from collections.abc import Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import checks, positive
from keras_vae.arguments import PositiveFloat, PositiveInt, Shape, checked
from keras_vae.flows import CouplingFlow
from keras_vae.hierarchy import Chain, Transition, check_latent_dims
from keras_vae.networks.gated import Activation
from keras_vae.part import Part

tfd = tfp.distributions
register = keras.saving.register_keras_serializable(package="keras_vae.posteriors")


class Posterior(Part):
    """Base of the posterior heads: projects features to parameters and makes a distribution of them.

    A subclass sets `num_parameters` and implements `distribution`.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    @checked
    def __init__(self, latent_dim: PositiveInt, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)

    @property
    def num_parameters(self) -> int:
        """How many numbers the head needs for one z."""
        raise NotImplementedError

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of one draw for each input, `(None, latent_dim)`, which `keras.Model.summary` shows."""
        return (None, self.latent_dim)

    def distribution(self, parameters: tf.Tensor):
        """Returns q(z|x) with event shape `(latent_dim,)` from float32 `parameters` `(batch, num_parameters)`."""
        raise NotImplementedError

    def build(self, input_shape):
        # float32 whatever the trunk computes in: a density in half precision overflows.
        self._flatten = keras.layers.Flatten(data_format="channels_last")
        self._projection = keras.layers.Dense(self.num_parameters, dtype="float32", name="parameters")
        self._projection.build(self._flatten.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, features):
        return self.distribution(self._projection(tf.cast(self._flatten(features), tf.float32)))

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim}


class ScaledPosterior(Posterior):
    """Base of the heads with a scale = softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the scale, positive; keeps log q finite.
    """

    @checked
    def __init__(self, latent_dim: PositiveInt, min_scale: PositiveFloat = 1e-4, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    def divide(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the location `(batch, latent_dim)` and the raw numbers of the scale."""
        # By slices: of a split, TFLite would compute the half that nobody reads.
        return parameters[..., : self.latent_dim], parameters[..., self.latent_dim :]

    def scale(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns positive scales; about 1 where `raw` is 0."""
        return positive.scale(raw, self.min_scale)

    def get_config(self):
        return {**super().get_config(), "min_scale": self.min_scale}


@register
class DiagonalGaussian(ScaledPosterior):
    """q(z|x) = N(loc, diag(scale^2)), with scale = softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the standard deviation, positive; keeps log q finite.
    """

    @property
    def num_parameters(self) -> int:
        return 2 * self.latent_dim

    def distribution(self, parameters):
        loc, raw_scale = self.divide(parameters)
        return tfd.Independent(tfd.Normal(loc, self.scale(raw_scale)), reinterpreted_batch_ndims=1)


@register
class IsotropicGaussian(ScaledPosterior):
    """q(z|x) = N(loc, scale^2 I), one scale for all dimensions.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the standard deviation, positive.
    """

    @property
    def num_parameters(self) -> int:
        return self.latent_dim + 1

    def distribution(self, parameters):
        loc, raw_scale = self.divide(parameters)
        return tfd.Independent(tfd.Normal(loc, self.scale(raw_scale) * tf.ones_like(loc)), reinterpreted_batch_ndims=1)


class _FullNormal(tfd.MultivariateNormalTriL):
    """`tfd.MultivariateNormalTriL` whose standard deviation needs no diagonal of a product."""

    def _stddev(self):
        return tf.linalg.norm(self.scale.to_dense(), axis=-1)


@register
class FullGaussian(ScaledPosterior):
    """q(z|x) = N(loc, L L^T), L lower triangular with diagonal softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the diagonal of L, positive.
    """

    @property
    def num_parameters(self) -> int:
        return self.latent_dim + self.latent_dim * (self.latent_dim + 1) // 2

    def distribution(self, parameters):
        loc, raw = self.divide(parameters)
        raw, eye = tfp.math.fill_triangular(raw), tf.eye(self.latent_dim)
        # By products with the unit matrix: TFLite has no built-in that takes or sets a diagonal.
        diagonal = self.scale(tf.reduce_sum(raw * eye, axis=-1))
        return _FullNormal(loc, raw * (1.0 - eye) + diagonal[..., None] * eye)


@register
class Laplace(ScaledPosterior):
    """q(z|x) = prod_d exp(-|z_d - loc_d| / scale_d) / (2 scale_d), with scale = softplus(.) + min_scale.

    Args:
      latent_dim: dimension of z, a positive integer.
      min_scale: floor of the scale, positive.
    """

    @property
    def num_parameters(self) -> int:
        return 2 * self.latent_dim

    def distribution(self, parameters):
        loc, raw_scale = self.divide(parameters)
        return tfd.Independent(tfd.Laplace(loc, self.scale(raw_scale)), reinterpreted_batch_ndims=1)


@register
class Deterministic(Posterior):
    """q(z|x) = all mass at one code: the plain autoencoder, with the objective `Reconstruction`.

    It has no density, so its KL from a prior is infinite and the ELBO says nothing of it.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    @property
    def num_parameters(self) -> int:
        return self.latent_dim

    def distribution(self, parameters):
        return tfd.Independent(tfd.Deterministic(parameters), reinterpreted_batch_ndims=1)


@register
class Flow(DiagonalGaussian):
    """q(z|x) = a diagonal Gaussian pushed through affine coupling layers that see the features of x.

        z = f(loc + scale * eps; features),  log q(z|x) = log N(f^-1(z)) - log |det df|

    Rezende and Mohamed, "Variational inference with normalizing flows" (2015), with the coupling layers of Dinh et al.,
    "Density estimation using Real NVP" (2017). It starts as the diagonal Gaussian itself.

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
        **kwargs,
    ):
        super().__init__(latent_dim, min_scale, **kwargs)
        self.num_layers = num_layers
        self.hidden_units = hidden_units
        self._flow = CouplingFlow(latent_dim, num_layers, hidden_units, name="flow")

    def build(self, input_shape):
        super().build(input_shape)
        self._flow.build(self._flatten.compute_output_shape(input_shape))

    def call(self, features):
        features = tf.cast(self._flatten(features), tf.float32)
        base = self.distribution(self._projection(features))
        return tfd.TransformedDistribution(base, self._flow.bijector(features))

    def get_config(self):
        return {**super().get_config(), "num_layers": self.num_layers, "hidden_units": self.hidden_units}


@register
class Hierarchical(ScaledPosterior):
    """q(z|x) = q(z_1|x) q(z_2|z_1) ... q(z_L|z_(L-1)), each a diagonal Gaussian: several stochastic layers.

    z is the layers side by side, z_1 first. Burda, Grosse and Salakhutdinov (2016), section 5.1, with
    `keras_vae.priors.Hierarchical` and `Decoder(..., latent_dim=latent_dims[0])`.

    Args:
      latent_dims: dimensions of z_1, ..., z_L, at least two positive integers.
      min_scale: floor of the standard deviations, positive.
      hidden_units: widths of the network from each layer to the next.
      activation: of these networks.
    """

    @checked
    def __init__(
        self,
        latent_dims: Sequence[PositiveInt],
        min_scale: PositiveFloat = 1e-4,
        hidden_units: Shape = (100, 100),
        activation: Activation = "tanh",
        **kwargs,
    ):
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

    def build(self, input_shape):
        self._first.build(input_shape)
        for transition, size in zip(self._transitions, self.latent_dims, strict=False):
            transition.build((None, size))
        self.built = True

    def call(self, features):
        return Chain(self._first(features), self._transitions, self.latent_dims)

    def get_config(self):
        config = super().get_config()
        del config["latent_dim"]
        own = {"latent_dims": list(self.latent_dims), "hidden_units": list(self.hidden_units)}
        return {**config, **own, "activation": self.activation}
