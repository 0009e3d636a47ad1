"""Likelihoods, the heads of decoders: features of z -> p(x|z)."""

from keras_vae.likelihoods.autoregressive import Autoregressive
from keras_vae.likelihoods.binary import Bernoulli, ContinuousBernoulli
from keras_vae.likelihoods.head import Likelihood
from keras_vae.likelihoods.levels import Categorical, DiscretizedLogisticMixture
from keras_vae.likelihoods.scaled import Gaussian, Laplace
from keras_vae.likelihoods.tokens import Tokens

__all__ = [
    "Autoregressive",
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Tokens",
]
