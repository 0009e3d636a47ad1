"""Deep coupling flows and autoregressive flows, in both directions, against Jacobians, grids and draws."""

import numpy as np
import pytest
import reference
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import shake, slow_from

from keras_vae.distributions.autoregressive_flow import AutoregressiveFlow
from keras_vae.distributions.coupling_flow import DeepCouplingFlow, ResidualNetwork
from keras_vae.distributions.noise import Noise
from keras_vae.distributions.sampling import draw
from keras_vae.networks import MADE

tfb, tfd = tfp.bijectors, tfp.distributions
CONTEXT = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
KINDS = ("coupling", "masked", "masked with context", "inverse", "inverse with context")
kinds = pytest.mark.parametrize("kind", KINDS)
SIZES = {"coupling": (2, 5), "masked": (1, 4), "inverse": (1, 4)}
CASES = [(kind, size) for kind in KINDS for size in SIZES[kind.split()[0]]]
cases = pytest.mark.parametrize(("kind", "latent_dim"), CASES)


def make_flow(kind, latent_dim, num_layers=3, hidden_units=8, hidden_layers=2, stddev=0.5):
    """Returns a flow with weights at random."""
    sizes = latent_dim, num_layers, hidden_units, hidden_layers
    flow = DeepCouplingFlow(*sizes) if kind == "coupling" else AutoregressiveFlow(*sizes)
    flow.build(CONTEXT.shape if "context" in kind else None)
    if kind != "coupling":
        # Most tests draw a single time, which is faster than to compile.
        flow._compiled = flow._value_by_value
    return shake(flow, stddev)


def bijector_of(kind, flow, rows=slice(None)):
    """Returns a new bijector, whose cache knows no answers."""
    if kind == "coupling":
        return flow.bijector()
    bijector = flow.bijector(CONTEXT[rows] if "context" in kind else None)
    return tfb.Invert(bijector) if "inverse" in kind else bijector


def points(latent_dim, *leading):
    return np.random.default_rng(0).normal(size=(*leading, 4, latent_dim)).astype(np.float32)


@cases
def test_a_new_flow_is_the_identity(kind, latent_dim):
    sizes = latent_dim, 3, 8, 2
    flow = DeepCouplingFlow(*sizes) if kind == "coupling" else AutoregressiveFlow(*sizes)
    flow.build(CONTEXT.shape if "context" in kind else None)
    bijector, z = bijector_of(kind, flow), points(latent_dim)
    np.testing.assert_array_equal(bijector.forward(z), z)
    np.testing.assert_array_equal(bijector.forward_log_det_jacobian(z, 1), np.zeros(4))


@cases
@pytest.mark.parametrize("leading", [(), (2, 3)], ids=str)
def test_the_inverse_undoes_the_flow(kind, latent_dim, leading):
    flow, z = make_flow(kind, latent_dim), points(latent_dim, *leading)
    moved = bijector_of(kind, flow).forward(z).numpy()
    assert moved.shape == z.shape
    assert np.abs(moved - z).max() > 0.2
    np.testing.assert_allclose(bijector_of(kind, flow).inverse(moved), z, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("kind", "latent_dim"), slow_from(5, sorted(CASES, key=lambda case: case[1])))
