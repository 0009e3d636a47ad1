import math
import textwrap

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import sampling
from keras_vae.distributions.noise import Noise, NoiseSource
from keras_vae.distributions.sampling import draw, full_shape

tfd = tfp.distributions
RANDOM = np.random.default_rng(0)
LOC = RANDOM.normal(size=(4, 3)).astype(np.float32)
SCALE = RANDOM.uniform(0.2, 3.0, (4, 3)).astype(np.float32)
PROBS = RANDOM.uniform(0.0, 1.0, (4, 3)).astype(np.float32)
LOGITS = RANDOM.normal(size=(2, 3, 2, 1)).astype(np.float32)

DISTRIBUTIONS = {
    "normal": lambda: tfd.Normal(LOC, SCALE),
    "normal with broadcast parameters": lambda: tfd.Normal(LOC[:, :1], SCALE[0]),
    "bernoulli of probabilities": lambda: tfd.Bernoulli(probs=PROBS),
    "bernoulli of logits": lambda: tfd.Bernoulli(logits=LOGITS),
    "independent normal": lambda: tfd.Independent(tfd.Normal(LOC, SCALE), 1),
    "independent bernoulli": lambda: tfd.Independent(tfd.Bernoulli(logits=LOGITS), 3),
    "independent twice": lambda: tfd.Independent(tfd.Independent(tfd.Normal(LOC, SCALE), 1), 1),
}


class FakeNoise(NoiseSource):
    """Noise that is known beforehand, and the shapes that were asked for."""

    def __init__(self):
        self.shapes = []

    def _values(self, shape):
        self.shapes.append(tuple(shape))
        return np.random.default_rng(len(self.shapes))

    def normal(self, shape, axis=None):
        return tf.constant(self._values(shape).standard_normal(shape, np.float32))

    def uniform(self, shape, axis=None):
        return tf.constant(self._values(shape).random(shape, np.float32))


def base(distribution):
    while isinstance(distribution, tfd.Independent):
        distribution = distribution.distribution
    return distribution


def formula(distribution, noise, shape):
    """z = loc + scale * eps, or x = [u < p]."""
    distribution = base(distribution)
    if isinstance(distribution, tfd.Normal):
        return np.asarray(distribution.loc) + np.asarray(distribution.scale) * noise.normal(shape).numpy()
    return (noise.uniform(shape).numpy() < distribution.probs_parameter().numpy()).astype(np.float32)


def standard_errors(distribution, count):
    """Standard errors of mean and variance of `count` draws, from TFP's own moments."""
    distribution = base(distribution)
    variance = distribution.variance().numpy().astype(np.float64)
    if isinstance(distribution, tfd.Normal):
        fourth = 3 * variance**2
    elif isinstance(distribution, tfd.Gumbel):
        fourth = 5.4 * variance**2
    else:
        fourth = variance * (1 - 3 * variance)
    return np.sqrt(variance / count), np.sqrt((fourth - variance**2) / count)


def assert_moments(distribution, count=20_000):
    """Mean and variance of `draw` are those of TFP, each element within 4 standard errors."""
    x = draw(distribution, Noise(3), (count,)).numpy().astype(np.float64)
    mean_error, variance_error = standard_errors(distribution, count)
    mean, stddev = distribution.mean().numpy(), distribution.stddev().numpy()
    assert np.all(np.abs(x.mean(0) - mean) <= 4 * mean_error)
    assert np.all(np.abs(((x - mean) ** 2).mean(0) - stddev**2) <= 4 * variance_error + 1e-7)


