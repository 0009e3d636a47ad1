"""One worker, as a user would write it: trains small models under a strategy and saves histories and weights.

python strategy_worker.py STRATEGY OUTPUT OBJECTIVES...
"""

import sys

import numpy as np
import tensorflow as tf
from helpers import SHAPE, make_binary, make_vae

import keras_vae as kv
from keras_vae.engine import strategies
from keras_vae.engine.averages import AveragingAdam

OBJECTIVES = {
    "elbo": kv.objectives.ELBO,
    "iwae": kv.objectives.IWAE,
    "free_bits": kv.objectives.FreeBits,
    "stream": kv.objectives.ELBO,
}


def data():
    """Returns gray images that are binarized in training, with uneven weights.

    Their numbers, 50 and 23, are no multiples of the batch.
    """
    weights = np.linspace(0.0, 3.0, 50, dtype=np.float32)
    train = kv.data.Examples(0.8 * make_binary(50) + 0.1, weights=weights, noise="bernoulli")
    return train, kv.data.Examples(make_binary(23, seed=1))


def train(strategy, names=tuple(OBJECTIVES)):
    """Returns name -> array: history and weights of two epochs of each objective, in batches of 18."""
    results = {}
    for name in names:
        with strategy.scope():
            # One model has a scale that follows the residuals, which are sums over all replicas.
            likelihood = kv.likelihoods.Gaussian(SHAPE, scale="shared") if name == "iwae" else None
            vae = make_vae(objective=OBJECTIVES[name](), likelihood=likelihood)
            if name != "elbo":
                vae.compile(AveragingAdam(1e-2, weight_decay=0.1, global_clipnorm=1.0))
        images, validation = data()
        options = dict(batch_size=18, epochs=2, verbose=0, callbacks=[kv.callbacks.AveragedWeights()])
        if name == "stream":
            # Its length is unknown before its end. For one machine only: workers would all take all rows.
            images = tf.data.Dataset.from_tensor_slices(make_binary(54)).filter(lambda x: True).batch(18, True)
            validation, options["batch_size"] = images, None
        history = vae.fit(images, validation_data=validation, **options).history
        results |= {f"{name} {key}": np.array(values) for key, values in history.items()}
        results |= {f"{name} weight {i}": variable.numpy() for i, variable in enumerate(vae.trainable_variables)}
    return results


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    np.savez(sys.argv[2], **train(strategies.make(sys.argv[1]), sys.argv[3:]))
