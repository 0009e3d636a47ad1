"""Measures `fit` on each kind of data beside `fit` on arrays: `python benchmarks/ways_in.py`.

All train the same network on the same images, in turn for several rounds of one run; what is reported is the time of
each beside that of arrays in the same round, the median over the rounds. Five minutes on two quiet cores.
"""

import argparse
import json
import pathlib
import statistics
import time

BATCH_SIZE, STEPS, EPOCHS = 100, 400, 5


def make_ways():
    """Returns name -> function that trains a model for `EPOCHS` epochs of `STEPS` steps."""
    import keras
    import numpy as np
    import tensorflow as tf

    x = (np.random.default_rng(0).random((BATCH_SIZE * STEPS, 28, 28, 1)) > 0.5).astype(np.float32)
    rows = [x[start : start + BATCH_SIZE] for start in range(0, len(x), BATCH_SIZE)]

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return STEPS

        def __getitem__(self, index):
            return rows[index]

    def batches():
        return tf.data.Dataset.from_tensor_slices(x).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)

    def fit(data, epochs=EPOCHS, **options):
        return lambda vae: vae.fit(data(), epochs=epochs, verbose=0, **options)

    def short_fits(vae):
        for _ in range(EPOCHS):
            fit(lambda: x, epochs=1, batch_size=BATCH_SIZE)(vae)

    return {
        "arrays": fit(lambda: x, batch_size=BATCH_SIZE),
        "tf.data": fit(batches),
        "tf.data of unknown length": fit(lambda: batches().filter(lambda batch: True)),
        "PyDataset": fit(Batches),
        "a fifth of the steps an epoch": fit(
            lambda: x, epochs=5 * EPOCHS, steps_per_epoch=STEPS // 5, batch_size=BATCH_SIZE
        ),
        "one fit an epoch": short_fits,
    }


def make_model():
    """Returns a compiled 784-200-200-50."""
    import keras

    import keras_vae as kv

    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((200, 200)), kv.posteriors.DiagonalGaussian(50)),
        kv.Decoder(kv.networks.mlp((200, 200)), kv.likelihoods.Bernoulli((28, 28, 1))),
        seed=0,
    )
    vae.compile()
    return vae


def main() -> None:
    """Measures, prints and writes the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that compiles")
    parser.add_argument("--output", default="benchmarks/results/ways_in.json", help="file of the results")
    options = parser.parse_args()
    ways = make_ways()
    models = {name: make_model() for name in ways}
    seconds: dict = {name: {"wall": [], "cpu": []} for name in ways}
    for number in range(options.rounds + 1):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way(models[name])
            if number:
                seconds[name]["wall"].append(time.perf_counter() - wall)
                seconds[name]["cpu"].append(time.process_time() - cpu)
        if number:
            print(f"round {number}", {name: round(times["wall"][-1], 2) for name, times in seconds.items()}, flush=True)
    results = {name: {kind: ratio(times, seconds["arrays"], kind) for kind in times} for name, times in seconds.items()}
    for name, ratios in results.items():
        print(f"{name}: {ratios['wall']:.2f} of the time of arrays, {ratios['cpu']:.2f} of its CPU time")
    pathlib.Path(options.output).write_text(json.dumps(results, indent=2) + "\n")


def ratio(times: dict, arrays: dict, kind: str) -> float:
    """Returns the median over the rounds of the time beside that of arrays."""
    return round(statistics.median(a / b for a, b in zip(times[kind], arrays[kind], strict=True)), 3)


if __name__ == "__main__":
    main()
