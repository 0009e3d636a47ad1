"""Named settings of runs, as plain data.

This file imports no library that is slow to import, so that `train.py --help` answers at once.
"""

import dataclasses

from keras_vae.data.sources import texts


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named set of settings.

    Attributes:
      description: the model, its time on 2 CPU cores and the results that it reaches, for --help.
      settings: fields of `Config` that differ from the defaults.
    """

    description: str
    settings: dict


_IWAE_PAPER = {
    "hidden_units": (200, 200),
    "activation": "tanh",
    "latent_dim": 50,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "stages",
    "epsilon": 1e-4,
    "batch_size": 20,
    "epochs": 3280,
    "num_importance_samples": 5000,
}
# Deep networks average their weights and warm the KL up over a tenth of the steps.
DEEP = {
    "activation": "silu",
    "learning_rate": 1.5e-3,
    "ema": 0.999,
    "weight_decay": 1e-4,
    "beta_2": 0.99,
    "clip_norm": 100.0,
    "kl_warmup": 0.1,
    "kl_start": 0.1,
}
DEEP_FLOW = {"prior": "flow", "flow_hidden_units": 256, "flow_hidden_layers": 2}
PRESETS = {
    "default": Preset(
        "784-512-512-40 GELU, Bernoulli. mnist: about 2 minutes; test ELBO -90.8, log likelihood -87.1 (500 samples)",
        {},
    ),
    "quick": Preset(
        "the default in 5 epochs. mnist: half a minute; test ELBO -97.6, log likelihood -94.0 (50 samples)",
        {"epochs": 5, "num_importance_samples": 50},
    ),
    "conv": Preset(
        "convolutional, 10 epochs. mnist: three minutes; test ELBO -91.7, log likelihood -87.5 (50 samples)",
        {"network": "conv", "latent_dim": 32, "epochs": 10, "num_importance_samples": 50},
    ),
    "latent2d": Preset(
        "two latent dimensions, with the map of them, 20 epochs. mnist: 2 minutes; test ELBO -140.4",
        {"latent_dim": 2, "epochs": 20},
    ),
    "gaussian": Preset(
        "unit-variance Gaussian on gray images, the squared distance, 10 epochs. mnist: 1 minute; test ELBO -739.0, "
        "of which 720.4 nats are the constant; 9.36 bits/dim",
        {"likelihood": "gaussian", "binarization": "none", "epochs": 10},
    ),
    "sentences": Preset(
        "texts: characters, of which convolutions of 256 channels see the last seven, z = 8 with a mixture of 150 "
        "Gaussians as its prior, of which 5.1 nats are free, 12 epochs, and the same model without z to compare with. "
        "sentences: 9 and 6 minutes on two cores, and 7 for 500 importance samples; test log likelihood -50.2, and "
        "-50.1 without z",
        {
            "latent_dim": 8,
            "prior": "mixture",
            "num_components": 150,
            "objective": "free_bits",
            "free_bits": 5.1,
            "free_bits_of": "z",
            "text_network": "conv",
            "embedding_dim": 64,
            "learning_rate": 6e-3,
            "warmup_steps": 200,
            "clip_norm": 5.0,
            "epochs": 12,
            "baseline": True,
        },
    ),
    "flax": Preset(
        "784-500-20 ReLU, batch 128, Adam 1e-3, 10 epochs, as flax's examples/vae, whose README gives a test loss of "
        "about 104. mnist, dynamic",
        {
            "hidden_units": (500,),
            "activation": "relu",
            "latent_dim": 20,
            "learning_rate": 1e-3,
            "learning_rate_schedule": "constant",
            "epochs": 10,
            "num_importance_samples": 5000,
        },
    ),
    "iwae-paper": Preset(
        "784-200-200-50 tanh, batch 20, Adam 1e-3 in 8 stages, 3,280 epochs, as Burda, Grosse and Salakhutdinov "
        "(2016), who give a log likelihood of -86.76 (5,000 samples); many hours. mnist, dynamic",
        _IWAE_PAPER,
    ),
    "iwae-paper-2-layers": Preset(
        "the same with two stochastic layers, z = 100 then 50 with 100-100 tanh between them; -85.33 (5,000 samples)",
        {**_IWAE_PAPER, "latent_dim": 100, "upper_latent_dims": (50,)},
    ),
    "tfp-advi": Preset(
        "the convolutional network of TensorFlow Probability's example, z = 16 with full covariance, batch 32, Adam "
        "1e-3, 20,000 steps (12 epochs), whose authors give a test loss of 98.7, and 110.2 and 105.0 after a quarter "
        "and a half. mnist, static: about 20 minutes; test ELBO -97.9; -108.5 after 3 epochs, -101.0 after 6",
        {
            "network": "tfp",
            "activation": "leaky_relu",
            "latent_dim": 16,
            "posterior": "full",
            "binarization": "static",
            "validation_fraction": 0.1115,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "learning_rate_schedule": "constant",
            "epochs": 12,
            "num_importance_samples": 10,
        },
    ),
    "cvae-tutorial": Preset(
        "the convolutional network of TensorFlow's CVAE tutorial, z = 2, batch 32, Adam 1e-4, 10 epochs, where the "
        "tutorial shows a test ELBO of -155.9. mnist, threshold: about 5 minutes; test ELBO -157.2, "
        "and -149.2 with --learning_rate=1e-3 --adapt",
        {
            "network": "cvae",
            "activation": "relu",
            "latent_dim": 2,
            "binarization": "threshold",
            "batch_size": 32,
            "learning_rate": 1e-4,
            "learning_rate_schedule": "constant",
            "adapt": False,
            "epochs": 10,
            "num_importance_samples": 50,
        },
    ),
    "vamp": Preset(
        "VAE with a VampPrior of 500 pseudo-inputs, gated 300-300, z = 40, Adam 5e-4, batch 100, the KL warmed up over "
        "100 epochs, as Tomczak and Welling (2018), who give -82.38 (5,000 samples) after training to an early stop; "
        "here 1,000 epochs on a cosine, many hours. mnist, dynamic",
        {
            "hidden_units": (300, 300),
            "activation": "glu",
            "prior": "vamp",
            "num_components": 500,
            "learning_rate": 5e-4,
            "batch_size": 100,
            "kl_warmup_steps": 55_000,
            "epochs": 1000,
            "num_importance_samples": 5000,
        },
    ),
    "best": Preset(
        "residual blocks, z = 40 with a deep flow as its prior, masked convolutions on the pixels, averaged weights, "
        "40 epochs: the best test log likelihood of these presets. mnist: an hour on two cores with AVX-512, longer on "
        "others; test ELBO -79.7, log likelihood -78.8 (100 samples, which take ten minutes more)",
        {
            **DEEP,
            **DEEP_FLOW,
            "flow_layers": 8,
            "network": "resnet",
            "autoregressive": True,
            "num_importance_samples": 100,
        },
    ),
    "vamp-dreg": Preset(
        "gated 300-300, VampPrior of 500 pseudo-inputs, DReG with 5 samples, 100 epochs: the best of the presets with "
        "dense networks. mnist: half an hour on one core; test ELBO -86.9, log likelihood -82.5 (5,000 samples)",
        {
            "hidden_units": (300, 300),
            "activation": "glu",
            "prior": "vamp",
            "num_components": 500,
            "objective": "dreg",
            "epochs": 100,
            "num_importance_samples": 50,
        },
    ),
}


def preset_of(dataset: str, data_dir: str = "", text_column: str = "") -> str:
    """Returns the name of the preset that fits a data set."""
    return "sentences" if texts.are_texts(dataset, text_column, data_dir) else "default"
