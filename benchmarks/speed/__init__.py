"""Speed of keras_vae and its peers at the same work, in turn, in one run: `python -m benchmarks.speed --help`."""
