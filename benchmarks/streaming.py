"""Measures the peak memory of `fit` on long streams: `python benchmarks/streaming.py --gigabytes=1,8,32`.

Each size is trained on in a process of its own. Its `tf.data` set draws color images of 96 x 96 as they are read, and
keeps none. The command prints gigabytes streamed, images a second and the peak resident memory of the process.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time

SHAPE, BATCH_SIZE = (96, 96, 3), 100


def work(gigabytes: float) -> dict:
    """Trains one epoch on a stream of this size; returns its speed and peak memory."""
    import tensorflow as tf

    import keras_vae as kv

    steps = math.ceil(gigabytes * 2**30 / (4 * math.prod(SHAPE) * BATCH_SIZE))

    def batch(i):
        return tf.random.stateless_uniform((BATCH_SIZE, *SHAPE), (0, i), alg="philox")

    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((16,)), kv.posteriors.DiagonalGaussian(4)),
        kv.Decoder(kv.networks.mlp((16,)), kv.likelihoods.Gaussian(SHAPE)),
        seed=0,
    )
    vae.compile()
    start = time.perf_counter()
    vae.fit(tf.data.Dataset.range(steps).map(batch).prefetch(2), epochs=1, verbose=0)
    seconds = time.perf_counter() - start
    return {
        "gigabytes": gigabytes,
        "images_per_second": round(steps * BATCH_SIZE / seconds),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", default="1,8,32", help="sizes of the streams, separated by commas")
    parser.add_argument("--here", action="store_true", help="train in this process, on the first size alone")
    flags = parser.parse_args()
    sizes = [float(size) for size in flags.gigabytes.split(",")]
    if flags.here:
        print(json.dumps(work(sizes[0])))
        return
    for size in sizes:
        command = [sys.executable, __file__, "--here", f"--gigabytes={size}"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        print(result.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
