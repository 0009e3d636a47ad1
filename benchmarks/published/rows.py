"""The rows of the table: a published number, its source, and the settings with which this package runs it."""

import dataclasses

from keras_vae.runs.config import Config
from keras_vae.runs.presets import DEEP, DEEP_FLOW, PRESETS

BURDA = "Burda, Grosse and Salakhutdinov (2016), table 1"
FLAX = "flax, examples/vae, README"
TFP = "TensorFlow Probability, vae_mnist_advi"
CVAE = "TensorFlow, tutorial Convolutional Variational Autoencoder"
VAMP = "Tomczak and Welling (2018), table 1, gated 300-300"
PIXEL_HVAE = "Tomczak and Welling (2018), PixelHVAE + VampPrior"
XU = "Xu et al. (2019), arXiv 1905.13452"
IAF = "Kingma et al. (2016), IAF-VAE"
NVAE = "Vahdat and Kautz (2020), NVAE"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
      title: name in the table.
      measure: "test_elbo" or "test_log_likelihood" of the report, in nats.
      published: the published value of that measure, in nats.
      source: the publication.
      config: the settings.
      remark: differences of the run from the published one; empty if there are none.
    """

    title: str
    measure: str
    published: float
    source: str
    config: Config
    remark: str = ""


def _config(preset="default", **settings):
    return Config(**{"num_importance_samples": 5000, **PRESETS[preset].settings, "export": False, **settings})


# The paper's network trains for hours instead of days with this schedule.
_PAPER = {"batch_size": 100, "learning_rate": 2e-3, "learning_rate_schedule": "cosine", "epsilon": 1e-7}
_LARGER = {**_PAPER, "batch_size": 200, "learning_rate": 3e-3}
_AS_TFP = "53,310 training images; the input is centered by its mean, not by 0.5"
_OTHER = "55,000 training images; another network: 784-512-512-40 GELU"
_FEWER = (
    "55,000 training images; batch 200, Adam 2e-3 on a cosine of 100 epochs, the KL warmed up over 10, "
    "instead of batch 100, 5e-4 and training to an early stop"
)
_WITHOUT = "55,000 training images; with `--adapt`, as the other rows, seeds 0 to 3 reach -159.7 to -160.8"
_DREG = (
    "55,000 training images; DReG with 5 samples instead of the ELBO; batch 128, Adam 2e-3 on a cosine of 100 epochs, "
    "no warm-up of the KL, instead of batch 100, 5e-4 and training to an early stop"
)


_FLOW = {**DEEP, **DEEP_FLOW, "flow_layers": 16}


def _shorter(batch_size):
    return f"55,000 training images; batch {batch_size} and a cosine instead of batch 20 and 3,280 epochs in 8 stages"


def _tfp(published, epochs):
    steps = f"{5 * epochs // 3},000 steps"
    return Row(f"TFP, conv, {steps}", "test_elbo", published, TFP, _config("tfp-advi", epochs=epochs), _AS_TFP)


ROWS = {
    "flax": Row("flax example", "test_elbo", -104.0, FLAX, _config("flax"), "55,000 training images"),
    "vae-1": Row(
        "VAE, 1 layer, k = 1",
        "test_log_likelihood",
        -86.76,
        BURDA,
        _config("iwae-paper", epochs=1000, **_PAPER),
        _shorter(100),
    ),
    "vae-2": Row(
        "VAE, 2 layers, k = 1",
        "test_log_likelihood",
        -85.33,
        BURDA,
        _config("iwae-paper-2-layers", epochs=1500, **_LARGER),
        _shorter(200),
    ),
    "iwae-5": Row(
        "IWAE, 1 layer, k = 5",
        "test_log_likelihood",
        -85.54,
        BURDA,
        _config("iwae-paper", epochs=1200, objective="iwae", num_samples=5, **_LARGER),
        _shorter(200),
    ),
    "dense-10-minutes": Row("any dense VAE, k = 1", "test_log_likelihood", -86.76, BURDA, _config(epochs=120), _OTHER),
    "tfp-advi-5k": _tfp(-110.2, 3),
    "tfp-advi-10k": _tfp(-105.0, 6),
    "tfp-advi": _tfp(-98.7, 12),
    "cvae-tutorial": Row("CVAE tutorial, conv, z = 2", "test_elbo", -155.9, CVAE, _config("cvae-tutorial"), _WITHOUT),
    "cvae-tutorial-1e-3": Row(
        "the same network, ten times the rate",
        "test_elbo",
        -155.9,
        CVAE,
        _config("cvae-tutorial", learning_rate=1e-3, adapt=True),
        "55,000 training images; Adam 1e-3 instead of 1e-4; adapted to the data (-150.4 with `--noadapt`)",
    ),
    "vamp": Row(
        "VAE + VampPrior",
        "test_log_likelihood",
        -82.38,
        VAMP,
        _config("vamp", epochs=100, batch_size=200, learning_rate=2e-3, kl_warmup_steps=2750),
        _FEWER,
    ),
    "vamp-dreg": Row(
        "VAE + VampPrior, DReG, k = 5",
        "test_log_likelihood",
        -82.38,
        VAMP,
        _config("vamp-dreg", num_importance_samples=5000),
        _DREG,
    ),
    "conv-flow": Row(
        "conv, deep flow prior",
        "test_log_likelihood",
        -78.61,
        XU,
        _config(**_FLOW, network="conv", epochs=120),
        "convolutions of 32 and 64 channels and one hour, instead of a deeper network trained for long",
    ),
    "resnet-flow": Row(
        "residual blocks, deep flow prior",
        "test_log_likelihood",
        -78.49,
        XU,
        _config(**_FLOW, network="resnet", epochs=100),
        "one residual block at each size, 55,000 training images, and one night on a CPU",
    ),
    # Each sample of an autoregressive likelihood takes a pass through its masked convolutions, so that 5,000 samples
    # would take 35 hours.
    "pixel": Row(
        "masked convolutions on the pixels",
        "test_log_likelihood",
        -78.45,
        PIXEL_HVAE,
        _config(**DEEP, network="resnet", autoregressive=True, epochs=18, num_importance_samples=100),
        "one latent layer, N(0, I) as its prior, 55,000 training images, and two hours on a CPU",
    ),
    "pixel-flow": Row(
        "masked convolutions on the pixels, flow prior",
        "test_log_likelihood",
        -79.10,
        IAF,
        _config("best"),
        "another model; 55,000 training images and one hour on a CPU",
    ),
    "pixel-flow-night": Row(
        "the same with wider masked convolutions, longer",
        "test_log_likelihood",
        -78.01,
        NVAE,
        _config("best", epochs=100, causal_blocks=6, causal_filters=48),
        "another model; 55,000 training images and one night on a CPU instead of 21 hours on two GPUs",
    ),
}
