"""Priors: p(z)."""

from keras_vae.priors.flow import Flow
from keras_vae.priors.hierarchical import Hierarchical
from keras_vae.priors.mixture import MixtureOfGaussians
from keras_vae.priors.normal import StandardNormal
from keras_vae.priors.prior import Prior
from keras_vae.priors.vamp import VampPrior

__all__ = ["Flow", "Hierarchical", "MixtureOfGaussians", "Prior", "StandardNormal", "VampPrior"]
