"""From a trained run to files that generate samples on a server and on a device: `python -m export RUN_DIR`."""
