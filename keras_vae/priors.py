"""Priors: p(z)."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import checks, positive
from keras_vae.arguments import ArrayLike, PositiveFloat, PositiveInt, Shape, checked
from keras_vae.flows import CouplingFlow
from keras_vae.hierarchy import Chain, Transition, check_latent_dims
from keras_vae.mixtures import MixtureOfNormals, is_diagonal_normal
from keras_vae.networks.gated import Activation
from keras_vae.part import Part

tfd = tfp.distributions
register = keras.saving.register_keras_serializable(package="keras_vae.priors")


class Prior(Part):
    """Base of the priors: a layer without input that returns p(z).

    A subclass implements `distribution`. It is drawn from base noise, by the rules of `keras_vae.sampling`, and at a
    temperature T from noise nearer to its middle (`keras_vae.noise.Tempered`):

        normal:             z = loc + T scale eps
        Laplace, logistic:  z = loc + T scale quantile(u)
        a rule of one's own of uniforms:  the quantile at 1/2 (2 u)^T for u < 1/2, and its mirror image above
        mixture:            a component picked with its weight, whatever T is, drawn at T
        flow:               z = f(T eps), its base at T
        several layers:     each layer at T, given the one above as drawn

    T = 1 is p(z) itself. T = 0 is `keras_vae.sampling.center`; of a mixture, the centers of its components.

    Args:
      latent_dim: dimension of z, a positive integer.
    """

    needs_encoder = False

    @checked
    def __init__(self, latent_dim: PositiveInt, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)

    def distribution(self):
        """Returns p(z) with batch shape `()` and event shape `(latent_dim,)`.

        Of a prior that `needs_encoder` it has an argument, the encoder.
        """
        raise NotImplementedError

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one draw, `(latent_dim,)`, which `keras.Model.summary` shows."""
        return (self.latent_dim,)

    def build(self, input_shape=None):
        super().build(input_shape)

    def __call__(self, encoder=None):
        """Returns p(z); `encoder` is the model's, for the priors that are made of it."""
        # Not through Keras's layer call, which needs an input: most priors have none.
        distribution = self.distribution(encoder) if self.needs_encoder else self.distribution()
        shapes = distribution.batch_shape, distribution.event_shape
        if not (shapes[0].is_compatible_with(()) and shapes[1].is_compatible_with((self.latent_dim,))):
            # Densities would be broadcast, and the KL be that of something else.
            raise ValueError(
                f"`distribution` of {type(self).__name__} must have batch shape () and event shape "
                f"({self.latent_dim},), as `tfd.Independent` gives them. Received: {shapes[0]} and {shapes[1]}"
            )
        return distribution

    def adapt(self, images) -> None:
        """Starts the prior from training examples, `keras_vae.data.Images`, if it has use for them."""

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim}


@register
class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    def distribution(self):
        zeros = tf.zeros((self.latent_dim,))
        return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), reinterpreted_batch_ndims=1)


