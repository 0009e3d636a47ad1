"""The optimizer of a run, against AdamW in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae.engine.averages import AveragingAdam
from keras_vae.runs.config import Config
from keras_vae.runs.optimizer import num_steps, optimizer

CONSTANT = {"learning_rate": 0.1, "learning_rate_schedule": "constant"}


def adamw(start, gradients, rate=0.1, decay=0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Returns the weights after AdamW's steps (Loshchilov and Hutter, 2019, algorithm 2), in float64."""
    weight, m, v = np.array(start, np.float64), 0.0, 0.0
    for t, gradient in enumerate(np.array(gradients, np.float64), 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        # Keras puts epsilon beside the root before its correction.
        root = np.sqrt(v / (1 - beta_2**t)) + epsilon / np.sqrt(1 - beta_2**t)
        weight = weight - rate * (m / (1 - beta_1**t) / root + decay * weight)
    return weight


def stepped(start, gradients, **settings):
    """Returns the weights after the steps of the optimizer of a run."""
    weight = keras.Variable(np.array(start, np.float32))
    made = optimizer(Config(**CONSTANT, **settings), 100)
    made.build([weight])
    for gradient in gradients:
        made.apply([tf.constant(gradient, tf.float32)], [weight])
    return weight.numpy()


START, GRADIENTS = [1.0, -2.0], [[1.0, 2.0], [-3.0, 0.5], [0.1, 0.2]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, {}), ({"weight_decay": 0.3}, {"decay": 0.3}), ({"beta_2": 0.9}, {"beta_2": 0.9}), ({"ema": 0.99}, {})],
)
def test_steps_are_those_of_adamw(settings, expected):
    np.testing.assert_allclose(stepped(START, GRADIENTS, **settings), adamw(START, GRADIENTS, **expected), rtol=1e-5)


def test_a_gradient_longer_than_the_norm_is_shortened_to_it():
    clipped = [np.array(g) * min(1.0, 1.5 / np.linalg.norm(g)) for g in GRADIENTS]
    assert np.linalg.norm(GRADIENTS[2]) < 1.5  # it stays as it is
    np.testing.assert_allclose(stepped(START, GRADIENTS, clip_norm=1.5), adamw(START, clipped), rtol=1e-5)


def test_by_default_it_is_plain_adam():
    made = optimizer(Config(), 100)
    assert type(made) is keras.optimizers.Adam
    options = made.get_config()
    assert [options[name] for name in ("weight_decay", "global_clipnorm", "use_ema", "beta_2")] == [
        *(None, None, False),
        0.999,
    ]


def test_averages_have_the_momentum_of_the_flag():
    made = optimizer(Config(ema=0.75), 100)
    assert type(made) is AveragingAdam
    assert made.get_config()["ema_momentum"] == 0.75


def test_the_last_batch_of_an_epoch_is_a_step_too():
    assert num_steps(Config(epochs=3, batch_size=32), 100) == 12
