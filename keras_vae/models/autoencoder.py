"""The plain autoencoder, and a density of its codes that makes it generate.

A plain autoencoder is a `VAE` with other parts: the posterior `Deterministic` and the objective `Reconstruction`. The
distribution of its codes is unknown, so that decoding N(0, I) gives no pictures like the data. Samples of a density
that is fitted to the codes after training do (Ghosh et al., "From variational to deterministic autoencoders", 2020,
section 5).
"""

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.models.codes import posterior_centers
from keras_vae.models.vae import VAE
from keras_vae.priors import MixtureOfGaussians
from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, PositiveInt, Seed, checked
from keras_vae.utils.optional import scikit_learn


@checked
def with_fitted_density(
    model: VAE, data: Examples | ArrayLike, num_components: PositiveInt = 10, seed: Seed = 0
) -> VAE:
    """Returns a model with the encoder and decoder of `model`, whose prior is a mixture fitted to the codes of `data`.

    The mixture of diagonal Gaussians is fitted by scikit-learn's expectation maximization. Encoder and decoder are not
    trained again, and are shared with `model`.

    Args:
      model: an autoencoder or a VAE without condition.
      data: training examples, an array `(count, *event_shape)` or `keras_vae.data.Examples`.
      num_components: number of components, at most `count`.
      seed: seed of the values from which the fit starts.

    Raises:
      ImportError: if scikit-learn is not installed.
      ValueError: if `num_components` is not an integer of at least 1.
    """
    codes = posterior_centers(model, data).astype(np.float64)
    codes = codes.reshape(len(codes), -1)
    if num_components > len(codes):
        raise ValueError(
            f"`num_components` must be at most {len(codes)}, the number of examples. "
            f"Received: num_components={num_components!r}"
        )
    mixture = (
        scikit_learn("mixture")
        .GaussianMixture(
            checks.positive_int("num_components", num_components), covariance_type="diag", random_state=seed
        )
        .fit(codes)
    )
    fitted = VAE(
        model.encoder,
        model.decoder,
        prior=MixtureOfGaussians(model.latent_shape, num_components),
        objective=model.objective,
        seed=model.seed,
    )
    loc, scale = (values.reshape(-1, *model.latent_shape) for values in (mixture.means_, np.sqrt(mixture.covariances_)))
    fitted.prior.set_mixture(mixture.weights_, loc, scale)
    return fitted
