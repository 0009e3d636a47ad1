"""`Prior`, the base of the priors."""

import math
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.data.examples import Examples
from keras_vae.utils import checks
from keras_vae.utils.arguments import LatentDim, checked
from keras_vae.utils.part import Part

register = keras.saving.register_keras_serializable(package="keras_vae.priors")


class Prior(Part):
    """Base of the priors: a layer without input that returns p(z).

    A subclass implements `distribution`. z is drawn from base noise by the rules of `keras_vae.sampling`. At a
    temperature T below 1 the noise is nearer to its middle (`keras_vae.noise.Tempered`):

        normal:             z = loc + T scale eps
        Laplace, logistic:  z = loc + T scale quantile(u)
        your own rule:      its uniforms u < 1/2 become 1/2 (2 u)^T, those above the mirror image
        mixture:            a component is picked with its weight, whatever T is, and drawn at T
        flow:               z = f(T eps)
        several layers:     each layer is drawn at T, given the layer above as it was drawn

    T = 1 is p(z) itself. T = 0 gives `keras_vae.sampling.center`, and for a mixture the centers of its components.

    Args:
      latent_dim: dimension of z, a positive integer; or its shape, a tuple of positive integers.

    Attributes:
      latent_shape: shape of one z, a tuple.
      latent_dim: number of values in one z.
    """

    # Whether p(z) is made of the model's encoder, which `distribution` is then called with.
    needs_encoder = False
    # The size of the condition that `distribution` is called with, of a prior p(z|c); None for p(z).
    condition_dim: int | None = None
    # Whether p(z) is N(0, I).
    is_standard_normal = False

    @checked
    def __init__(self, latent_dim: LatentDim, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latent_shape = checks.latent_shape(latent_dim)
        self.latent_dim = math.prod(self.latent_shape)

    def distribution(self) -> tfd.Distribution:
        """Returns p(z) with batch shape `()` and event shape `latent_shape`.

        A prior that `needs_encoder` has an argument, the encoder; one with a `condition_dim` has the condition
        `(batch, condition_dim)`, and its batch shape is `(batch,)`.
        """
        raise NotImplementedError

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one draw, `latent_shape`, which `keras.Model.summary` shows."""
        return self.latent_shape

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        super().build(input_shape)

    def __call__(
        self, encoder: keras.layers.Layer | None = None, condition: tf.Tensor | None = None
    ) -> tfd.Distribution:
        """Returns p(z), or p(z|c), made of the model's encoder and of the condition if the prior needs them."""
        # Most priors have no input, and Keras's layer call needs one, so this method replaces it.
        batch_shape = () if self.condition_dim is None else (None,)
        arguments = (encoder,) if self.needs_encoder else ()
        if self.condition_dim is not None:
            arguments = (*arguments, condition)
        distribution = self.distribution(*arguments)
        shapes = distribution.batch_shape, distribution.event_shape
        if not (shapes[0].is_compatible_with(batch_shape) and shapes[1].is_compatible_with(self.latent_shape)):
            # Without this check, densities would be broadcast without an error, and the KL would be wrong.
            expected = "()" if batch_shape == () else "(batch,)"
            raise ValueError(
                f"`distribution` of {type(self).__name__} must have batch shape {expected} and event shape "
                f"{self.latent_shape}, as `tfd.Independent` gives them. Received: {shapes[0]} and {shapes[1]}"
            )
        return distribution

    def adapt(self, examples: Examples) -> None:
        """Starts the prior from training examples, `keras_vae.data.Examples`; most priors do nothing here."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_dim": checks.latent_dim_of(self.latent_shape)}
