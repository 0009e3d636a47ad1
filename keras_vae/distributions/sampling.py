"""Reparameterized sampling: `draw(distribution, noise)` is a deterministic function of parameters and base noise.

This is the one idea the package is built on. Training, the SavedModel and the phone all sample with the rules below and
differ only in who supplies the noise. At a temperature below 1 that noise is nearer to its middle
(`keras_vae.noise.Tempered`). A rule for a new distribution is one function:

    @draw.register(tfd.Gumbel)
    def _(distribution, noise, sample_shape=()):
        u = noise.uniform(full_shape(distribution, sample_shape))
        return distribution.loc - distribution.scale * tf.math.log(-tf.math.log(u))
"""

import functools
from collections.abc import Sequence

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.distributions.noise import NoiseSource


@functools.singledispatch
def draw(distribution: tfd.Distribution, noise: NoiseSource, sample_shape: Sequence[int] = ()) -> tf.Tensor:
    """Draws a sample from `distribution` by transforming base noise.

    Args:
      distribution: a `tfd` distribution whose class (or a base class of it) has a rule.
      noise: the source, for example `keras_vae.noise.Noise`.
      sample_shape: tuple of leading dimensions to add.

    Returns:
      A tensor of shape `sample_shape + batch_shape + event_shape`.

    Raises:
      TypeError: if no rule is known, so the distribution cannot be sampled on a device either.
    """
    raise TypeError(
        f"`distribution` must have a sampling rule. Received: {type(distribution).__name__}. "
        "Write it as a function of base noise and add it with `keras_vae.sampling.draw.register`."
    )


@functools.singledispatch
def mean(distribution: tfd.Distribution, noise: NoiseSource) -> tf.Tensor:
    """Returns the mean; if it has no closed form, the best that can be said of it at a draw with this noise.

    An autoregressive distribution has the means of its conditionals at that draw. All others do without noise.
    """
    return distribution.mean()


def draw_rows(prior: tfd.Distribution, noise: NoiseSource, count: int | tf.Tensor) -> tf.Tensor:
    """Draws `count` codes, one in each row: of p(z), or of each p(z|c) of a prior that has a row for each condition."""
    return draw(prior, noise, () if prior.batch_shape.rank else (count,))


def _rule(cls):
    # TFP makes `Independent` of composite parts, and its base `_Independent` of others.
    base = cls.__mro__[1]
    return draw.register(base if base.__name__ == f"_{cls.__name__}" else cls)


def full_shape(distribution: tfd.Distribution, sample_shape: Sequence[int] = ()) -> list:
    """Returns `sample_shape + batch_shape + event_shape` as a list of integers, and tensors where not static."""
    static = distribution.batch_shape + distribution.event_shape
    dynamic = None
    shape = list(sample_shape)
    for axis, size in enumerate(static.as_list()):
        if size is None:
            if dynamic is None:
                dynamic = tf.concat([distribution.batch_shape_tensor(), distribution.event_shape_tensor()], 0)
            size = dynamic[axis]
        shape.append(size)
    return shape


def _deviation(noise, quantile, shape):
    """Returns the temperature of the noise times quantile(u), which is a draw from a distribution of median 0."""
    source, temperature = noise.untempered()
    deviation = quantile(source.uniform(shape))
    return deviation if temperature is None else temperature * deviation


@_rule(tfd.Normal)
def _(distribution, noise, sample_shape=()):
    return distribution.loc + distribution.scale * noise.normal(full_shape(distribution, sample_shape))


@_rule(tfd.Bernoulli)
def _(distribution, noise, sample_shape=()):
    u = noise.uniform(full_shape(distribution, sample_shape))
    return tf.cast(u < distribution.probs_parameter(), tf.float32)


@_rule(tfd.Deterministic)
def _(distribution, noise, sample_shape=()):
    return tf.broadcast_to(distribution.loc, full_shape(distribution, sample_shape))


