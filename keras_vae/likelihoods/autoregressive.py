"""A likelihood of values that depend on each other: p(x|z) = prod_i p(x_i | x_<i, z)."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.autoregressive import _Autoregressive, draw_in_turn
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import draw
from keras_vae.likelihoods.head import Likelihood, register
from keras_vae.networks.causal import CausalNetwork, check_causal
from keras_vae.utils.arguments import checked


@register
class Autoregressive(Likelihood):
    """p(x|z) = prod_i p(x_i | x_<i, z): a factorized likelihood whose parameters come from a causal network.

    The network sees x and the features of z, and its outputs at value i depend on the values before it alone. Then
    log p(x|z) takes one pass, and a draw is a loop over the values of x. The mean has no closed form. In its place
    stand the means of the conditionals at a draw, as in PixelVAE (Gulrajani et al., 2016). `sample(seed,
    output="mean")` draws with the noise of the seed; `reconstruct`, `decode(z).mean()` and all that is made of them
    have one fixed noise.

    x goes into the network scaled to [-1, 1] if the range of the likelihood is [0, 1], and as it is otherwise.

    Args:
      head: a factorized likelihood, for example `Bernoulli((28, 28, 1))`.
      network: `keras_vae.networks.CausalNetwork`, for example `CausalConv`.

    Raises:
      ValueError: if the network looks ahead, or the head has no sampling rule, is autoregressive itself, or belongs to
        another model.
    """

    is_factorized = False

    @checked
    def __init__(self, head: Likelihood, network: CausalNetwork, **kwargs: Any) -> None:
        super().__init__(head.event_shape, **kwargs)
        if not head.is_factorized:
            raise ValueError(f"`head` must be a factorized likelihood. Received: {type(head).__name__}")
        if head.built:
            raise ValueError(
                "`head` must be a new likelihood, because its weights depend on the network. Received: "
                f"{type(head).__name__} of another model"
            )
        self.head, self.network = head, network
        for name in _OF_HEAD:
            setattr(self, name, getattr(head, name))
        head.projects_each_value = True
        # Without a graph each value would be some hundred eager operations. From the second number of examples on, all
        # numbers of them share a graph.
        self._draw = tf.function(
            lambda features, *noise: draw_in_turn(_Factors(self, features), *noise),
            autograph=False,
            reduce_retracing=True,
        )

    @property
    def num_parameters(self) -> int:
        return self.head.num_parameters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_fits()
        x = keras.KerasTensor((None, *self.event_shape), dtype=self.event_dtype)
        outputs = self.network(x, keras.KerasTensor(input_shape))
        self.head.build(outputs.shape)
        with tf.init_scope():
            features_shape: Any = tuple(input_shape[1:])
            check_causal(self.network, self.event_shape, features_shape, self._num_categories())
            try:
                draw(self.head.distribution(tf.zeros((1, *self.event_shape, self.num_parameters))), Noise(0))
            except TypeError as error:
                raise ValueError(f"`head` must have a distribution that can be drawn: {error}") from error
        keras.layers.Layer.build(self, input_shape)

    def _check_fits(self):
        """Raises `ValueError` if the network does not take the x of the head."""
        name, head = type(self.network).__name__, type(self.head).__name__
        if self.network.x_dtype != self.event_dtype:
            raise ValueError(
                f"`network` must take x of {self.event_dtype}, that of {head}. Received: {name}, which takes "
                f"{self.network.x_dtype}"
            )
        given, expected = self.network.num_categories, self._num_categories()
        if given is not None and given != expected:
            raise ValueError(
                f"`network` must be for the {expected} values that x of {head} may have. Received: {name}, which is "
                f"for {given}"
            )

    def _num_categories(self):
        return int(self.support[1]) + 1 if self.event_dtype == "int32" and self.support[1] < 2**31 else None

    def call(self, features: tf.Tensor, training: bool | None = None) -> tfd.Distribution:
        return _Autoregressive(_Factors(self, features, training))

    def initial_parameters(self, mean: np.ndarray) -> np.ndarray:
        return self.head.initial_parameters(mean)

    def adapt(self, *args: np.ndarray) -> None:
        self.head.adapt(*args)

    def closed_form(self, gradient_of: Callable) -> list[tuple]:
        return self.head.closed_form(gradient_of)

    def validate(self, x: np.ndarray) -> None:
        self.head.validate(x)

    def in_support(self, x: tf.Tensor) -> tf.Tensor:
        return self.head.in_support(x)

    def trimmed(self, x: tf.Tensor) -> tf.Tensor:
        return self.head.trimmed(x)

    def lengths(self, x: np.ndarray) -> np.ndarray:
        return self.head.lengths(x)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        head = serialize(self.head)
        # Keras would build the head before it has been told that it projects each value.
        head.pop("build_config", None)
        return {**keras.layers.Layer.get_config(self), "head": head, "network": serialize(self.network)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{**config, **{name: deserialize(config[name]) for name in ("head", "network")}})


# What a model knows of a likelihood is known of its head.
_OF_HEAD = (
    "event_dtype",
    "has_mean",
    "has_lengths",
    "tokenizer",
    "is_density",
    "support",
    "mean_range",
    "num_levels",
    "validates_each_value",
    "learns_scale",
)


class _Factors:
    """The conditionals of a likelihood for the features of some z, see `keras_vae.distributions.autoregressive`."""

    def __init__(self, likelihood: Autoregressive, features: tf.Tensor, training: bool | None = False) -> None:
        self._likelihood, self._features, self._training = likelihood, features, training
        self._head, self._network = likelihood.head, likelihood.network
        self.batch = keras.ops.shape(features)[0]
        self.event_shape = likelihood.event_shape
        self.dtype = tf.as_dtype(likelihood.event_dtype)
        self.has_mean, self.has_end = likelihood.has_mean, likelihood.has_lengths

    @property
    def order(self) -> np.ndarray:
        return self._network.order

    def conditional(self, x: tf.Tensor) -> tfd.Distribution:
        return self._head(self._network(self._centered(x), self._features, training=self._training))

    def template(self) -> tfd.Distribution:
        return self._head.distribution(tf.zeros((self.batch, *self.event_shape, self._head.num_parameters)))

    def drawn(self, noise: Sequence[tf.Tensor], temperature: Any, top_p: Any) -> tf.Tensor:
        return self._head.complete(self._likelihood._draw(self._features, noise, temperature, top_p))

    def drawing(self) -> tuple[Any, Callable]:
        state, turn = self._network.drawing(self._features)
        ones = [1] * len(self.event_shape)

        numbers = tf.constant(np.maximum(self.order, 0), tf.int32)

        def next_turn(state, number, draw_values):
            def draw(step, outputs):
                parameters = self._head.project_values(outputs, numbers[number, step])
                conditional = self._head.distribution(tf.reshape(parameters, (-1, *ones, parameters.shape[-1])))
                return self._centered(tf.reshape(draw_values(step, conditional), (-1,)))

            return turn(state, number, draw)

        return state, next_turn

    def _centered(self, x):
        return 2.0 * x - 1.0 if self._head.mean_range == (0.0, 1.0) else x