@pytest.mark.parametrize("sample_shape", [(), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draw_is_the_reparameterized_formula_of_the_noise(name, sample_shape):
    distribution, noise = DISTRIBUTIONS[name](), FakeNoise()
    shape = (*sample_shape, *distribution.batch_shape, *distribution.event_shape)
    x = draw(distribution, noise, sample_shape)
    assert noise.shapes == [shape]
    assert x.dtype == tf.float32
    np.testing.assert_array_equal(x, formula(distribution, FakeNoise(), shape))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_moments_are_those_of_the_distribution(name):
    assert_moments(DISTRIBUTIONS[name]())


def test_bernoulli_is_certain_at_the_ends():
    certain = tfd.Bernoulli(probs=[0.0, 1.0]), tfd.Bernoulli(logits=[-100.0, 100.0])
    for distribution in certain:
        np.testing.assert_array_equal(draw(distribution, Noise(0), (5000,)), np.tile([0.0, 1.0], (5000, 1)))


def test_gradients_of_a_normal_draw_are_one_and_the_noise():
    loc, scale = tf.Variable(LOC), tf.Variable(SCALE)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(draw(tfd.Normal(loc, scale), FakeNoise()))
    gradient = tape.gradient(total, [loc, scale])
    np.testing.assert_array_equal(gradient[0], np.ones((4, 3)))
    np.testing.assert_array_equal(gradient[1], FakeNoise().normal((4, 3)))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: tfd.Normal(x, 0.5),
        lambda x: tfd.Independent(tfd.Normal(x, tf.exp(x)), 1),
        lambda x: tfd.Independent(tfd.Bernoulli(logits=x), 1),
    ],
)
def test_a_batch_of_unknown_size_is_drawn_like_a_known_one(make):
    @tf.function(input_signature=[tf.TensorSpec((None, 3))])
    def compiled(x):
        assert make(x).batch_shape[0] is None
        return draw(make(x), Noise(1))

    for rows in (1, 4):
        # rtol: the exponential of a compiled graph may differ in the last place.
        np.testing.assert_allclose(compiled(LOC[:rows]), draw(make(LOC[:rows]), Noise(1)), rtol=1e-5, atol=1e-6)


def test_the_number_of_samples_may_be_a_tensor():
    @tf.function(input_signature=[tf.TensorSpec((), tf.int32)])
    def compiled(count):
        return draw(tfd.Normal(LOC, SCALE), Noise(1), (count,))

    np.testing.assert_allclose(compiled(6), draw(tfd.Normal(LOC, SCALE), Noise(1), (6,)), rtol=1e-5, atol=1e-6)


def test_full_shape_is_static_wherever_the_distribution_is():
    distribution = tfd.Independent(tfd.Bernoulli(logits=LOGITS), 2)
    assert full_shape(distribution, (7,)) == [7, 2, 3, 2, 1]


@pytest.mark.parametrize(
    ("distribution", "name"),
    [
        (tfd.Gamma(2.0, 3.0), "Gamma"),
        (tfd.Poisson([3.0]), "Poisson"),
        (tfd.Independent(tfd.VonMises([0.0], 1.0), 1), "VonMises"),
        ("no distribution", "str"),
    ],
)
def test_an_unknown_distribution_is_refused_by_the_name_of_its_class(distribution, name):
    with pytest.raises(TypeError, match=rf"`distribution` must have a sampling rule. Received: {name}\."):
        draw(distribution, Noise(0))


@pytest.fixture
def gumbel_rule():
    """Runs the example of the module's docstring, which registers a rule for `tfd.Gumbel`."""
    example = textwrap.dedent(sampling.__doc__[sampling.__doc__.index("    @draw.register") :])
    exec(example, {"draw": draw, "tfd": tfd, "tf": tf, "full_shape": full_shape})


@pytest.mark.usefixtures("gumbel_rule")
@pytest.mark.parametrize("independent", [0, 1])
def test_the_rule_for_gumbel_in_the_docstring_draws_from_gumbel(independent):
    distribution = tfd.Independent(tfd.Gumbel(LOC, SCALE), independent)
    assert_moments(distribution)


@pytest.mark.usefixtures("gumbel_rule")
def test_the_rule_for_gumbel_in_the_docstring_is_the_quantile_function():
    distribution = tfd.Gumbel(LOC, SCALE)
    u = FakeNoise().uniform((4, 3)).numpy().astype(np.float64)
    expected = LOC - SCALE * np.log(-np.log(u))
    np.testing.assert_allclose(draw(distribution, FakeNoise()), expected, rtol=1e-5, atol=1e-6)
    assert math.isclose(distribution.cdf(expected.astype(np.float32))[0, 0], u[0, 0], rel_tol=1e-5)
