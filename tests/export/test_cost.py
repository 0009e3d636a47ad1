"""The cost of a file in nats is that of a direct computation, and nothing for what Keras itself says."""

import numpy as np
import pytest
import tensorflow as tf
from exporting import make_conditional_vae, make_deterministic_vae, make_mixture_vae, one_hot, stirred
from helpers import make_binary, make_vae, slow_from

import keras_vae as kv
from export.cost import NUM_CODES, NUM_IMAGES, SIGNATURES, Cost
from export.signatures import FILES, NUM_SCORE_SAMPLES, Signatures
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise
from keras_vae.distributions.sampling import center, draw

COUNT = 10
MODELS = {
    "dense": make_vae,
    "conditional": lambda: make_conditional_vae(kv.posteriors.Laplace),
    "mixture": make_mixture_vae,
    "deterministic": make_deterministic_vae,
}


def names_of(file, vae):
    return [name for name in FILES[file] if name != "score" or not deterministic(vae)]


def deterministic(vae):
    return isinstance(vae.encoder.posterior, kv.posteriors.Deterministic)


def runner(vae, batch_size):
    """Returns what a file of the model does, computed by Keras."""
    names = [name for name in SIGNATURES.values() if name != "score" or not deterministic(vae)]
    functions = Signatures(vae, 4).concrete(names, batch_size)

    def run(signature, **inputs):
        outputs = functions[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    return run


def noisy(vae, make, parts=("encoder", "decoder")):
    """Returns a copy of the model with noise on the weights of its parts."""
    copy, random = make(), np.random.default_rng(5)
    copy.set_weights(vae.get_weights())
    for part in parts:
        for weight in getattr(copy, part).trainable_variables:
            weight.assign_add(0.1 * random.normal(size=weight.shape))
    return copy


class Case:
    """A model, images, and the cost of its files."""

    def __init__(self, name, count=COUNT):
        self.make = MODELS[name]
        self.vae, self.x = stirred(self.make()), make_binary(count)
        self.condition = None if self.vae.condition_dim is None else one_hot(count)
        self.cost = Cost(self.vae, Signatures(self.vae, 4), self.x, self.condition)

    def of(self, file, run, batch_size=COUNT):
        return self.cost.of(file, run, names_of(file, self.vae), batch_size)

    def codes(self):
        """Returns the codes of the decoder's cost and log q(z|x) - log p(z), in float64."""
        posterior = self.vae.encode(self.x, self.condition)
        if deterministic(self.vae):
            return center(posterior).numpy()[None], 0.0
        z = draw(posterior, Noise(0, EVALUATION_STREAM), (NUM_CODES,))
        ratio = posterior.log_prob(z) - self.vae.prior_distribution().log_prob(z)
        return z.numpy(), ratio.numpy().astype(np.float64)


@pytest.fixture(params=slow_from(2, MODELS))
def case(request):
    return Case(request.param)


def log_mean_exp(values):
    return np.log(np.mean(np.exp(values - values.max(axis=0)), axis=0)) + values.max(axis=0)


def means(changes):
    """Returns the changes without their standard errors."""
    return {name: value for name, value in changes.items() if name.endswith("change")}


@pytest.mark.parametrize("batch_size", slow_from(1, [COUNT, 1]))
def test_what_keras_says_costs_exactly_nothing(case, batch_size):
    run = runner(case.vae, batch_size)
    for file in FILES:
        names = ["log_likelihood"] if file == "autoencoder" or deterministic(case.vae) else ["elbo", "log_likelihood"]
        if file == "encoder" and deterministic(case.vae):
            names = []
        nothing = {key: 0.0 for name in names for key in (f"{name}_change", f"{name}_change_standard_error")}
        assert case.of(file, run, batch_size) == nothing


def test_a_log_likelihood_that_is_shifted_costs_the_shift(case):
    run = runner(case.vae, COUNT)

    def shifted(signature, **inputs):
        outputs = run(signature, **inputs)
        return {k: v - np.float32(0.3) if k in ("log_likelihood", "elbo") else v for k, v in outputs.items()}

    for file in FILES:
        changes = case.of(file, shifted)
        for name, value in changes.items():
            # To the spacing of float32 near the log likelihoods themselves, which are between -20 and -100.
            np.testing.assert_allclose(value, 0.0 if name.endswith("standard_error") else -0.3, atol=1e-5)
        assert changes or (file == "encoder" and deterministic(case.vae))


def test_a_decoder_with_other_weights_costs_the_difference_of_its_log_likelihoods(case):
    copy = noisy(case.vae, case.make, ["decoder"])
    z, ratio = case.codes()
    before, after = (
        np.stack([vae.decode(code, case.condition).log_prob(case.x).numpy() for code in z]).astype(np.float64) - ratio
        for vae in (case.vae, copy)
    )
    expected = {"elbo": (after - before).mean(axis=0), "log_likelihood": log_mean_exp(after) - log_mean_exp(before)}
    if deterministic(case.vae):
        del expected["elbo"]
    changes = case.of("decoder", runner(copy, COUNT))
    assert set(means(changes)) == {f"{name}_change" for name in expected}
    for name, change in expected.items():
        assert np.ptp(change) > 0.5
        # Differences of float32 numbers of size 20 to 100.
        np.testing.assert_allclose(changes[f"{name}_change"], change.mean(), atol=2e-5)
        error = change.std(ddof=1) / np.sqrt(COUNT)
        np.testing.assert_allclose(changes[f"{name}_change_standard_error"], error, rtol=1e-3)


def test_an_encoder_and_an_autoencoder_with_other_weights_cost_the_difference_of_their_bounds(case):
    copy = noisy(case.vae, case.make)
    run = runner(copy, COUNT)

    def at_center(vae):
        z = center(vae.encode(case.x, case.condition))
        return vae.decode(z, case.condition).log_prob(case.x).numpy()

    expected = at_center(copy) - at_center(case.vae)
    changes = case.of("autoencoder", run)
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(changes["log_likelihood_change"], expected.mean(), atol=2e-5)
    assert list(means(changes)) == ["log_likelihood_change"]
    if deterministic(case.vae):
        return
    before, after = (vae.bounds(case.x, NUM_SCORE_SAMPLES, 0, case.condition) for vae in (case.vae, copy))
    changes = case.of("encoder", run)
    for name, old, new in zip(("elbo", "log_likelihood"), before, after, strict=True):
        assert np.ptp(new - old) > 0.5
        np.testing.assert_allclose(changes[f"{name}_change"], np.mean(new - old), atol=2e-5)


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (3, 8), (1, 1)])
def test_every_image_counts_once_whatever_the_batch_size(count, batch_size):
    case = Case("conditional", count)
    run, seen = runner(case.vae, batch_size), []

    def numbered(signature, **inputs):
        assert len(inputs["x"]) == len(inputs["condition"]) == batch_size
        # The loss of an image is its place among the images.
        place = [int(np.flatnonzero((case.x == x).all(axis=(1, 2, 3)))[0]) for x in inputs["x"]]
        seen.extend(place)
        values = run(signature, **inputs)["log_likelihood"]
        return {"log_likelihood": values - np.float32(place)}

    assert len(np.unique(case.x, axis=0)) == count
    changes = case.of("autoencoder", numbered, batch_size)
    np.testing.assert_allclose(changes["log_likelihood_change"], -np.mean(np.arange(count)), atol=1e-5)
    assert set(seen) == set(range(count))


def test_at_most_so_many_images_are_seen():
    vae, x = make_vae(), make_binary(NUM_IMAGES + 50)
    cost, seen = Cost(vae, Signatures(vae, 4), x, None), []
    run = runner(vae, 50)

    def counted(signature, **inputs):
        seen.append(len(inputs["x"]))
        return run(signature, **inputs)

    assert cost.of("autoencoder", counted, FILES["autoencoder"], 50)["log_likelihood_change"] == 0.0
    assert sum(seen) == NUM_IMAGES


@pytest.mark.parametrize(
    ("file", "left"), [("decoder", ("decode", "sample")), ("encoder", ("encode",)), ("autoencoder", ())]
)
def test_without_the_signature_that_shows_it_there_is_no_cost(file, left):
    vae = make_vae()
    cost = Cost(vae, Signatures(vae, 4), make_binary(4), None)

    def never(*_, **__):
        raise AssertionError

    assert cost.of(file, never, left, 1) == {}
