"""Measures of a trained model: likelihood, information, disentanglement, sample quality and its latent space."""

from typing import TYPE_CHECKING

from keras_vae.utils import lazy

if TYPE_CHECKING:
    from keras_vae.measure import disentanglement, evaluation, frechet, information, latent
    from keras_vae.measure.disentanglement import disentanglement_scores
    from keras_vae.measure.evaluation import (
        active_units,
        evaluate,
        mean_kl,
        mean_kl_per_dimension,
        reconstruction_error,
    )
    from keras_vae.measure.frechet import ClassifierFeatures, frechet_distance, sample_quality
    from keras_vae.measure.information import split_kl
    from keras_vae.measure.texts import text_measures
    from keras_vae.models.codes import posterior_centers

__all__ = [
    "ClassifierFeatures",
    "active_units",
    "disentanglement",
    "disentanglement_scores",
    "evaluate",
    "evaluation",
    "frechet",
    "frechet_distance",
    "information",
    "latent",
    "mean_kl",
    "mean_kl_per_dimension",
    "posterior_centers",
    "reconstruction_error",
    "sample_quality",
    "split_kl",
    "text_measures",
]

# Module -> its functions and classes that are also reached without the module's name: `keras_vae.measure.evaluate`.
_FUNCTIONS = {
    "keras_vae.measure.disentanglement": ["disentanglement_scores"],
    "keras_vae.measure.evaluation": [
        "active_units",
        "evaluate",
        "mean_kl",
        "mean_kl_per_dimension",
        "reconstruction_error",
    ],
    "keras_vae.measure.frechet": ["ClassifierFeatures", "frechet_distance", "sample_quality"],
    "keras_vae.measure.information": ["split_kl"],
    "keras_vae.measure.texts": ["text_measures"],
    "keras_vae.models.codes": ["posterior_centers"],
}
_HOMES = {name: module for module, names in _FUNCTIONS.items() for name in names}
__getattr__, __dir__ = lazy.attach(__name__, {name: _HOMES.get(name, f"{__name__}.{name}") for name in __all__})
