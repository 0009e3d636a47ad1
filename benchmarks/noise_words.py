"""Writes the raw words of `keras_vae.noise` to standard output, for statistical test suites.

python benchmarks/noise_words.py | dieharder -a -g 200
"""

import sys

import tensorflow as tf

from keras_vae.distributions.noise import Noise

ROWS, COLUMNS = 1024, 1024


def main(seed: int = 0) -> None:
    """Writes little-endian uint32 words, both words of each counter, stream after stream, until the reader ends."""
    words = tf.function(lambda stream: tf.stack(Noise(seed, stream).words((ROWS, COLUMNS)), -1), jit_compile=True)
    stream = 0
    try:
        while True:
            sys.stdout.buffer.write(words(tf.constant(stream, tf.int64)).numpy().astype("<u4").tobytes())
            stream += 1
    except BrokenPipeError:
        sys.stderr.close()  # Python would report at exit that the reader has ended


if __name__ == "__main__":
    main()
