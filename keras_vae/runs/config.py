"""The settings of a run: one frozen dataclass and its checks.

This file imports no library that is slow to import, so that `train.py --help` and a wrong flag answer at once.
"""

import dataclasses
import re
from typing import Any

from keras_vae.runs import options
from keras_vae.runs.options import option

_MANY, _MOST = 10**6, 10**9


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run; a value that is not allowed raises `ValueError` that names the field."""

    dataset: str = option(
        "mnist",
        "'mnist' (ships with the package), 'sprites' (drawn, factors known), 'digits' (scikit-learn's), a folder of "
        "images (sub-folders are labels; train/, test/ and validation/ are splits), a folder of IDX files, an .npy or "
        ".npz file of images, series or vectors, or a tensorflow-datasets name",
    )
    data_kind: str = option(
        "auto",
        "what the arrays of an .npy or .npz file are: 'vectors' (count, values), 'series' (count, time) or (count, "
        "time, channels), 'images' (count, height, width) or (count, height, width, channels); 'auto' takes two "
        "dimensions for vectors, and more for images",
        choices=("auto", "images", "series", "vectors"),
    )
    data_dir: str = option("", "folder of prepared tensorflow-datasets; empty: ~/tensorflow_datasets")
    image_size: str = option(
        "",
        "HEIGHTxWIDTH, or one number for both, to which a folder of images is brought: cut in the middle, resized; "
        "empty: as they are",
    )
    on_bad_image: str = option(
        "stop", "what to do about images in a folder that cannot be read", choices=("stop", "skip")
    )
    background: str = option(
        "white",
        "color that images of a folder with an alpha channel or a transparent color are laid on: a name of CSS or "
        "#RRGGBB",
    )
    binarization: str = option(
        "auto",
        "how gray images become binary: a fresh Bernoulli draw at each presentation, one fixed draw, a threshold at "
        "0.5, or not; 'auto' is 'dynamic' for mnist with likelihood=bernoulli and 'none' otherwise",
        choices=("auto", "dynamic", "static", "threshold", "none"),
    )
    dequantization: str = option(
        "auto",
        "'uniform' adds noise as wide as one level to 8-bit images, so that a density on them bounds the probability "
        "of the 8-bit image; 'auto' does so for likelihoods that are densities (gaussian, laplace, "
        "continuous_bernoulli) if images are 8-bit and not binarized",
        choices=("auto", "uniform", "none"),
    )
    test_fraction: float = option(
        1 / 6, "part of the data kept for the test where they have no test set", low=0, high=1, open_ends=True
    )
    validation_fraction: float = option(
        1 / 12, "part of the training set kept for validation", low=0, high=1, open_ends=True
    )
    run_dir: str = option(
        "", "folder for the results: a new one, or that of a run to go on with; empty: runs/<dataset>-<time>"
    )
    network: str = option(
        "mlp",
        "trunks of encoder and decoder; all but 'mlp' are for images; 'tfp' and 'cvae' are those of TensorFlow "
        "Probability's example and of TensorFlow's tutorial, for images whose height and width are divisible by 4",
        choices=("mlp", "conv", "tfp", "cvae"),
    )
    hidden_units: tuple = option(
        (512, 512),
        "widths of the dense layers of network=mlp, separated by commas",
        low=1,
        high=_MANY,
        acts_with=("network", ("mlp",)),
    )
    activation: str = option(
        "gelu",
        "activation of the trunks; glu: h * sigmoid(g), gated",
        choices=("gelu", "glu", "leaky_relu", "relu", "silu", "tanh"),
    )
    latent_dim: int = option(40, "dimension of z", low=1, high=_MANY)
    upper_latent_dims: tuple = option(
        (),
        "dimensions of further stochastic layers above z, separated by commas: a hierarchical model with "
        "posterior=diagonal, whose prior is that of the topmost",
        low=1,
        high=_MANY,
    )
    upper_hidden_units: tuple = option(
        (100, 100),
        "widths of the dense layers from one stochastic layer to the next",
        low=1,
        high=_MANY,
        acts_with=("upper_latent_dims", ()),
    )
    posterior: str = option(
        "diagonal", "q(z|x)", choices=("diagonal", "isotropic", "full", "laplace", "flow", "deterministic")
    )
    prior: str = option("normal", "p(z); all but 'normal' are learned", choices=("normal", "mixture", "vamp", "flow"))
    num_components: int = option(
        100,
        "components of prior=mixture, pseudo-inputs of prior=vamp",
        low=1,
        high=_MANY,
        acts_with=("prior", ("mixture", "vamp")),
    )
    likelihood: str = option(
        "bernoulli",
        "p(x|z)",
        choices=("bernoulli", "continuous_bernoulli", "gaussian", "laplace", "categorical", "logistic_mixture"),
    )
    likelihood_scale: str = option(
        "1",
        "scale of likelihood=gaussian and laplace: a number, 'shared' (one learned) or 'per_value' (a function of z)",
        acts_with=("likelihood", ("gaussian", "laplace")),
    )
    conditional: bool = option(False, "condition encoder and decoder on the label")
    objective: str = option(
        "elbo",
        "what training maximizes",
        choices=("elbo", "free_bits", "capacity", "iwae", "dreg", "beta_tcvae", "wae", "reconstruction"),
    )
    kl_estimator: str = option(
        "analytic",
        "KL of objective=elbo",
        choices=("analytic", "monte_carlo", "path_derivative"),
        acts_with=("objective", ("elbo",)),
    )
    num_samples: int = option(
        5,
        "samples an example in objective=iwae and dreg",
        low=1,
        high=10_000,
        acts_with=("objective", ("iwae", "dreg")),
    )
    free_bits: float = option(
        0.1,
        "nats of each dimension that cost nothing in objective=free_bits",
        low=0,
        high=_MANY,
        acts_with=("objective", ("free_bits",)),
    )
    capacity: float = option(
        25.0,
        "nats the KL is held at in objective=capacity, after kl_warmup_steps",
        low=0,
        high=_MANY,
        acts_with=("objective", ("capacity",)),
    )
    penalty: float = option(
        0.0,
        "weight of the total correlation in objective=beta_tcvae, of the MMD in wae, of the distance in capacity; "
        "0 is the objective's own: 6, 100, 100",
        low=0,
        high=_MANY,
        acts_with=("objective", ("beta_tcvae", "wae", "capacity")),
    )
    kl_weight: float = option(
        1.0, "factor on the KL term of the loss; 1 is the ELBO, above 1 the beta-VAE", low=0, high=_MANY
    )
    kl_schedule: str = option(
        "linear",
        "how the KL weight rises in kl_warmup_steps",
        choices=("linear", "cosine", "cyclic"),
        acts_with=("kl_warmup_steps", ()),
    )
    kl_warmup_steps: int = option(0, "steps in which the KL weight (or the capacity) rises from 0", low=0, high=_MOST)
    adapt: bool = option(
        True,
        "start from the training data: the encoder's input centered at its mean, the output there, pseudo-inputs at "
        "examples",
    )
    epochs: int = option(40, "passes over the training set", low=1, high=_MANY)
    batch_size: int = option(128, "examples in a batch", low=1, high=_MANY)
    learning_rate: float = option(2e-3, "peak learning rate of Adam", low=0, high=1000, open_ends=True)
    learning_rate_schedule: str = option(
        "cosine",
        "'cosine' falls to 0, 'constant' stays, 'stages' falls tenfold in 8 stages, each three times as long as the "
        "one before (Burda et al., 2016)",
        choices=("cosine", "constant", "stages"),
    )
    warmup_steps: int = option(
        500,
        "steps in which the learning rate of a cosine rises from 0",
        low=0,
        high=_MOST,
        acts_with=("learning_rate_schedule", ("cosine",)),
    )
    epsilon: float = option(1e-7, "epsilon of Adam", low=0, high=1000, open_ends=True)
    seed: int = option(0, "seed of everything random in the run", low=0, high=2**31 - 1)
    num_importance_samples: int = option(500, "samples an example in the test log likelihood", low=1, high=_MANY)
    strategy: str = option(
        "none",
        "'mirrored' trains on all GPUs of this machine, 'multi_worker' on the workers that TF_CONFIG or a Slurm step "
        "names; batch_size is that of all together, and the result the same",
        choices=("none", "mirrored", "multi_worker"),
    )
    image_grid_epochs: int = option(
        0,
        "epochs from one drawing of figures/epochs to the next, in TensorBoard too; 0 draws at the end only",
        low=0,
        high=_MANY,
    )
    export: bool = option(True, "write the SavedModel and the TFLite decoder when done")

    def __post_init__(self) -> None:
        for name in FIELDS:
            check(name, getattr(self, name))
        if self.image_size and not (_SIZE.fullmatch(self.image_size) and max(self.size() or (0,)) <= _MAX_PIXELS):
            raise ValueError(
                f"`image_size` must be HEIGHTxWIDTH or one number, in pixels, each from 1 to {_MAX_PIXELS:,}. "
                f"Received: {self.image_size!r}"
            )
        if self.likelihood_scale not in ("shared", "per_value") and not _is_scale(self.likelihood_scale):
            raise ValueError(
                "`likelihood_scale` must be a number from 1e-12 to 1e+12, 'shared' or 'per_value'. "
                f"Received: {self.likelihood_scale!r}"
            )
        if self.upper_latent_dims and (self.posterior, self.prior == "vamp") != ("diagonal", False):
            raise ValueError(
                "`upper_latent_dims` needs posterior=diagonal and a prior other than vamp. Received: "
                f"upper_latent_dims={self.upper_latent_dims}, posterior={self.posterior!r}, prior={self.prior!r}"
            )
        factorizes = self.objective in ("free_bits", "beta_tcvae")
        if self.upper_latent_dims and (
            factorizes or self.objective == "dreg" or self.kl_estimator == "path_derivative"
        ):
            raise ValueError(
                "`upper_latent_dims` needs another objective than free_bits, beta_tcvae and dreg, and another "
                f"kl_estimator than path_derivative. Received: objective={self.objective!r}, "
                f"kl_estimator={self.kl_estimator!r}"
            )
        if self.strategy == "multi_worker" and not self.run_dir:
            raise ValueError("`run_dir` must be given with strategy=multi_worker, the same for all. Received: ''")

    def without_effect(self) -> list[str]:
        """Returns a sentence for each setting that is not at its default and has no effect with the other settings."""
        fields = {field.name: field for field in dataclasses.fields(self)}
        sentences = []
        for name, field in fields.items():
            value, (other, values) = getattr(self, name), field.metadata["acts_with"] or (name, ())
            found, default = getattr(self, other), fields[other].default
            idle = found not in values if values else found == default
            if value != field.default and idle:
                needed = " or ".join(f"{other}={needed}" for needed in values) or f"{other} other than {default}"
                sentences.append(f"{name}={value} does nothing with {other}={found}: it acts with {needed}")
        return sentences

    def size(self) -> tuple[int, int] | None:
        """Returns `image_size` as (height, width), or None if it is empty."""
        numbers = [int(number) for number in self.image_size.split("x") if number]
        return (numbers[0], numbers[-1]) if numbers else None

    def to_dict(self) -> dict:
        """Returns the settings as plain values, for config.json."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, settings: dict) -> "Config":
        """Returns the settings of `to_dict`.

        Raises:
          TypeError: if there is a name that is no setting.
          ValueError: if a value is not allowed.
        """
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
        return cls(**values)


_SIZE = re.compile("[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})?")
_MAX_PIXELS = 65_535


def _is_scale(text: str) -> bool:
    try:
        return 1e-12 <= float(text) <= 1e12
    except ValueError:
        return False


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def check(name: str, value: Any) -> None:
    """Raises `ValueError` unless the field of `Config` with that name may have the value, apart from other fields."""
    options.check(FIELDS[name], value)
