"""Training and evaluation: arrays and streams in blocks of steps, under strategies, on Keras."""
