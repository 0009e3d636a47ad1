"""Variational autoencoders for Keras 3 whose every part is a TensorFlow Probability distribution."""

from keras_vae import command_line, parsers
from keras_vae.environment import check_backend

if _module := command_line.module_to_run("keras_vae"):
    # Before the command itself runs, which could only be quiet about what comes later.
    command_line.start()
    parsers.check(_module)
    command_line.quiet_tensorflow()
    with command_line.one_line_errors():
        check_backend()
else:
    check_backend()

from keras_vae import data, likelihoods, networks, noise, objectives, posteriors, priors, sampling, schedules
from keras_vae.decoder import Decoder
from keras_vae.encoder import Encoder
from keras_vae.vae import VAE

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "Decoder",
    "Encoder",
    "data",
    "likelihoods",
    "networks",
    "noise",
    "objectives",
    "posteriors",
    "priors",
    "sampling",
    "schedules",
]


def __getattr__(name: str):
    # scikit-learn, which it needs, is optional.
    if name == "VAETransformer":
        from keras_vae.transformer import VAETransformer

        return VAETransformer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
