"""Writes random words of the package to standard output, for statistical test suites.

python benchmarks/noise_words.py | dieharder -a -g 200
python benchmarks/noise_words.py draws | dieharder -a -g 200

The first are the words of `keras_vae.noise`, both of each counter, stream after stream. Binary and dequantized examples
are drawn from the second (`keras_vae.data.drawing`): place after place, row after row, epoch after epoch.
"""

import argparse
import itertools
import sys
from collections.abc import Callable

import tensorflow as tf

from keras_vae.data.drawing import keys_of_rows, words_of
from keras_vae.distributions.noise import Noise

ROWS, COLUMNS = 1024, 1024


def noise(seed: int = 0) -> Callable[[int], tf.Tensor]:
    """Returns a function of a stream that returns its words."""
    words = tf.function(lambda stream: tf.stack(Noise(seed, stream).words((ROWS, COLUMNS)), -1), jit_compile=True)
    return lambda number: words(tf.constant(number, tf.int64))


def draws(seed: int = 0) -> Callable[[int], tf.Tensor]:
    """Returns a function of an epoch that returns its words."""
    words = tf.function(lambda keys: words_of(keys, COLUMNS), jit_compile=True)
    return lambda number: words(tf.constant(keys_of_rows(seed, number, ROWS)))


def main() -> None:
    """Writes little-endian uint32 words until the reader ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = {"noise": noise, "draws": draws}
    parser.add_argument("kind", nargs="?", default="noise", choices=kinds, help="which words are written")
    words = kinds[parser.parse_args().kind]()
    try:
        for number in itertools.count():
            sys.stdout.buffer.write(words(number).numpy().astype("<u4").tobytes())
    except BrokenPipeError:
        sys.stderr.close()  # Python would report at exit that the reader has ended


if __name__ == "__main__":
    main()
