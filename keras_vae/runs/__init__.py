"""Runs: settings, the run directory, training, checkpoints, evaluation."""
