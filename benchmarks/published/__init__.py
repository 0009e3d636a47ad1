"""Comparison with published test likelihoods, of which one command runs a row: `python -m benchmarks.published ROW`."""
