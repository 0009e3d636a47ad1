"""Variational autoencoders for Keras 3 whose every part is a TensorFlow Probability distribution.

A name is imported when it is first used: `import keras_vae` alone imports neither Keras nor TensorFlow.
"""

import sys
from typing import TYPE_CHECKING, Any

from keras_vae.utils import lazy
from keras_vae.utils.environment import check_backend
from keras_vae.utils.version import __version__ as __version__

if TYPE_CHECKING:
    from keras_vae import (
        callbacks,
        data,
        distributions,
        integrations,
        likelihoods,
        measure,
        models,
        networks,
        objectives,
        plotting,
        posteriors,
        priors,
        runs,
    )
    from keras_vae.distributions import noise, sampling
    from keras_vae.integrations import hub
    from keras_vae.integrations.sklearn import VAETransformer as VAETransformer
    from keras_vae.measure import latent
    from keras_vae.models import VAE, Decoder, Encoder
    from keras_vae.objectives import schedules

__all__ = [
    "VAE",
    "Decoder",
    "Encoder",
    "callbacks",
    "data",
    "distributions",
    "hub",
    "integrations",
    "latent",
    "likelihoods",
    "measure",
    "models",
    "networks",
    "noise",
    "objectives",
    "plotting",
    "posteriors",
    "priors",
    "runs",
    "sampling",
    "schedules",
]

# Every other public name is a sub-package or a file of the same name. `VAETransformer` needs scikit-learn, which is not
# always installed, and is therefore no part of `__all__`.
_ELSEWHERE = {
    "VAE": "keras_vae.models.vae",
    "Decoder": "keras_vae.models.decoder",
    "Encoder": "keras_vae.models.encoder",
    "VAETransformer": "keras_vae.integrations.sklearn",
    "hub": "keras_vae.integrations.hub",
    "latent": "keras_vae.measure.latent",
    "noise": "keras_vae.distributions.noise",
    "sampling": "keras_vae.distributions.sampling",
    "schedules": "keras_vae.objectives.schedules",
}
_imported, _ = lazy.attach(__name__, {name: f"keras_vae.{name}" for name in __all__} | _ELSEWHERE)


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in __all__ or name in _ELSEWHERE:
        check_backend()
    return _imported(name)


if "keras" in sys.modules:
    # The program imported Keras first and may call `keras.saving.load_model`, which only finds classes that have been
    # imported. This import registers those of the package.
    __getattr__("models")
