"""Reparameterised sampling: `draw(distribution, noise)` is a deterministic function of parameters and base noise.

This is the one idea the package is built on. Training, the SavedModel and the phone all sample with the rules below and
differ only in who supplies the noise. A rule for a new distribution is one function:

    @draw.register(tfd.Gumbel)
    def _(distribution, noise, sample_shape=()):
        u = noise.uniform(full_shape(distribution, sample_shape))
        return distribution.loc - distribution.scale * tf.math.log(-tf.math.log(u))
"""

import functools

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


@functools.singledispatch
def draw(distribution, noise, sample_shape=()):
    """Draws a sample from `distribution` by transforming base noise.

    Args:
      distribution: a `tfd` distribution whose class (or a base class of it) has a rule.
      noise: a source with `uniform(shape)` and `normal(shape)`, for example `keras_vae.noise.Noise`.
      sample_shape: tuple of leading dimensions to add; only the first dimension of the whole shape may be a tensor.

    Returns:
      A tensor of shape `sample_shape + batch_shape + event_shape`.

    Raises:
      TypeError: if no rule is known, so the distribution cannot be sampled on a device either.
    """
    raise TypeError(
        f"`distribution` must have a sampling rule. Received: {type(distribution).__name__}. "
        "Write it as a function of base noise and add it with `keras_vae.sampling.draw.register`."
    )


def full_shape(distribution, sample_shape=()) -> list:
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


@draw.register(tfd.Normal)
def _(distribution, noise, sample_shape=()):
    return distribution.loc + distribution.scale * noise.normal(full_shape(distribution, sample_shape))


@draw.register(tfd.Bernoulli)
def _(distribution, noise, sample_shape=()):
    u = noise.uniform(full_shape(distribution, sample_shape))
    return tf.cast(u < distribution.probs_parameter(), tf.float32)


@draw.register(tfd.Independent)
def _(distribution, noise, sample_shape=()):
    return draw(distribution.distribution, noise, sample_shape)
