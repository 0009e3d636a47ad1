"""One worker, as a user writes it: trains a small VAE under a strategy and saves what came out of it.

python strategy_worker.py STRATEGY OBJECTIVE OUTPUT
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from conftest import make_binary, make_vae

import keras_vae as kv
from keras_vae import strategies


OBJECTIVES = {"elbo": kv.objectives.ELBO, "iwae": kv.objectives.IWAE, "free_bits": kv.objectives.FreeBits}


def data():
    """Grey images with uneven weights; 50 and 23 are no multiples of the batch, nor the batch of the replicas."""
    grey = 0.8 * make_binary() + 0.1
    weights = np.linspace(0.0, 3.0, len(grey), dtype=np.float32)
    return kv.data.Images(grey, weights=weights, noise="bernoulli"), kv.data.Images(make_binary(23, seed=1))


def train(strategy, objective):
    """Returns weights and history of two epochs of batches of 18."""
    with strategy.scope():
        vae = make_vae(objective=OBJECTIVES[objective]())
    train, validation = data()
    history = vae.fit(train, validation_data=validation, batch_size=18, epochs=2, verbose=0).history
    return [variable.numpy() for variable in vae.trainable_variables], history


if __name__ == "__main__":
    keras.config.disable_traceback_filtering()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    weights, history = train(strategies.make(sys.argv[1]), sys.argv[2])
    np.savez(sys.argv[3], *weights, **history)
