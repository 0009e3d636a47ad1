"""softplus against NumPy, and its gradient against the sigmoid."""

import numpy as np
import tensorflow as tf

from keras_vae.positive import UNIT, softplus

# The least normal float32 is 1e-38: below, zero will do.
X = np.array([-100.0, -20.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 20.0, 89.0, 100.0, 1e30])


def test_softplus_is_the_log_of_one_plus_the_exponential():
    np.testing.assert_allclose(softplus(tf.constant(X, tf.float32)), np.logaddexp(0.0, X), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(softplus(tf.constant(UNIT)), 1.0, rtol=1e-6)


def test_gradient_is_the_sigmoid_at_zero_too():
    x = tf.constant(X, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = softplus(x)
    np.testing.assert_allclose(tape.gradient(y, x), 1.0 / (1.0 + np.exp(-X)), rtol=1e-6, atol=1e-37)
