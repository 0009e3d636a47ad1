"""The engine of `fit` and `evaluate`: many training steps in one call, checked streams, several devices.

It knows what a training step of a model is, but not that the model is a VAE.
"""
