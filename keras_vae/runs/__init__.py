"""Runs: from a `Config` to a run directory with a trained model, its checkpoints, report and figures."""
