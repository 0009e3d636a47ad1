"""Speed of keras_vae against peers: the same work, in turn, in one run. `python -m benchmarks.speed --help`."""
