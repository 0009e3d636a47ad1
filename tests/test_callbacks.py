"""The package's callbacks, and Keras's own on this model's fit."""

import dataclasses

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_vae, slow_from

import keras_vae as kv
from keras_vae import callbacks
from keras_vae.engine.finite import weights_are_finite
from keras_vae.runs import training
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import run_dir_of
from keras_vae.utils import atomic_files

# Pictures.


def fit(vae, *given, x=None, epochs=2, **options):
    x = make_binary() if x is None else x
    return vae.fit(x, batch_size=10, epochs=epochs, verbose=0, callbacks=list(given), **options).history


def test_pictures_come_every_few_epochs_and_tell_the_epoch(tmp_path):
    fit(make_vae(), callbacks.ImageGrids(make_binary(4), tmp_path / "new" / "figures", every=2), epochs=5)
    assert sorted(path.name for path in (tmp_path / "new" / "figures").iterdir()) == [
        atomic_files.MARKER,  # so that no other run takes them for data
        *("reconstructions-000002.png", "reconstructions-000004.png"),
        *("samples-000002.png", "samples-000004.png"),
    ]


@pytest.mark.slow
def test_pictures_differ_by_the_weights_alone(tmp_path):
    vae = make_vae()
    for rate, folder in ((0.0, "still"), (1e-2, "moving")):
        vae.compile(keras.optimizers.SGD(rate))
        fit(vae, callbacks.ImageGrids(make_binary(4), tmp_path / folder))
        for name in ("reconstructions", "samples"):
            first, second = ((tmp_path / folder / f"{name}-00000{n}.png").read_bytes() for n in (1, 2))
            assert (first == second) == (folder == "still"), name


@pytest.mark.slow
def test_drawing_changes_nothing_of_the_training(tmp_path, binary):
    assert fit(make_vae(), callbacks.ImageGrids(binary, tmp_path)) == fit(make_vae())


