"""Export of a trained run to files that generate samples on a server or a device: `python -m export RUN_DIR`."""
