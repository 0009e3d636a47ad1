"""The settings of a run that say what its model is: trunks, z, posterior, prior and likelihood."""

import dataclasses

from keras_vae.runs.options import MANY, option


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The part of `Config` that is about the model."""

    network: str = option(
        "mlp",
        "trunks of encoder and decoder; all but 'mlp' are for images; 'resnet' has residual blocks; 'tfp' and 'cvae' "
        "are those of TensorFlow Probability's example and of TensorFlow's tutorial, for images whose height and width "
        "are divisible by 4",
        choices=("mlp", "conv", "resnet", "tfp", "cvae"),
    )
    hidden_units: tuple = option(
        (512, 512),
        "widths of the dense layers of network=mlp, separated by commas",
        low=1,
        high=MANY,
        acts_with=("network", ("mlp",)),
    )
    filters: tuple = option(
        (),
        "channels of the convolutions of network=conv and resnet, separated by commas, each of which halves height and "
        "width; the decoder has them in reverse; empty: 32,64 up to 32 pixels a side, and then one more for each "
        "doubling of the longer side, 128,256,256 and so on, so that 8 pixels or fewer are left",
        low=1,
        high=MANY,
        acts_with=("network", ("conv", "resnet")),
    )
    blocks: int = option(
        1,
        "residual blocks of network=resnet after each change of size",
        low=0,
        high=100,
        acts_with=("network", ("resnet",)),
    )
    activation: str = option(
        "gelu",
        "activation of the trunks; glu: h * sigmoid(g), gated, for all networks but resnet",
        choices=("gelu", "glu", "leaky_relu", "relu", "silu", "tanh"),
    )
    latent_dim: int = option(40, "dimension of z", low=1, high=MANY)
    upper_latent_dims: tuple = option(
        (),
        "dimensions of further stochastic layers above z, separated by commas: a hierarchical model with "
        "posterior=diagonal, whose prior is that of the topmost",
        low=1,
        high=MANY,
    )
    upper_hidden_units: tuple = option(
        (100, 100),
        "widths of the dense layers from one stochastic layer to the next",
        low=1,
        high=MANY,
        acts_with=("upper_latent_dims", ()),
    )
    posterior: str = option(
        "diagonal",
        "q(z|x); iaf: an inverse autoregressive flow",
        choices=("diagonal", "isotropic", "full", "laplace", "flow", "iaf", "deterministic"),
    )
    prior: str = option(
        "normal",
        "p(z); all but 'normal' are learned; maf: a masked autoregressive flow",
        choices=("normal", "mixture", "vamp", "flow", "maf"),
    )
    num_components: int = option(
        100,
        "components of prior=mixture, pseudo-inputs of prior=vamp",
        low=1,
        high=MANY,
        acts_with=("prior", ("mixture", "vamp")),
    )
    flow_layers: int = option(6, "layers of prior=flow and maf", low=1, high=1000, acts_with=("prior", ("flow", "maf")))
    flow_hidden_units: int = option(
        64,
        "width of the network in each layer of prior=flow and maf",
        low=1,
        high=MANY,
        acts_with=("prior", ("flow", "maf")),
    )
    flow_hidden_layers: int = option(
        1,
        "hidden layers of these networks; from 2 on prior=flow is deep: residual networks, and fixed random "
        "permutations between the layers",
        low=1,
        high=100,
        acts_with=("prior", ("flow", "maf")),
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
    autoregressive: bool = option(
        False,
        "each value of an image also depends on those before it: p(x|z) = prod_i p(x_i | x_<i, z), by masked "
        "convolutions over the image; draws take one value after the other",
    )
    causal_blocks: int = option(
        4, "residual blocks of the masked convolutions", low=0, high=100, acts_with=("autoregressive", (True,))
    )
    causal_filters: int = option(
        32,
        "channels of the masked convolutions for each channel of the image",
        low=1,
        high=10_000,
        acts_with=("autoregressive", (True,)),
    )
    conditional: bool = option(False, "condition encoder and decoder on the label")
    without_z: bool = option(
        False, "fix z at 0, so that the decoder is a model of x alone, for texts a language model, to compare with"
    )

    def check_model(self) -> None:
        """Raises `ValueError` if settings of the model, each of the right kind, do not fit together."""
        if (self.network, self.activation) == ("resnet", "glu"):
            raise ValueError(
                "`activation` must not be glu with network=resnet, whose blocks keep their channels. "
                f"Received: {self.activation!r}"
            )
        if self.without_z and (self.conditional, self.posterior, self.prior, self.upper_latent_dims) != _PLAIN:
            raise ValueError(
                "`without_z` needs the defaults of conditional, posterior, prior and upper_latent_dims: there is no z "
                f"that they could be about. Received: conditional={self.conditional}, posterior={self.posterior!r}, "
                f"prior={self.prior!r}, upper_latent_dims={self.upper_latent_dims}"
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


# conditional, posterior, prior and upper_latent_dims at their defaults.
_PLAIN = (False, "diagonal", "normal", ())


def _is_scale(text: str) -> bool:
    try:
        return 1e-12 <= float(text) <= 1e12
    except ValueError:
        return False