def test_the_log_determinant_is_that_of_the_jacobian(kind, latent_dim):
    flow, z = make_flow(kind, latent_dim), tf.constant(points(latent_dim))
    with tf.GradientTape() as tape:
        tape.watch(z)
        moved = bijector_of(kind, flow).forward(z)
    expected = np.linalg.slogdet(np.float64(tape.batch_jacobian(moved, z)))[1]
    assert np.abs(expected).max() > 0.3
    found = bijector_of(kind, flow).forward_log_det_jacobian(z, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    inverse = bijector_of(kind, flow).inverse_log_det_jacobian(tf.constant(moved.numpy()), 1)
    np.testing.assert_allclose(inverse, -expected, rtol=1e-3, atol=1e-3)


def test_a_compiled_draw_is_that_of_the_plain_loop():
    flow, u = AutoregressiveFlow(4, 3, 8, 2), points(4)
    flow.build(CONTEXT.shape)
    shake(flow)
    z = flow.bijector(CONTEXT).forward(u)
    np.testing.assert_allclose(z, flow._value_by_value(u, CONTEXT), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["masked", "inverse"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_values_depend_on_those_before_them_and_in_the_next_layer_on_those_after_them(kind, num_layers):
    flow, z = make_flow(kind, 5, num_layers), tf.constant(points(5))
    with tf.GradientTape() as tape:
        tape.watch(z)
        moved = bijector_of(kind, flow).forward(z)
    seen = np.abs(tape.batch_jacobian(moved, z)).max(0) > 0
    np.testing.assert_array_equal(seen, np.tril(np.ones((5, 5))) if num_layers == 1 else np.ones((5, 5)))


def test_one_autoregressive_layer_is_the_recursion():
    """z_i = u_i exp(s_i) + t_i, value by value."""
    flow, u = make_flow("masked with context", 4, num_layers=1), points(4)
    z = np.zeros_like(u)
    for i in range(4):
        shift, raw = np.moveaxis(flow._networks[0](z, CONTEXT).numpy(), -1, 0)
        z[:, i] = u[:, i] * np.exp(2 * np.tanh(raw[:, i] / 2)) + shift[:, i]
    np.testing.assert_allclose(bijector_of("masked with context", flow).forward(u), z, rtol=1e-5, atol=1e-6)


def test_a_number_that_overflows_does_not_reach_the_values_before_it():
    flow = make_flow("masked", 3, num_layers=1)
    u = np.float32([[0.5, 3e38, 1.0], [0.5, 1.0, 1.0]])
    z = flow.bijector().forward(u).numpy()
    np.testing.assert_array_equal(z[0, 0], z[1, 0])
    assert np.isfinite(z[1]).all()


@pytest.mark.parametrize("latent_dim", [2, 3, 4, 7, 40])
def test_two_coupling_layers_move_all_of_z_and_one_a_half(latent_dim):
    for num_layers in (1, 2):
        moved = make_flow("coupling", latent_dim, num_layers).bijector().forward(points(latent_dim))
        changed = np.any(moved.numpy() != points(latent_dim), axis=0).sum()
        assert changed == (latent_dim if num_layers == 2 else latent_dim - latent_dim // 2)


def test_one_coupling_layer_is_the_formula():
    flow, u = make_flow("coupling", 5, num_layers=1), points(5)
    order = np.random.RandomState(0).permutation(5)
    kept, moved = order[:2], order[2:]
    shift, log_scale = flow._networks[0](u[:, kept])
    expected = u.copy()
    expected[:, moved] = u[:, moved] * np.exp(log_scale) + shift
    # A sum near 0 has the rounding error of its parts.
    np.testing.assert_allclose(flow.bijector().forward(u), expected, rtol=1e-6, atol=1e-7)


def test_the_permutations_are_those_of_every_file():
    """Files hold no permutations, so that these numbers must never change."""
    flow = make_flow("coupling", 8, num_layers=4)
    z = np.arange(8)
    orders = []
    for permutation in flow._permutations:
        z = z[permutation]
        orders.append(z.tolist())
    assert orders == [
        [6, 2, 1, 7, 3, 0, 5, 4],
        [4, 5, 0, 3, 7, 1, 2, 6],
        [7, 2, 1, 6, 0, 4, 3, 5],
        [5, 3, 4, 0, 6, 1, 2, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
    ]


def test_the_network_of_a_coupling_layer_is_residual():
    network = ResidualNetwork(3, 2, hidden_units=6, hidden_layers=3)
    network.build()
    first, second, third, out = np.split(np.array(shake(network).get_weights(), dtype=object), 4)
    z = np.float64(points(3))

    def silu(x):
        return x / (1 + np.exp(-x))

    hidden = silu(z @ first[0] + first[1])
    for kernel, bias in (second, third):
        hidden = hidden + silu(hidden @ kernel + bias)
    shift, raw = np.split(hidden @ out[0] + out[1], 2, axis=-1)
    for actual, expected in zip(network(points(3)), (shift, 2 * np.tanh(raw / 2)), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@kinds
def test_log_scales_stay_within_two_for_each_layer_and_value(kind):
    flow = make_flow(kind, 2, num_layers=1, stddev=100.0)
    determinant = np.abs(bijector_of(kind, flow).inverse_log_det_jacobian(points(2, 50), 1))
    values = 1 if kind == "coupling" else 2
    assert determinant.max() <= 2.0 * values
    assert determinant.max() > 1.9


@kinds
def test_networks_run_once_for_a_value_and_its_density(kind, monkeypatch):
    calls = []
    for owner, name in ((MADE, "call"), (ResidualNetwork, "__call__")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), calls))
    flow = make_flow(kind, 5)
    q = distribution(bijector_of(kind, flow), 5)
    calls.clear()
    if "inverse" in kind:
        q.log_prob(draw(q, Noise(0), (4,)))
    else:
        q.log_prob(points(5))
    assert len(calls) == 3


def counted(function, calls):
    def call(*args, **kwargs):
        calls.append(1)
        return function(*args, **kwargs)

    return call


def distribution(bijector, latent_dim, batch_shape=()):
    zeros = tf.zeros((*batch_shape, latent_dim))
    return tfd.TransformedDistribution(tfd.Independent(tfd.Normal(zeros, 1.0), 1), bijector)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "context" in kind])
def test_context_is_that_of_the_own_example(kind):
    flow, z = make_flow(kind, 3), points(3, 6)
    together = bijector_of(kind, flow).forward(z).numpy()
    for i in range(4):
        alone = bijector_of(kind, flow, slice(i, i + 1)).forward(z[:, i : i + 1])
        np.testing.assert_allclose(alone[:, 0], together[:, i], rtol=1e-4, atol=1e-4)
    assert np.abs(bijector_of(kind, flow, slice(None, None, -1)).forward(z) - together).max() > 0.1


@kinds
def test_the_density_integrates_to_one_and_its_moments_are_those_of_the_draws(kind):
    flow = make_flow(kind, 2, stddev=0.3)
    q = distribution(bijector_of(kind, flow, slice(0, 1)), 2, (1,))
    draws = draw(q, Noise(0), (20_000,)).numpy()[:, 0]
    reach = np.abs(draws).max() + 1
    axis = np.linspace(-reach, reach, 500, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 1, 2)
    log_q = np.float64(q.log_prob(grid))[:, 0]
    mass = np.exp(log_q) * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(mass.sum(), 1.0, atol=5e-3)  # the sum over a grid of 500 x 500
    assert reference.within_error(draws, (mass[:, None] * grid[:, 0]).sum(0))
    # The KL from N(0, I), by Monte Carlo and by quadrature.
    log_p = reference.normal_log_prob(grid[:, 0], np.zeros(2), np.ones(2))
    ratio = np.float64(q.log_prob(draws[:, None]))[:, 0] - reference.normal_log_prob(draws, np.zeros(2), np.ones(2))
    assert abs(ratio.mean() - (mass * (log_q - log_p)).sum()) < 4 * ratio.std() / np.sqrt(20_000) + 5e-3
    # The first coordinate against the marginal of the grid.
    cdf = np.cumsum(mass.reshape(500, 500).sum(1))
    middle = axis + (axis[1] - axis[0]) / 2
    assert scipy.stats.kstest(draws[:, 0], lambda z: np.interp(z, middle, cdf)).pvalue > 1e-3


def test_weights_are_those_of_the_formula():
    coupling, masked = make_flow("coupling", 5, 2, 8, 3), make_flow("masked with context", 5, 2, 8, 3)
    # Halves of 2 and 3: the first layer, two more, and the output for shift and log scale of the half that moves.
    expected = [8 * kept + 8 + 2 * (64 + 8) + 9 * 2 * (5 - kept) for kept in (2, 3)]
    assert coupling.count_params() == sum(expected)
    assert masked.count_params() == 2 * (8 * 5 + 8 + 8 * 3 + 2 * (64 + 8) + 9 * 2 * 5)


@pytest.mark.parametrize("latent_dim", [0, 1])
def test_a_coupling_flow_of_one_dimension_is_named(latent_dim):
    with pytest.raises(ValueError, match="`latent_dim` must be"):
        DeepCouplingFlow(latent_dim, 2, 8, 2)
