"""What is set after construction takes effect in the next step, or is one error at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_binary, make_vae

import keras_vae as kv
from keras_vae.objectives.schedules import Constant, Linear

X = make_binary(20)


class Counting(kv.objectives.ELBO):
    """Counts how often it is traced."""

    traces = 0

    def __call__(self, batch, kl_weight):
        type(self).traces += 1
        return super().__call__(batch, kl_weight)


class Anneal(keras.callbacks.Callback):
    """Sets a weight at the beginning of each epoch, as annealing is often written."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.kl_weight = min(1.0, epoch / 4)


def penalty(vae, x=X, **options):
    """Returns what stands before the KL in the loss."""
    metrics = vae.evaluate(x, verbose=0, return_dict=True, **options)
    return (metrics["loss"] + metrics["log_likelihood"]) / metrics["kl"]


@pytest.mark.parametrize("kind", ["arrays", "data set"])
def test_a_callback_may_set_the_kl_weight_in_each_epoch(kind):
    x = X if kind == "arrays" else tf.data.Dataset.from_tensor_slices(X).batch(10)
    Counting.traces = 0
    vae = make_vae(objective=Counting())
    history = vae.fit(x, epochs=6, verbose=0, callbacks=[Anneal()]).history["kl_weight"]
    assert history == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert Counting.traces <= 3  # the first weight that is set has the step traced anew, the others do not


def test_a_kl_weight_holds_from_the_next_call_on(tmp_path):
    vae = make_vae()
    for weight in (4.0, Constant(3.0), 2.0):
        vae.kl_weight = weight
        expected = getattr(weight, "value", weight)
        np.testing.assert_allclose(penalty(vae), expected, rtol=1e-4)
    vae.train_steps.assign(5)
    vae.kl_weight = Linear(10)
    np.testing.assert_allclose(penalty(vae), 0.5, rtol=1e-4)
    vae.kl_weight = 4.0
    assert vae.fit(X, verbose=0).history["kl_weight"] == [4.0]
    vae.save(tmp_path / "m.keras")
    np.testing.assert_allclose(penalty(keras.saving.load_model(tmp_path / "m.keras")), 4.0, rtol=1e-4)


@pytest.mark.slow
def test_an_objective_and_a_seed_hold_from_the_next_fit_on():
    changed, expected = make_vae(), make_vae(objective=kv.objectives.IWAE(5))
    changed.evaluate(X, verbose=0)  # compiled with what it was made with
    changed.seed = 3
    changed.objective = kv.objectives.IWAE(5)
    expected.seed = 3
    assert changed.fit(X, verbose=0).history == expected.fit(X, verbose=0).history
    assert changed.get_config()["objective"]["config"] == {"num_samples": 5}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kl_weight", -1.0, "`kl_weight` must be"),
        ("kl_weight", "linear", "`kl_weight` must be"),
        ("objective", "iwae", "`objective` must be"),
        ("seed", 2**40, "`seed` must be"),
    ],
)
def test_a_wrong_value_is_refused_at_once_and_changes_nothing(vae, name, value, message):
    before = getattr(vae, name)
    with pytest.raises(ValueError, match=message):
        setattr(vae, name, value)
    assert getattr(vae, name) is before


def test_an_objective_must_fit_the_parts():
    posterior = kv.posteriors.Deterministic(2)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([4]), posterior),
        kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli((6, 5, 1))),
        objective=kv.objectives.Reconstruction(),
    )
    with pytest.raises(ValueError, match="`objective` must be Reconstruction"):
        vae.objective = kv.objectives.ELBO()
    assert isinstance(vae.objective, kv.objectives.Reconstruction)


@pytest.mark.parametrize("name", ["encoder", "decoder", "prior", "latent_dim", "condition_dim", "event_shape"])
def test_parts_with_weights_cannot_be_replaced(vae, name):
    with pytest.raises(AttributeError, match=f"`{name}` of a model must not be replaced"):
        setattr(vae, name, getattr(vae, name))


def test_arguments_of_schedules_and_objectives_in_use_stay_as_they_are():
    capacity = Linear(10, end=5.0)
    vae = make_vae(kl_weight=0.5, objective=kv.objectives.Capacity(capacity, weight=3.0))
    for thing, name in (
        (vae.kl_weight, "value"),
        (vae.objective, "weight"),
        (capacity, "end"),
        (capacity, "num_steps"),
    ):
        with pytest.raises(AttributeError, match=f"`{name}` of {type(thing).__name__} must not be changed"):
            setattr(thing, name, 1)


class Rated(kv.objectives.ELBO):
    """The ELBO, which logs the distance of z from 0 too."""

    metrics = ("log_likelihood", "kl", "distance")

    def __call__(self, batch, kl_weight):
        terms = super().__call__(batch, kl_weight)
        distance = tf.norm(batch.posterior.mean(), axis=-1)
        return terms._replace(metrics={**terms.metrics, "distance": distance})


@pytest.mark.parametrize("data", [X, tf.data.Dataset.from_tensor_slices(X).batch(32)], ids=["arrays", "tf.data"])
def test_an_objective_names_what_it_logs(vae, data):
    vae.objective = Rated()
    found = vae.evaluate(data, batch_size=32, verbose=0, return_dict=True)
    expected = np.linalg.norm(vae.encode(X).mean(), axis=1).mean()
    np.testing.assert_allclose(found["distance"], expected, rtol=1e-5)
    assert set(found) == {"loss", "elbo", "log_likelihood", "kl", "kl_weight", "distance"}
    vae.objective = kv.objectives.ELBO()
    assert set(vae.evaluate(data, batch_size=32, verbose=0, return_dict=True)) == set(found) - {"distance"}


def test_an_objective_that_logs_other_names_than_it_says_is_named(vae):
    class Silent(Rated):
        metrics = ("log_likelihood", "kl")

    vae.objective = Silent()
    with pytest.raises(
        ValueError, match=r"terms of Silent must have the names .*log_likelihood, kl\. Received: .*distance"
    ):
        vae.evaluate(X, verbose=0)


@pytest.mark.parametrize("names", [("kl",), ("log_likelihood",), ("log_likelihood", "kl", "elbo")])
def test_an_objective_logs_what_the_elbo_is_made_of_and_leaves_the_elbo_to_the_model(vae, names):
    class Other(Rated):
        metrics = names

    with pytest.raises(
        ValueError, match="`metrics` of Other must have log_likelihood and kl among their names, and not"
    ):
        vae.objective = Other()
    assert isinstance(vae.objective, kv.objectives.ELBO)
