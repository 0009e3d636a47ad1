"""Objectives, the functions that training maximizes, and schedules of the KL weight."""

from keras_vae.objectives.aggregate import WAE, BetaTCVAE, Reconstruction
from keras_vae.objectives.bounds import ELBO, IWAE, Capacity, DReG, FreeBits
from keras_vae.objectives.objective import Objective, Terms
from keras_vae.objectives.terms import elbo, kl_divergence, kl_method, log_weight

__all__ = [
    "ELBO",
    "IWAE",
    "WAE",
    "BetaTCVAE",
    "Capacity",
    "DReG",
    "FreeBits",
    "Objective",
    "Reconstruction",
    "Terms",
    "elbo",
    "kl_divergence",
    "kl_method",
    "log_weight",
]
