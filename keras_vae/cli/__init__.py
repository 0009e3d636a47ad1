"""The command `keras-vae`, with a file for each of its commands."""
