"""Coupling flows against their numerical Jacobian and their density against a grid."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import shake

import keras_vae as kv
from keras_vae.distributions.coupling_flow import CouplingFlow
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import draw

tfd = tfp.distributions
CONTEXT = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
CASES = [(2, None), (2, CONTEXT), (3, None), (5, CONTEXT)]
IDS = ["2", "2 with context", "3", "5 with context"]


def make_flow(latent_dim, context=None, num_layers=4, shaken=True):
    flow = CouplingFlow(latent_dim, num_layers, hidden_units=8)
    flow.build(None if context is None else (None, context.shape[1]))
    return shake(flow) if shaken else flow


def make_z(latent_dim, *leading, seed=0):
    return np.random.default_rng(seed).normal(size=(*leading, 4, latent_dim)).astype(np.float32)


@pytest.mark.parametrize(("latent_dim", "context"), CASES, ids=IDS)
def test_a_new_flow_is_the_identity(latent_dim, context):
    bijector, z = make_flow(latent_dim, context, shaken=False).bijector(context), make_z(latent_dim)
    np.testing.assert_array_equal(bijector.forward(z), z)
    np.testing.assert_array_equal(bijector.forward_log_det_jacobian(z, 1), np.zeros(4))


@pytest.mark.parametrize(("latent_dim", "context"), CASES, ids=IDS)
@pytest.mark.parametrize("leading", [(), (7,), (2, 3)], ids=str)
def test_the_inverse_undoes_the_flow(latent_dim, context, leading):
    flow, z = make_flow(latent_dim, context), make_z(latent_dim, *leading)
    moved = flow.bijector(context).forward(z).numpy()
    assert moved.shape == z.shape
    assert np.abs(moved - z).max() > 0.5
    # A bijector of its own, whose cache does not know the answer.
    np.testing.assert_allclose(flow.bijector(context).inverse(moved), z, atol=1e-4)


@pytest.mark.parametrize(("latent_dim", "context"), CASES, ids=IDS)
def test_the_log_determinant_is_that_of_the_numerical_jacobian(latent_dim, context):
    flow, z = make_flow(latent_dim, context), tf.constant(make_z(latent_dim))
    with tf.GradientTape() as tape:
        tape.watch(z)
        moved = flow.bijector(context).forward(z)
    jacobian = np.float64(tape.batch_jacobian(moved, z))
    expected = np.linalg.slogdet(jacobian)[1]
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(flow.bijector(context).forward_log_det_jacobian(z, 1), expected, rtol=1e-4, atol=1e-4)
    inverse = flow.bijector(context).inverse_log_det_jacobian(tf.constant(moved.numpy()), 1)
    np.testing.assert_allclose(inverse, -expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("latent_dim", "context"), CASES, ids=IDS)
def test_the_jacobian_agrees_with_finite_differences(latent_dim, context):
    flow, z, step = make_flow(latent_dim, context), make_z(latent_dim), 1e-2
    shifts = step * np.eye(latent_dim, dtype=np.float32)[:, None]
    forward, backward = (np.float64(flow.bijector(context).forward(z + sign * shifts)) for sign in (1, -1))
    jacobian = np.moveaxis((forward - backward) / (2 * step), 0, -1)
    # 1e-2: a central difference of step 0.01 in float32.
    expected = flow.bijector(context).forward_log_det_jacobian(z, 1)
    np.testing.assert_allclose(np.linalg.slogdet(jacobian)[1], expected, atol=1e-2)


@pytest.mark.parametrize("latent_dim", [2, 3, 4, 5])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_halves_take_turns(latent_dim, num_layers):
    moved = make_flow(latent_dim, num_layers=num_layers).bijector().forward(make_z(latent_dim)).numpy()
    changed = np.any(moved != make_z(latent_dim), axis=0)
    expected = np.ones(latent_dim, bool)
    if num_layers == 1:
        # The first layer leaves the last `latent_dim - half` dimensions to the next.
        expected[latent_dim // 2 :] = False
    np.testing.assert_array_equal(changed, expected)


def test_context_is_that_of_the_own_example():
    flow, z = make_flow(3, CONTEXT), make_z(3, 6)
    together = flow.bijector(CONTEXT).forward(z).numpy()
    for i in range(4):
        alone = flow.bijector(CONTEXT[i : i + 1]).forward(z[:, i : i + 1])
        np.testing.assert_allclose(alone[:, 0], together[:, i], rtol=1e-5, atol=1e-5)
    assert np.abs(flow.bijector(CONTEXT[::-1]).forward(z) - together).max() > 0.1


def test_log_scales_stay_within_two_for_each_layer():
    flow = shake(make_flow(2, num_layers=1), stddev=100.0)
    determinant = flow.bijector().forward_log_det_jacobian(make_z(2, 50), 1)
    assert np.abs(determinant).max() <= 2.0
    assert np.abs(determinant).max() > 1.9


@pytest.mark.parametrize("context", [None, CONTEXT[:1]], ids=["prior", "posterior"])
def test_the_density_integrates_to_one_and_its_mean_is_that_of_the_draws(context):
    flow = make_flow(2, context)
    q = tfd.TransformedDistribution(tfd.Independent(tfd.Normal(tf.zeros((1, 2)), 1.0), 1), flow.bijector(context))
    draws = draw(q, Noise(0), (20_000,)).numpy()[:, 0]
    reach = np.abs(draws).max() + 1
    axis = np.linspace(-reach, reach, 400, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 1, 2)
    mass = np.exp(np.float64(q.log_prob(grid))) * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(mass.sum(), 1.0, atol=2e-3)  # the sum over a grid of 400 x 400
    error = draws.std(0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(0) - (mass * grid[:, 0]).sum(0)) < 4 * error + 1e-3)
    # The first coordinate against the marginal of the grid.
    cdf = np.cumsum(mass.reshape(400, 400).sum(1))
    middle = axis + (axis[1] - axis[0]) / 2
    assert scipy.stats.kstest(draws[:, 0], lambda z: np.interp(z, middle, cdf)).pvalue > 1e-3


@pytest.mark.parametrize("features", [None, (None, 3)], ids=["without", "with context"])
def test_weights_are_those_of_the_formula(features):
    flow = CouplingFlow(5, num_layers=2, hidden_units=8)
    flow.build(features)
    context = 0 if features is None else 3 * 8
    # Halves of 2 and 3: A, b, B, and the output for shift and log scale of the half that moves.
    expected = [(moved, 5 - moved) for moved in (2, 3)]
    assert flow.count_params() == sum(8 * kept + 8 + context + 9 * 2 * moved for moved, kept in expected)


@pytest.mark.parametrize("head", [CouplingFlow, kv.posteriors.Flow, kv.priors.Flow])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": 1}, "`latent_dim` must be at least 2 for a flow of halves. Received: latent_dim=1"),
        ({"latent_dim": 0}, "`latent_dim` must be a positive integer"),
        ({"latent_dim": 2, "num_layers": 0}, "`num_layers` must be a positive integer"),
        ({"latent_dim": 2, "hidden_units": 2.5}, "`hidden_units` must be a positive integer"),
    ],
    ids=["dimension 1", "dimension 0", "layers", "units"],
)
def test_a_bad_argument_is_named(head, arguments, message):
    with pytest.raises(ValueError, match=message):
        head(**arguments)


@pytest.mark.slow
def test_a_flow_trains_to_a_curved_density():
    """Maximum likelihood on a banana: z_2 = z_1^2 + noise, whose entropy is known."""
    random = np.random.default_rng(0)
    first = random.normal(size=1000)
    z = np.stack([first, first**2 + 0.5 * random.normal(size=1000)], -1).astype(np.float32)
    keras.utils.set_random_seed(0)
    prior = kv.priors.Flow(2, num_layers=4, hidden_units=32)
    prior.build()
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(prior.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior().log_prob(z))
        optimizer.apply(tape.gradient(loss, prior.trainable_variables))
        return loss

    losses = [float(step()) for _ in range(700)]
    entropy = np.log(2 * np.pi * np.e) + np.log(0.5)
    # It starts at N(0, I): -log p = log(2 pi) + 0.5 (1 + 3 + 0.25).
    np.testing.assert_allclose(losses[0], np.log(2 * np.pi) + 0.5 * 4.25, atol=0.3)
    # 0.1: sampling error of a thousand points, and what 700 steps leave.
    np.testing.assert_allclose(losses[-1], entropy, atol=0.1)