@_rule(tfd.Independent)
def _(distribution, noise, sample_shape=()):
    return draw(distribution.distribution, noise, sample_shape)


@_rule(tfd.Laplace)
def _(distribution, noise, sample_shape=()):
    # The quantile is computed from the nearer tail, because 1 minus a small number loses digits.
    def quantile(u):
        return tf.where(u < 0.5, tf.math.log(2.0 * u), -tf.math.log(2.0 - 2.0 * u))

    return distribution.loc + distribution.scale * _deviation(noise, quantile, full_shape(distribution, sample_shape))


@_rule(tfd.Logistic)
def _(distribution, noise, sample_shape=()):
    def quantile(u):
        return tf.math.log(u) - tf.math.log(1.0 - u)

    return distribution.loc + distribution.scale * _deviation(noise, quantile, full_shape(distribution, sample_shape))


@_rule(tfd.ContinuousBernoulli)
def _(distribution, noise, sample_shape=()):
    return distribution.quantile(noise.uniform(full_shape(distribution, sample_shape)))


@_rule(tfd.Categorical)
def _(distribution, noise, sample_shape=()):
    # The Gumbel-max trick (Gumbel, 1954): argmax of logits plus Gumbel noise has the probabilities softmax(logits).
    logits = distribution.logits_parameter()
    u = noise.uniform([*full_shape(distribution, sample_shape), logits.shape[-1]])
    return tf.argmax(logits - tf.math.log(-tf.math.log(u)), axis=-1, output_type=tf.int32)


@_rule(tfd.MultivariateNormalTriL)
def _(distribution, noise, sample_shape=()):
    eps = noise.normal(full_shape(distribution, sample_shape))
    scale = distribution.scale.to_dense()
    return distribution.loc + tf.reduce_sum(scale * eps[..., None, :], axis=-1)


@_rule(tfd.TransformedDistribution)
def _(distribution, noise, sample_shape=()):
    return distribution.bijector.forward(draw(distribution.distribution, noise, sample_shape))


@_rule(tfd.MixtureSameFamily)
def _(distribution, noise, sample_shape=()):
    # All components are drawn from the same noise, which is allowed because only the one that is picked is ever seen.
    # The choice has no temperature, because that must not change the weights of a mixture.
    event_ndims = len(distribution.event_shape)
    component = draw(distribution.mixture_distribution, noise.untempered()[0], sample_shape)
    drawn = draw(distribution.components_distribution, _Shared(noise, event_ndims), sample_shape)
    picked = tf.one_hot(component, drawn.shape[-1 - event_ndims], dtype=drawn.dtype)
    for _ in range(event_ndims):
        picked = picked[..., None]
    return tf.reduce_sum(picked * drawn, axis=-1 - event_ndims)


class _Shared(NoiseSource):
    """Noise that is the same along the axis of a mixture's components."""

    def __init__(self, noise: NoiseSource, event_ndims: int) -> None:
        self._noise = noise
        self._axis = -1 - event_ndims

    def normal(self, shape, axis=None):
        return self._noise.normal(self._single(shape), axis)

    def uniform(self, shape, axis=None):
        return self._noise.uniform(self._single(shape), axis)

    def untempered(self):
        noise, temperature = self._noise.untempered()
        return _Shared(noise, -1 - self._axis), temperature

    def _single(self, shape):
        single = list(shape)
        single[self._axis] = 1
        return single


class _Middle(NoiseSource):
    """A source that returns the middle of each base noise: 0 for normals, 1/2 for uniforms."""

    def normal(self, shape, axis=None):
        return tf.zeros(shape)

    def uniform(self, shape, axis=None):
        return tf.fill(shape, 0.5)


def center(distribution: tfd.Distribution) -> tf.Tensor:
    """Returns the draw at the middle of the base noise.

    It is the mean of a normal, the median of a Laplace, and for a flow the image of its base's mean.
    """
    return draw(distribution, _Middle())
