"""Published test likelihoods, one command a row: `python -m benchmarks.published ROW`."""
