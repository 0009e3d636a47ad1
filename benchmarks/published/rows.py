"""The rows of the table: who published what, and the settings with which this package runs it."""

import dataclasses

from keras_vae.config import Config
from keras_vae.presets import PRESETS

BURDA = "Burda, Grosse and Salakhutdinov (2016), table 1"
FLAX = "flax, examples/vae, README"
VAMP = "Tomczak and Welling (2018), table 1, gated 300-300"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
      title: what the table calls it.
      measure: "test_elbo" or "test_log_likelihood" of the report, in nats.
      published: the published value of that measure, in nats.
      source: who published it.
      config: the settings.
      remark: how the run differs from what was published, empty if in nothing.
    """

    title: str
    measure: str
    published: float
    source: str
    config: Config
    remark: str = ""


def _config(preset="default", **settings):
    return Config(**{**PRESETS[preset].settings, "export": False, "num_importance_samples": 5000, **settings})


# The paper's network on a schedule for hours instead of days.
_PAPER = {"batch_size": 100, "learning_rate": 2e-3, "learning_rate_schedule": "cosine", "epsilon": 1e-7}
_SHORTER = "55,000 training images; batch 100 and a cosine instead of batch 20 and 3,280 epochs in 8 stages"
_OTHER = "55,000 training images; another network: 784-512-512-40 GELU"

ROWS = {
    "flax": Row("flax example", "test_elbo", -104.0, FLAX, _config("flax"), "55,000 training images"),
    "vae-1": Row(
        "VAE, 1 layer, k = 1",
        "test_log_likelihood",
        -86.76,
        BURDA,
        _config("iwae-paper", epochs=1000, **_PAPER),
        _SHORTER,
    ),
    "vae-2": Row(
        "VAE, 2 layers, k = 1",
        "test_log_likelihood",
        -85.33,
        BURDA,
        _config("iwae-paper-2-layers", epochs=800, **_PAPER),
        _SHORTER,
    ),
    "iwae-5": Row(
        "IWAE, 1 layer, k = 5",
        "test_log_likelihood",
        -85.54,
        BURDA,
        _config("iwae-paper", epochs=600, objective="iwae", num_samples=5, **_PAPER),
        _SHORTER,
    ),
    "dense-10-minutes": Row("any dense VAE, k = 1", "test_log_likelihood", -86.76, BURDA, _config(epochs=120), _OTHER),
    "vamp": Row(
        "VAE + VampPrior",
        "test_log_likelihood",
        -82.38,
        VAMP,
        _config(epochs=150, prior="vamp", num_components=500),
        _OTHER,
    ),
}
