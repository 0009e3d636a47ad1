"""`Likelihood`, the base of the likelihood heads."""

import math
from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveInt, Shape, checked
from keras_vae.utils.part import Part

register = keras.saving.register_keras_serializable(package="keras_vae.likelihoods")


def invert(mean_of: Callable[[np.ndarray], np.ndarray], mean: np.ndarray, bound: float) -> np.ndarray:
    """Returns the parameter at which the increasing function `mean_of` is `mean`, by bisection on [-bound, bound]."""
    low, high = np.full(mean.shape, -bound), np.full(mean.shape, bound)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = mean_of(middle) < mean
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return middle


def inner_mean(mean: np.ndarray) -> np.ndarray:
    """Returns a mean in [0, 1] squeezed into [0.01, 0.99].

    A pixel that is 0 in all examples would otherwise start with an infinite logit, where its gradient is 0.
    """
    return 0.01 + 0.98 * np.clip(np.asarray(mean, np.float64), 0.0, 1.0)


class Likelihood(Part):
    """Base of the likelihood heads: projects features to parameters and makes a distribution of them.

    Feature maps `(batch, height, width, filters)` with the height and width of x are projected by a convolution. All
    other features are flattened and projected by a dense layer. A subclass implements `distribution` and
    `initial_parameters`, and sets `support`, the range of x, and `mean_range`, the range of the mean of p(x|z), which
    is None if it is unbounded. A likelihood of categories, whose numbers are names, sets `event_dtype` to "int32", and
    nothing is added to such x or subtracted from it. Counts stay float32.

    Args:
      event_shape: shape of one x, for example `(28, 28, 1)`.
      kernel_size: height and width of the kernel of the convolution.
    """

    # The type in which `log_prob` takes x, "float32" or "int32". A model casts x to it wherever x enters.
    event_dtype: Literal["float32", "int32"] = "float32"
    # Whether p(x|z) is a density rather than a probability.
    is_density = True
    support = (-math.inf, math.inf)
    mean_range: tuple[float, float] | None = None
    # How many values a number of x may have, where they are equally spaced from 0 to 1; None for any other support.
    num_levels: int | None = None
    # Whether `validate` must see every value, or only the smallest and the largest.
    validates_each_value = False
    # Whether `adapt` also takes the standard deviation of the data, at which a learned scale starts.
    learns_scale = False
    # Whether the parameters are logits of values that can be counted. Their projection computes in the precision of the
    # layer, because a log likelihood hardly changes with the last digits of a logit; that of others is float32. A
    # subclass with further parameters, such as a scale, sets this to False.
    has_logits = False
    # Whether the values of x are independent given z.
    is_factorized = True
    # Whether p(x|z) has a mean. Without one, its most probable value stands in the place of a mean.
    has_mean = True
    # What turns texts into x, a `keras_vae.data.Tokenizer`; None if x are no texts.
    tokenizer: Any = None
    # Whether examples have a length of their own, so that `trimmed` leaves values out.
    has_lengths = False
    # Whether features are those of a causal network, `(batch, *event_shape, width)`. All values then share one
    # projection, and each has a bias of its own if `biases_each_value`.
    projects_each_value = False
    biases_each_value = True

    @checked
    def __init__(self, event_shape: Shape, *, kernel_size: PositiveInt = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_shape = checks.shape("event_shape", event_shape)
        self.kernel_size = checks.positive_int("kernel_size", kernel_size)

    @property
    def num_parameters(self) -> int:
        """Number of parameters of the distribution of one value of x."""
        return 1

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of one draw for each input, `(None, *event_shape)`, which `keras.Model.summary` shows."""
        return (None, *self.event_shape)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns p(x|z) with event shape `event_shape`.

        Args:
          parameters: float32 `(batch, *event_shape, num_parameters)`.
        """
        raise NotImplementedError

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        """Returns parameters `(*event_shape, num_parameters)` at which p(x|z) has about the mean `mean`."""
        raise NotImplementedError

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        options = {"dtype": self.dtype_policy if self.has_logits else "float32", "name": "parameters"}
        has_places = len(input_shape) == 4 and tuple(input_shape[1:3]) == self.event_shape[:2]
        self._is_map = has_places and not self.projects_each_value
        if self.projects_each_value:
            self._projection = keras.layers.Dense(self.num_parameters, use_bias=False, **options)
            self._projection.build((None, input_shape[-1]))
            values = self.event_shape if self.biases_each_value else [1] * len(self.event_shape)
            shape = (*values, self.num_parameters)
            self._bias = self.add_weight(name="bias", shape=shape, initializer="zeros", dtype="float32", autocast=False)
        elif self._is_map:
            filters = self.event_shape[-1] * self.num_parameters
            self._projection = keras.layers.Conv2D(
                filters, self.kernel_size, padding="same", data_format="channels_last", **options
            )
            self._projection.build(input_shape)
        else:
            self._flatten = keras.layers.Flatten(data_format="channels_last")
            self._projection = keras.layers.Dense(math.prod(self.event_shape) * self.num_parameters, **options)
            self._projection.build(self._flatten.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tfd.Distribution:
        if self.projects_each_value:
            return self.distribution(self._projected(features) + self._bias)
        if not self._is_map:
            features = self._flatten(features)
        return self.distribution(tf.reshape(self._projected(features), (-1, *self.event_shape, self.num_parameters)))

    def _projected(self, features):
        # Densities are computed in float32 under mixed precision too, because in half precision they overflow.
        return tf.cast(self._projection(tf.cast(features, self._projection.compute_dtype)), tf.float32)

    def project_values(self, features: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Returns the parameters `(batch * values, num_parameters)` of some values of each x.

        Args:
          features: outputs of a causal network at these values, `(batch * values, width)`, those of one x side by side.
          numbers: numbers of the values in the order of the array of an x, int32 `(values,)`.
        """
        bias = tf.reshape(self._bias, (-1, self.num_parameters))
        bias = tf.gather(bias, numbers if self.biases_each_value else tf.zeros_like(numbers))
        parameters = tf.reshape(self._projected(features), (-1, *bias.shape)) + bias
        return tf.reshape(parameters, (-1, self.num_parameters))

    def adapt(self, mean: np.ndarray) -> None:
        """Sets the output bias so that training starts from the mean of the data.

        Args:
          mean: mean of the training set, shape `event_shape`. A convolutional projection uses its mean per channel.
        """
        self._assign_bias(self.initial_parameters(np.asarray(mean, np.float32).reshape(self.event_shape)))

    def _assign_bias(self, parameters):
        if self.projects_each_value:
            self._bias.assign(parameters)
            return
        bias = parameters.mean(axis=(0, 1)) if self._is_map else parameters
        self._projection.bias.assign(bias.reshape(-1))

    def closed_form(self, gradient_of: Callable) -> list[tuple]:
        """Returns pairs (variable, new value) that a training step assigns after the optimizer's update.

        A subclass overrides this if a parameter has a best value in closed form.

        Args:
          gradient_of: function of a variable that returns the gradient of the loss with respect to it, or None if the
            variable is not trained.
        """
        return []

    def complete(self, x: tf.Tensor) -> tf.Tensor:
        """Returns a draw whose values were drawn one after the other as a draw of the whole x."""
        return x

    def trimmed(self, x: tf.Tensor) -> tf.Tensor:
        """Returns a batch of x, in a training step or an evaluation, without values at its end that cost nothing."""
        return x

    def lengths(self, x: np.ndarray) -> np.ndarray:
        """Returns how many places `trimmed` would leave of each x by itself, `(count,)`."""
        return np.full(len(x), x.shape[1])

    def validate(self, x: np.ndarray) -> None:
        """Raises `ValueError` if `x` holds a value that is not finite or lies outside `support`."""
        low, high = float(np.min(x)), float(np.max(x))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("`x` must be finite. Received: x with NaN or infinite values")
        if low < self.support[0] or high > self.support[1]:
            raise ValueError(
                f"`x` must lie in [{self.support[0]:g}, {self.support[1]:g}], the support of the likelihood "
                f"{type(self).__name__}. Received: x with values from {low:g} to {high:g}. "
                "Rescale the data (8-bit images: divide by 255) or choose another likelihood, for example Gaussian "
                "(--likelihood=gaussian --likelihood_scale=shared)"
            )

    def in_support(self, x: tf.Tensor) -> tf.Tensor:
        """Returns whether every value of x is finite and in `support`, a scalar bool computed in the graph.

        A subclass that overrides `validate` and not this method gets False here, upon which `validate` is asked.
        """
        if type(self).validate is not Likelihood.validate:
            return tf.constant(False)
        return self._in_range(x)

    def _in_range(self, x):
        low, high = (tf.cast(reduce(x), tf.float32) for reduce in (tf.reduce_min, tf.reduce_max))
        # Both comparisons are False for NaN.
        return (low >= max(self.support[0], tf.float32.min)) & (high <= min(self.support[1], tf.float32.max))

    def _independent(self, distribution):
        return tfd.Independent(distribution, len(self.event_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "event_shape": list(self.event_shape), "kernel_size": self.kernel_size}