@register
class MixtureOfGaussians(Prior):
    """p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)), all learned.

    Args:
      latent_dim: dimension of z, a positive integer.
      num_components: number of components, a positive integer.
      min_scale: floor of the standard deviations, positive.
    """

    @checked
    def __init__(
        self, latent_dim: PositiveInt, num_components: PositiveInt = 10, min_scale: PositiveFloat = 1e-3, **kwargs
    ):
        super().__init__(latent_dim, **kwargs)
        self.num_components = checks.positive_int("num_components", num_components)
        self.min_scale = checks.positive_float("min_scale", min_scale)

    def build(self, input_shape=None):
        shape = (self.num_components, self.latent_dim)
        self.logits = self.add_weight(name="logits", shape=shape[:1], initializer="zeros", dtype="float32")
        self.loc = self.add_weight(
            name="loc", shape=shape, initializer=keras.initializers.RandomNormal(stddev=1.0), dtype="float32"
        )
        self.raw_scale = self.add_weight(name="raw_scale", shape=shape, initializer="zeros", dtype="float32")
        super().build(input_shape)

    def distribution(self):
        scale = positive.scale(self.raw_scale, self.min_scale)
        components = tfd.Independent(tfd.Normal(tf.convert_to_tensor(self.loc), scale), reinterpreted_batch_ndims=1)
        return MixtureOfNormals(tfd.Categorical(logits=tf.convert_to_tensor(self.logits)), components)

    @checked
    def set_mixture(self, weights: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> None:
        """Sets weights `(components,)` that sum to 1, means and standard deviations `(components, latent_dim)`."""
        self.logits.assign(np.log(weights))
        self.loc.assign(loc)
        self.raw_scale.assign(positive.raw_of_scale(scale, self.min_scale))

    def get_config(self):
        return {**super().get_config(), "num_components": self.num_components, "min_scale": self.min_scale}


@register
class VampPrior(Prior):
    """p(z) = 1/K sum_k q(z | u_k): the mean posterior of K learned pseudo-inputs.

    Tomczak and Welling, "VAE with a VampPrior" (2018), equation 9. The pseudo-inputs start at training examples
    (`VAE.adapt`), and are kept within [low, high].

    Args:
      latent_dim: dimension of z, a positive integer.
      event_shape: shape of one x.
      num_components: K, a positive integer.
      low: smallest value of a pseudo-input.
      high: largest value of a pseudo-input.
    """

    needs_encoder = True

    @checked
    def __init__(
        self,
        latent_dim: PositiveInt,
        event_shape: Shape,
        num_components: PositiveInt = 100,
        low: float = 0.0,
        high: float = 1.0,
        **kwargs,
    ):
        super().__init__(latent_dim, **kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)
        self.num_components = checks.positive_int("num_components", num_components)
        self.low, self.high = float(low), float(high)
        if self.low >= self.high:
            raise ValueError(f"`low` must be below `high`. Received: low={low!r} and high={high!r}")

    def build(self, input_shape=None):
        self.pseudo_inputs = self.add_weight(
            name="pseudo_inputs",
            shape=(self.num_components, *self.event_shape),
            initializer=keras.initializers.RandomUniform(self.low, self.high),
            dtype="float32",
        )
        super().build(input_shape)

    def adapt(self, images):
        # Spread over the data; repeated if there are fewer examples than components.
        index = np.arange(self.num_components) * max(1, len(images) // self.num_components) % len(images)
        self.pseudo_inputs.assign(images[index].numpy())

    def distribution(self, encoder=None):
        """Returns p(z), made of `encoder`, the model's.

        Raises:
          ValueError: without an encoder.
        """
        if encoder is None:
            raise ValueError(
                "`encoder` must be given, for example `vae.prior(vae.encoder)`: VampPrior is made of the posteriors at "
                "its pseudo-inputs. Received: encoder=None"
            )
        components = encoder(tf.clip_by_value(tf.convert_to_tensor(self.pseudo_inputs), self.low, self.high))
        mixture = MixtureOfNormals if is_diagonal_normal(components) else tfd.MixtureSameFamily
        return mixture(tfd.Categorical(logits=tf.zeros(self.num_components)), components)

    def get_config(self):
        own = {"event_shape": list(self.event_shape), "num_components": self.num_components}
        return {**super().get_config(), **own, "low": self.low, "high": self.high}


@register
class Flow(Prior):
    """p(z) = N(0, I) pushed through learned affine coupling layers (Dinh et al., 2017).

        log p(z) = log N(f^-1(z); 0, I) - log |det df|

    Args:
      latent_dim: dimension of z, at least 2.
      num_layers: number of coupling layers, a positive integer.
      hidden_units: width of the network in each coupling layer.
    """

    @checked
    def __init__(self, latent_dim: PositiveInt, num_layers: PositiveInt = 6, hidden_units: PositiveInt = 64, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.num_layers = num_layers
        self.hidden_units = hidden_units
        self._flow = CouplingFlow(latent_dim, num_layers, hidden_units, name="flow")

    def build(self, input_shape=None):
        self._flow.build(None)
        super().build(input_shape)

    def distribution(self):
        return tfd.TransformedDistribution(StandardNormal(self.latent_dim)(), self._flow.bijector())

    def get_config(self):
        return {**super().get_config(), "num_layers": self.num_layers, "hidden_units": self.hidden_units}


@register
class Hierarchical(Prior):
    """p(z) = p(z_L) p(z_(L-1)|z_L) ... p(z_1|z_2): several stochastic layers, all but the top one learned Gaussians.

    z is the layers side by side, z_1 first, as `keras_vae.posteriors.Hierarchical` has them; the decoder sees z_1.
    Burda, Grosse and Salakhutdinov (2016), equation 1 and section 5.1.

    Args:
      latent_dims: dimensions of z_1, ..., z_L, at least two positive integers.
      top: p(z_L), a `Prior` of dimension `latent_dims[-1]` not made of the encoder; None is the standard normal.
      hidden_units: widths of the network from each layer to the one below.
      activation: of these networks.
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
        **kwargs,
    ):
        latent_dims = check_latent_dims(latent_dims)
        super().__init__(sum(latent_dims), **kwargs)
        self.latent_dims = latent_dims
        self.top = StandardNormal(self.latent_dims[-1]) if top is None else top
        if self.top.latent_dim != self.latent_dims[-1] or self.top.needs_encoder:
            raise ValueError(
                f"`top` must be a prior of dimension {self.latent_dims[-1]}, the last of `latent_dims`, that is not "
                f"made of the encoder. Received: {type(self.top).__name__} of dimension {self.top.latent_dim}"
            )
        self.hidden_units = checks.shape("hidden_units", hidden_units)
        self.activation = activation
        self.min_scale = checks.positive_float("min_scale", min_scale)
        self._transitions = [
            Transition(size, self.hidden_units, activation, self.min_scale, name=f"transition_{i}")
            for i, size in enumerate(self.latent_dims[-2::-1])
        ]

    def build(self, input_shape=None):
        if not self.top.built:
            self.top.build(None)
        for transition, size in zip(self._transitions, self.latent_dims[:0:-1], strict=True):
            transition.build((None, size))
        super().build(input_shape)

    def distribution(self):
        return Chain(self.top(), self._transitions, self.latent_dims[::-1], from_last=True)

    def get_config(self):
        config = super().get_config()
        del config["latent_dim"]
        own = {"latent_dims": list(self.latent_dims), "hidden_units": list(self.hidden_units)}
        top = keras.saving.serialize_keras_object(self.top)
        return {**config, **own, "top": top, "activation": self.activation, "min_scale": self.min_scale}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "top": keras.saving.deserialize_keras_object(config["top"])})
