"""Posteriors, the heads of encoders: features of x -> q(z|x)."""

from keras_vae.posteriors.deterministic import Deterministic
from keras_vae.posteriors.flow import Flow
from keras_vae.posteriors.gaussian import DiagonalGaussian, FullGaussian, IsotropicGaussian
from keras_vae.posteriors.head import Posterior, ScaledPosterior
from keras_vae.posteriors.hierarchical import Hierarchical
from keras_vae.posteriors.iaf import IAF
from keras_vae.posteriors.laplace import Laplace

__all__ = [
    "IAF",
    "Deterministic",
    "DiagonalGaussian",
    "Flow",
    "FullGaussian",
    "Hierarchical",
    "IsotropicGaussian",
    "Laplace",
    "Posterior",
    "ScaledPosterior",
]
