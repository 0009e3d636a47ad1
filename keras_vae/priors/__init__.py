"""Priors: layers without input that return p(z). Some are learned, and one is made of the encoder."""

from keras_vae.priors.flow import MAF, Flow
from keras_vae.priors.hierarchical import Hierarchical
from keras_vae.priors.mixture import MixtureOfGaussians
from keras_vae.priors.normal import StandardNormal
from keras_vae.priors.prior import Prior
from keras_vae.priors.vamp import VampPrior

__all__ = ["MAF", "Flow", "Hierarchical", "MixtureOfGaussians", "Prior", "StandardNormal", "VampPrior"]
