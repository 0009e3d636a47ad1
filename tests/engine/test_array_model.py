"""`fit` and `evaluate` in blocks: the same numbers as Keras's own loop."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SHAPE, make_binary, make_vae, slow_from

import keras_vae as kv
from keras_vae.engine.block_steps import block_size

GRAY = np.random.default_rng(0).integers(0, 256, (50, *SHAPE), dtype=np.uint8)


def train(x, **options):
    """Returns history and weights of a short training."""
    vae = make_vae()
    vae.compile(
        keras.optimizers.Adam(1e-2), **{k: options.pop(k) for k in ("jit_compile", "run_eagerly") if k in options}
    )
    history = vae.fit(x, batch_size=16, epochs=3, verbose=0, **options).history
    return history, vae.get_weights()


@pytest.mark.parametrize(
    "way", slow_from(1, [{"run_eagerly": True, "jit_compile": False}, {"jit_compile": True}]), ids=["eager", "xla"]
)
def test_every_way_of_running_gives_the_same_history(way):
    images = kv.data.binarize(kv.data.Examples(GRAY, divisor=255.0), "dynamic")
    expected, expected_weights = train(images, validation_data=make_binary(20))
    history, weights = train(images, validation_data=make_binary(20), **way)
    for key, values in expected.items():
        np.testing.assert_allclose(history[key], values, rtol=1e-4, err_msg=key)
    for actual, value in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(actual, value, atol=2e-4)  # Adam divides small differences by small numbers


def test_same_seed_same_history(binary):
    assert train(binary)[0] == train(binary)[0]


def test_a_padded_last_batch_counts_only_its_examples(binary):
    vae = make_vae()
    binary = binary[:5]
    single = [vae.evaluate(binary[i : i + 1], verbose=0, return_dict=True)["kl"] for i in range(len(binary))]
    for batch_size in (2, 3, 5, 8):
        kl = vae.evaluate(binary, batch_size=batch_size, verbose=0, return_dict=True)["kl"]
        np.testing.assert_allclose(kl, np.mean(single), rtol=1e-5)


def test_sample_weights_are_a_weighted_mean(binary):
    vae = make_vae()
    weights = np.r_[np.ones(20), np.zeros(30)].astype(np.float32)
    weighted = vae.evaluate(binary, sample_weight=weights, batch_size=25, verbose=0, return_dict=True)["kl"]
    np.testing.assert_allclose(weighted, vae.evaluate(binary[:20], verbose=0, return_dict=True)["kl"], rtol=1e-5)


def test_tf_data_generators_and_arrays_agree_on_evaluate(binary):
    vae = make_vae()
    expected = vae.evaluate(binary, batch_size=10, verbose=0, return_dict=True)
    dataset = tf.data.Dataset.from_tensor_slices(binary).batch(10)
    for key, value in vae.evaluate(dataset, verbose=0, return_dict=True).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-5, err_msg=key)


def test_fit_takes_tf_data_pairs_and_py_datasets(binary):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return binary[index * 10 : index * 10 + 10], np.arange(10)

    pairs = tf.data.Dataset.from_tensor_slices((binary, np.arange(50))).batch(10)
    losses = [make_vae().fit(x, epochs=2, verbose=0, shuffle=False).history["loss"] for x in (pairs, Batches())]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert losses[0][1] < losses[0][0]


def test_steps_per_execution_and_callbacks_see_every_step(binary):
    class Count(keras.callbacks.Callback):
        ends = []

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(batch)

    vae = make_vae()
    vae.compile("adam", steps_per_execution=2)
    vae.fit(binary, batch_size=10, epochs=1, verbose=0, callbacks=[Count()])
    assert Count.ends == [1, 3, 5]
    assert int(vae.optimizer.iterations) == 5


def test_early_stopping_restores_weights(binary):
    vae = make_vae()
    stop = keras.callbacks.EarlyStopping("val_elbo", mode="max", patience=0, restore_best_weights=True, min_delta=1e9)
    history = vae.fit(binary, validation_split=0.2, epochs=9, verbose=0, callbacks=[stop]).history
    assert len(history["val_elbo"]) == 2
    np.testing.assert_allclose(
        vae.evaluate(binary[40:], verbose=0, return_dict=True)["elbo"], history["val_elbo"][0], rtol=1e-5
    )


def test_training_goes_on_where_it_stopped(binary):
    whole = make_vae()
    expected = whole.fit(binary, batch_size=16, epochs=4, verbose=0).history["loss"]
    parts = make_vae()
    first = parts.fit(binary, batch_size=16, epochs=2, verbose=0).history["loss"]
    second = parts.fit(binary, batch_size=16, epochs=4, initial_epoch=2, verbose=0).history["loss"]
    np.testing.assert_allclose(first + second, expected, rtol=1e-5)


def test_predict_is_reconstruct(binary):
    vae = make_vae()
    np.testing.assert_allclose(vae.predict(binary, verbose=0), vae.reconstruct(binary), rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((4, *SHAPE), np.nan, np.float32), "`x` must be finite"),
        (np.full((4, *SHAPE), 255, np.uint8), r"`x` must lie in \[0, 1\]"),
        (np.zeros((4, 28, 28, 1), np.float32), r"`x` must have shape \(batch, 6, 5, 1\).*\(4, 28, 28, 1\)"),
        (np.zeros((0, *SHAPE), np.float32), "at least one"),
    ],
    ids=["nan", "range", "shape", "empty"],
)
@pytest.mark.parametrize("method", ["fit", "evaluate", "log_prob", "adapt"])
def test_bad_arrays_are_named(method, x, message):
    with pytest.raises(ValueError, match=message):
        getattr(make_vae(), method)(x)


def test_the_first_batch_of_a_data_set_is_checked():
    dataset = tf.data.Dataset.from_tensor_slices(np.full((4, *SHAPE), 255.0, np.float32)).batch(2)
    with pytest.raises(ValueError, match=r"`x` must lie in \[0, 1\]"):
        make_vae().fit(dataset)


@pytest.mark.parametrize(
    ("batch_bytes", "num_steps", "expected"), [(1000, 430, 43), (2**26, 430, 1), (1000, 3, 3), (1000, 64, 64)]
)
def test_blocks_are_bounded_with_little_padding(batch_bytes, num_steps, expected):
    assert block_size(batch_bytes, num_steps) == expected


def test_a_second_fit_goes_on_with_new_orders_and_draws():
    whole, parts = make_vae(), make_vae()
    images = kv.data.binarize(kv.data.Examples(GRAY, divisor=255.0), "dynamic")
    expected = whole.fit(images, batch_size=16, epochs=3, verbose=0).history["loss"]
    actual = [parts.fit(images, batch_size=16, epochs=1, verbose=0).history["loss"][0] for _ in range(3)]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.slow
def test_noise_counts_training_steps_and_not_those_of_the_optimizer(binary):
    vae = make_vae()
    seen = []
    for _ in range(2):
        vae.compile(keras.optimizers.SGD(0.0, gradient_accumulation_steps=2))
        seen += [float(vae.train_on_batch(binary, return_dict=True)["log_likelihood"]) for _ in range(2)]
    assert len(set(seen)) == 4


@pytest.mark.parametrize("steps", slow_from(1, [7, 2]))
def test_numbers_of_steps_are_kept(binary, steps):
    vae = make_vae()
    vae.fit(binary, batch_size=10, steps_per_epoch=steps, epochs=2, verbose=0)
    assert int(vae.optimizer.iterations) == 2 * steps
    vae.evaluate(binary, batch_size=10, steps=2, verbose=0)
    assert int(vae._test_steps) == 2
    vae.fit(
        binary, batch_size=10, steps_per_epoch=None, epochs=1, verbose=0, validation_data=binary, validation_steps=3
    )
    assert int(vae._test_steps) == 3


def test_importance_samples_of_batches_of_unknown_size(binary):
    vae = make_vae(objective=kv.objectives.IWAE(3))
    losses = vae.fit(tf.data.Dataset.from_tensor_slices(binary).batch(20), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("devices", [1, 2])
def test_fit_under_a_mirrored_strategy(binary, devices):
    cpus = tf.config.list_logical_devices("CPU")
    assert len(cpus) == 2  # conftest.py asked for them
    with tf.distribute.MirroredStrategy([cpu.name for cpu in cpus[:devices]]).scope():
        vae = make_vae()
    history = vae.fit(binary, batch_size=10, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_a_subclass_can_add_layers_of_its_own():
    class Labeled(kv.VAE):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.classify = keras.layers.Dense(3)

    plain = make_vae()
    model = Labeled(plain.encoder, plain.decoder, seed=0)
    assert model.classify(np.ones((1, 4), np.float32)).shape == (1, 3)


@pytest.mark.parametrize("name", ["loss", "metrics"])
def test_losses_and_metrics_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must not be given"):
        make_vae().compile("adam", **{name: "mse"})


def test_images_serve_as_arrays(binary):
    vae, images = make_vae(), kv.data.Examples(binary)
    np.testing.assert_allclose(vae.reconstruct(images), vae.reconstruct(binary))
    np.testing.assert_allclose(vae.predict(images, verbose=0), vae.predict(binary, verbose=0))
    np.testing.assert_array_equal(np.asarray(images), binary)
    np.testing.assert_array_equal(images[3].numpy(), binary[3:4])
    assert images.shape == binary.shape
    assert repr(images) == "Examples(count=50, event_shape=(6, 5, 1), noise=None)"


class Stops(keras.callbacks.Callback):
    """Ends a training as a killed process does, at the beginning of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_backup_and_restore_goes_on_with_the_order_and_the_draws_of_its_epoch(tmp_path):
    images = kv.data.binarize(kv.data.Examples(GRAY, divisor=255.0), "dynamic")
    expected = make_vae().fit(images, batch_size=16, epochs=4, verbose=0).history["loss"]
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        make_vae().fit(images, batch_size=16, epochs=4, verbose=0, callbacks=[backup, Stops()])
    resumed = make_vae()
    history = resumed.fit(images, batch_size=16, epochs=4, verbose=0, callbacks=[backup]).history["loss"]
    np.testing.assert_allclose(history, expected[2:], rtol=1e-6)
    assert int(resumed.train_steps) == 16


def test_the_first_epoch_has_the_first_order_where_an_epoch_is_one_step():
    # The step counts itself while its batch is made, which must not look like an epoch that has passed.
    x, order = make_binary(20), np.arange(20)
    np.random.default_rng((3, 0)).shuffle(order)
    shuffled, ordered = (make_vae(objective=kv.objectives.IWAE(5)) for _ in range(2))
    shuffled.seed = ordered.seed = 3
    expected = ordered.fit(x[order], shuffle=False, verbose=0).history
    assert shuffled.fit(x, verbose=0).history == expected