def events(folder):
    """Returns the pictures in TensorBoard events, (name, step) -> array."""
    found = {}
    for path in sorted(folder.rglob("events.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag, event.step] = tf.io.decode_png(value.tensor.string_val[2]).numpy()
    return found


def test_tensorboard_gets_the_pictures_of_the_files(tmp_path):
    fit(make_vae(), callbacks.ImageGrids(make_binary(4), tmp_path, log_dir=tmp_path / "events"))
    found = events(tmp_path / "events")
    assert set(found) == {(name, step) for name in ("reconstructions", "samples") for step in (0, 1)}
    for (name, step), picture in found.items():
        file = matplotlib.image.imread(tmp_path / f"{name}-{step + 1:06d}.png")
        np.testing.assert_array_equal(picture, np.round(255 * file[..., :3]).astype(np.uint8))


def test_pictures_of_a_conditional_model_have_the_conditions_of_the_images(tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(2), condition_dim=3),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), condition_dim=3),
        seed=0,
    )
    vae.compile("adam")
    seen = []
    sample = vae.sample
    monkeypatch.setattr(
        vae,
        "sample",
        lambda *args, condition, **options: (seen.append(condition), sample(*args, condition=condition))[1],
    )
    images = kv.data.Examples(make_binary(4), labels=np.array([2, 0, 1, 1]))
    vae.fit(images, epochs=1, verbose=0, callbacks=[callbacks.ImageGrids(images, tmp_path, num_samples=6)])
    np.testing.assert_array_equal(seen, [[2, 0, 1, 1, 2, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`folder` or `log_dir` must be given"),
        ({"folder": "x", "every": 0}, "`every` must be a positive integer. Received: every=0"),
        ({"folder": "x", "num_samples": -1}, "`num_samples` must be a positive integer"),
    ],
)
def test_wrong_arguments_of_image_grids(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.ImageGrids(make_binary(4), **arguments)


@pytest.mark.slow
def test_a_run_draws_every_few_epochs_and_may_go_on_without(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", make_binary(60)[..., 0])
    config = Config(
        dataset="data.npy", run_dir="run", hidden_units=(8,), epochs=2, num_importance_samples=2, image_grid_epochs=2
    )
    run_dir = training.run(config)
    pictures = {path.stem: path.read_bytes() for path in (run_dir / "figures" / "epochs").glob("*.png")}
    assert set(pictures) == {"reconstructions-000002", "samples-000002"}
    assert set(events(run_dir / "tensorboard" / "images")) == {("reconstructions", 1), ("samples", 1)}
    # As if it had not ended: pictures are no part of what a run computes.
    (run_dir / "report.json").unlink()
    assert run_dir_of(dataclasses.replace(config, image_grid_epochs=0), resume=True).path == run_dir
    with pytest.raises(ValueError, match="epochs=2, now 3"):
        run_dir_of(dataclasses.replace(config, epochs=3), resume=True)


# What blew up.


@keras.saving.register_keras_serializable(package="test_callbacks")
class Breaks(kv.objectives.ELBO):
    """The ELBO, with one term times infinity from a step on."""

    def __init__(self, term, at):
        super().__init__()
        self.term, self.at = term, at

    def __call__(self, batch, kl_weight):
        terms = super().__call__(batch, kl_weight)
        factor = tf.where(tf.cast(batch.step, tf.int32) >= self.at, np.inf, 1.0)
        names = self.term.split(" and ")
        broken = {name: value * factor if name in names else value for name, value in terms.metrics.items()}
        return terms._replace(objective=terms.objective * factor, metrics=broken)

    def get_config(self):
        return {"term": self.term, "at": self.at}


def state(vae):
    return [variable.numpy() for variable in (*vae.weights, *vae.optimizer.variables)]


def assert_same_state(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# Five steps an epoch in one compiled block: what happens at step 7 is seen at the end of the second epoch.
@pytest.mark.parametrize("term", slow_from(1, ["log_likelihood and kl", "log_likelihood", "kl", "other"]))
def test_the_guard_names_the_term_and_takes_the_last_good_state_back(term, caplog):
    vae, guard = make_vae(objective=Breaks(term, at=7)), callbacks.NaNGuard()
    history = fit(vae, guard, epochs=5)
    assert (guard.term, guard.epoch, guard.step) == (term, 2, 10)
    assert np.isfinite(history["loss"]).tolist() == [True, False]
    expected = make_vae()
    fit(expected, epochs=1)
    assert_same_state(state(vae), state(expected))
    assert "training diverged in epoch 2, by step 10" in guard.message
    assert guard.message in caplog.text


@pytest.mark.parametrize("scale", slow_from(1, ["shared", "per_value"]))
def test_data_out_of_scale_are_never_nan_without_a_word(scale, caplog):
    x = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    x[0] = 1e12
    vae = make_vae((6,), likelihood=kv.likelihoods.Gaussian((6,), scale=scale))
    vae.adapt(x)
    with caplog.at_level("ERROR", logger="absl"):
        vae.fit(x, epochs=2, verbose=0)
    assert not weights_are_finite(vae)
    assert "training diverged: from epoch 1 on loss=nan" in caplog.text
    assert "Rescale data of large values" in caplog.text

    guard = callbacks.NaNGuard()
    vae = make_vae((6,), likelihood=kv.likelihoods.Gaussian((6,), scale=scale))
    vae.adapt(x)
    caplog.clear()
    with caplog.at_level("ERROR", logger="absl"):
        vae.fit(x, epochs=2, verbose=0, callbacks=[guard])
    assert guard.term is not None
    assert weights_are_finite(vae)
    assert caplog.text.count("training diverged") == 1


def test_data_of_any_one_scale_train():
    x = 1e8 * np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    vae = make_vae((6,), likelihood=kv.likelihoods.Gaussian((6,), scale="shared"))
    vae.adapt(x)
    history = vae.fit(x, batch_size=20, epochs=5, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert weights_are_finite(vae)


def test_the_terms_before_the_first_broken_step_are_the_only_ones_in_the_logs():
    vae = make_vae(objective=Breaks("kl", at=3))
    vae.compile(keras.optimizers.SGD(0.0))
    history = fit(vae, callbacks.NaNGuard(), epochs=1)
    assert not np.isfinite(history["kl"][0])
    # Of four of the five steps.
    still = make_vae()
    still.compile(keras.optimizers.SGD(0.0))
    part = still.fit(make_binary(), batch_size=10, epochs=1, verbose=0, steps_per_epoch=4).history
    np.testing.assert_allclose(history["log_likelihood"], part["log_likelihood"], rtol=1e-5)


def test_the_guard_at_the_first_step_goes_back_to_the_start(binary):
    vae = make_vae()
    vae.compile(keras.optimizers.Adam(1e30))
    before, guard = state(vae), callbacks.NaNGuard()
    fit(vae, guard, epochs=3)
    assert guard.epoch == 1
    assert_same_state(state(vae), before)
    assert np.isfinite(vae.evaluate(binary, verbose=0, return_dict=True)["elbo"])


def test_weights_that_break_after_a_finite_loss_are_seen_at_the_end_of_the_epoch():
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 4:  # the last of the epoch
                self.model.trainable_variables[0].assign(self.model.trainable_variables[0] * np.nan)

    vae, guard = make_vae(), callbacks.NaNGuard()
    before = state(vae)
    assert len(fit(vae, Spoil(), guard, epochs=3)["loss"]) == 1
    assert (guard.term, guard.epoch, guard.message.split(": ")[1]) == ("weights", 1, "the weights are not finite")
    assert_same_state(state(vae), before)


@pytest.mark.slow
def test_the_guard_lets_a_healthy_training_be(binary):
    guard, guarded, free = callbacks.NaNGuard(), make_vae(), make_vae()
    assert fit(guarded, guard) == fit(free)
    assert (guard.term, guard.message) == (None, "")
    assert_same_state(state(guarded), state(free))


def test_an_infinite_kl_that_is_not_in_the_loss_is_not_the_cause():
    guard = callbacks.NaNGuard()
    deterministic = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.Deterministic(2)),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE)),
        objective=kv.objectives.Reconstruction(),
        seed=0,
    )
    deterministic.compile("adam")
    history = fit(deterministic, guard)
    assert np.isinf(history["kl"]).all()
    assert guard.term is None


# Keras's own.


def test_the_best_model_by_validation_is_saved_and_loads(tmp_path, binary):
    vae, path = make_vae(), tmp_path / "best.keras"
    vae.compile(keras.optimizers.Adam(0.1))
    best = keras.callbacks.ModelCheckpoint(path, monitor="val_elbo", mode="max", save_best_only=True)
    history = fit(vae, best, x=binary[:40], epochs=12, validation_data=binary[40:])
    loaded = keras.saving.load_model(path)
    elbo = loaded.evaluate(binary[40:], batch_size=10, verbose=0, return_dict=True)["elbo"]
    np.testing.assert_allclose(elbo, max(history["val_elbo"]), rtol=1e-5)
    assert max(history["val_elbo"]) > history["val_elbo"][-1] + 0.01, (
        "the last epoch is not the best: the test can fail"
    )


def test_early_stopping_gives_the_weights_of_the_best_epoch(binary):
    vae = make_vae()
    vae.compile(keras.optimizers.Adam(0.1))
    stop = keras.callbacks.EarlyStopping("val_elbo", mode="max", patience=3, restore_best_weights=True)
    history = fit(vae, stop, x=binary[:40], epochs=30, validation_data=binary[40:])
    assert len(history["val_elbo"]) < 30
    elbo = vae.evaluate(binary[40:], batch_size=10, verbose=0, return_dict=True)["elbo"]
    np.testing.assert_allclose(elbo, max(history["val_elbo"]), rtol=1e-5)


def test_any_callback_sees_the_logs_of_each_epoch_as_numbers(binary):
    class Sender(keras.callbacks.Callback):
        """As the callbacks of experiment trackers: everything by `logs`."""

        def __init__(self):
            super().__init__()
            self.sent = []

        def on_epoch_end(self, epoch, logs=None):
            self.sent.append({"epoch": epoch, **logs})

    sender = Sender()
    history = fit(make_vae(), sender, validation_data=binary[:9])
    assert [row.pop("epoch") for row in sender.sent] == [0, 1]
    assert {type(value) for row in sender.sent for value in row.values()} == {float}
    assert {key: [row[key] for row in sender.sent] for key in history} == history
    names = {"loss", "elbo", "log_likelihood", "kl", "kl_weight"}
    assert set(history) == names | {f"val_{name}" for name in names}
