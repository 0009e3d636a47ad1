"""`VAETransformer`, a VAE of rows of features as a scikit-learn transformer."""

import contextlib
import pathlib
import random
import tempfile
from collections.abc import Sequence
from typing import Any, Literal, Self

import keras
import numpy as np

from keras_vae import likelihoods, networks, posteriors
from keras_vae.models.codes import posterior_centers
from keras_vae.models.decoder import Decoder
from keras_vae.models.encoder import Encoder
from keras_vae.models.vae import VAE
from keras_vae.utils import checks
from keras_vae.utils.arguments import PositiveInt, checked
from keras_vae.utils.optional import scikit_learn

base = scikit_learn("base")
validation = scikit_learn("utils.validation")
LIKELIHOODS = {
    "gaussian": lambda shape: likelihoods.Gaussian(shape, scale="shared"),
    "bernoulli": likelihoods.Bernoulli,
}


class VAETransformer(
    base.ClassNamePrefixFeaturesOutMixin,  # type: ignore[name-defined]
    base.TransformerMixin,  # type: ignore[name-defined]
    base.BaseEstimator,  # type: ignore[name-defined]
):
    """Maps rows to the centers of q(z|x), and scores them by log p(x) in nats, with scikit-learn's methods.

    Args:
      n_components: dimension of z, a positive integer.
      likelihood: "gaussian" for real features, which should be standardized, because they share one learned scale; or
        "bernoulli" for features that are 0 or 1.
      hidden_units: widths of the encoder's hidden layers; the decoder has them in reverse order, and () is linear.
      epochs: passes over the data, a positive integer.
      batch_size: rows a step, a positive integer.
      learning_rate: of Adam, positive.
      num_importance_samples: K of the bound of log p(x) that `score_samples` returns.
      random_state: integer, `numpy.random.RandomState` or None; it determines initial weights, order of the data and
        all noise.

    Attributes:
      model_: the trained `keras_vae.VAE`.
      history_: name of a metric -> list with its value after each epoch.
      n_features_in_: number of features.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
        hidden_units: Sequence[int] = (128,),
        epochs: int = 100,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        num_importance_samples: int = 100,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.likelihood = likelihood
        self.hidden_units = hidden_units
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.num_importance_samples = num_importance_samples
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains on X `(n_samples, n_features)`, finite numbers; y is ignored. Returns the transformer.

        Raises:
          ValueError: if an argument of the constructor or X is invalid.
        """
        likelihood = LIKELIHOODS[checks.one_of("likelihood", self.likelihood, LIKELIHOODS)]
        hidden_units = checks.shape("hidden_units", self.hidden_units)
        n_components = checks.positive_int("n_components", self.n_components)
        epochs, batch_size = (checks.positive_int(name, getattr(self, name)) for name in ("epochs", "batch_size"))
        checks.positive_int("num_importance_samples", self.num_importance_samples)
        optimizer = keras.optimizers.Adam(checks.positive_float("learning_rate", self.learning_rate))
        X = self._validated(X, reset=True)
        self._seed = self._drawn_seed()
        with _initial_weights(self._seed):
            self.model_ = VAE(
                Encoder(networks.mlp(hidden_units), posteriors.DiagonalGaussian(n_components)),
                Decoder(networks.mlp(hidden_units[::-1]), likelihood((X.shape[1],))),
                seed=self._seed,
            )
        self.model_.adapt(X)
        self.model_.compile(optimizer)
        self.history_ = self.model_.fit(X, epochs=epochs, batch_size=batch_size, verbose=0).history
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Returns the center of q(z|x) of each row, `(n_samples, n_components)`."""
        return posterior_centers(self._model(), self._validated(X))

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Returns the mean of p(x|z) for each row of Z `(n_samples, n_components)`: `(n_samples, n_features)`."""
        return self._model().decode(validation.check_array(Z, dtype=np.float32)).mean().numpy()

    def score_samples(self, X: Any) -> np.ndarray:
        """Returns the importance-weighted bound of log p(x) of each row in nats, `(n_samples,)`, by `VAE.log_prob`."""
        return self._model().log_prob(self._validated(X), self.num_importance_samples, self._seed)

    def score(self, X: Any, y: Any = None) -> float:
        """Returns the mean of `score_samples`; y is ignored."""
        return float(self.score_samples(X).mean())

    @checked
    def sample(self, n_samples: PositiveInt = 1) -> np.ndarray:
        """Returns draws of x, `(n_samples, n_features)`; with an integer `random_state` each call returns the same."""
        return self._model().sample(n_samples, self._drawn_seed(), output="sample").numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.model_.latent_dim

    def _drawn_seed(self):
        try:
            state = scikit_learn("utils").check_random_state(self.random_state)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`random_state` must be an integer, a RandomState or None: {error}") from None
        return int(state.randint(2**31 - 1))

    def _model(self):
        validation.check_is_fitted(self)
        return self.model_

    def _validated(self, X, reset=False):
        if not reset:
            validation.check_is_fitted(self)
        return validation.validate_data(self, X, dtype=np.float32, reset=reset)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "model_" not in state:
            return state
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            state["model_"].save(path)
            return {**state, "model_": path.read_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "model.keras"
                path.write_bytes(state["model_"])
                state = {**state, "model_": keras.saving.load_model(path, safe_mode=True)}
        super().__setstate__(state)


@contextlib.contextmanager
def _initial_weights(seed):
    # Keras draws the seeds of initializers from Python's global generator. Its state belongs to the user's program, and
    # is restored.
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
