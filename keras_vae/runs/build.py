"""A `Config` becomes data and a model; only this file turns the names of the command line into parts."""

import contextlib
import dataclasses

import keras
import numpy as np

from keras_vae import data, likelihoods, networks, objectives, posteriors, priors
from keras_vae.engine.precision import dtype_policy
from keras_vae.models.decoder import Decoder
from keras_vae.models.encoder import Encoder
from keras_vae.models.vae import VAE
from keras_vae.networks.conv import default_filters
from keras_vae.objectives import schedules
from keras_vae.runs.config import Config
from keras_vae.runs.counting import before_each, numbers_in_weight
from keras_vae.runs.optimizer import num_steps
from keras_vae.runs.text_settings import NUM_HEADS
from keras_vae.utils.memory import check_memory

POSTERIORS = {
    "diagonal": posteriors.DiagonalGaussian,
    "isotropic": posteriors.IsotropicGaussian,
    "full": posteriors.FullGaussian,
    "laplace": posteriors.Laplace,
    "flow": posteriors.Flow,
    "iaf": posteriors.IAF,
    "deterministic": posteriors.Deterministic,
}
FLOWS = {"flow": priors.Flow, "maf": priors.MAF}
LIKELIHOODS = {
    "bernoulli": likelihoods.Bernoulli,
    "continuous_bernoulli": likelihoods.ContinuousBernoulli,
    "gaussian": likelihoods.Gaussian,
    "laplace": likelihoods.Laplace,
    "categorical": likelihoods.Categorical,
    "logistic_mixture": likelihoods.DiscretizedLogisticMixture,
}
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
SCHEDULES = {"linear": schedules.Linear, "cosine": schedules.Cosine, "cyclic": schedules.Cyclic}


def build_model(config: Config, dataset: data.Dataset) -> VAE:
    """Returns the model of a run, neither compiled nor trained; it is adapted to the data if `config.adapt` says so.

    Raises:
      ValueError: if the parts do not fit together, or do not fit the data, or the weights do not fit in memory.
    """
    _check_network(config, dataset)
    with _weights_fit_in_memory(copies=5 if config.ema else 4), dtype_policy(POLICIES[config.precision]):
        vae = _make(config, dataset)
    if config.adapt:
        vae.adapt(dataset.train)
    return vae


def load_data(config: Config) -> data.Dataset:
    """Returns the data set of a run.

    Raises:
      ValueError: if it cannot be had, or there are settings for data of another kind.
    """
    are_texts = data.is_texts(config.dataset, config.text_column, config.data_dir or None)
    config.check_kind(are_texts)
    dataset = _loaded(config, are_texts)
    kept = min(config.test_images or len(dataset.test), len(dataset.test))
    return dataclasses.replace(dataset, test=dataset.test[:kept], test_left_out=len(dataset.test) - kept)


def _loaded(config, are_texts):
    if are_texts:
        return data.load_texts(
            config.dataset,
            config.tokens,
            config.max_length or None,
            config.max_vocabulary or None,
            config.on_long_text,
            config.text_column,
            config.test_fraction,
            config.validation_fraction,
            config.seed,
            config.data_dir or None,
        )
    binarization = config.binarization
    if binarization == "auto":
        # With a learned scale, densities have no upper bound on binary images: only the Bernoulli gets them by default.
        binarization = "dynamic" if (config.dataset, config.likelihood) == ("mnist", "bernoulli") else "none"
    dequantization = config.dequantization
    if dequantization == "auto" and (binarization != "none" or not LIKELIHOODS[config.likelihood].is_density):
        dequantization = "none"
    return data.load(
        config.dataset,
        config.data_dir or None,
        binarization,
        config.validation_fraction,
        config.seed,
        dequantization,
        config.size(),
        config.test_fraction,
        config.on_bad_image,
        config.background,
        config.data_kind,
        config.cache_dir or None,
    )


def _check_network(config, dataset):
    if dataset.tokenizer is not None:
        return
    kind = dataset.train.kind
    if config.autoregressive and kind != "images":
        raise ValueError(
            f"`autoregressive` must be False for {kind}, --noautoregressive: its masked convolutions are for images. "
            f"Received: autoregressive=True and data of shape {dataset.event_shape}"
        )
    if config.network != "mlp" and kind != "images":
        raise ValueError(
            f"`network` must be mlp for {kind}, --network=mlp: {config.network} is made of convolutions of images "
            f"(height, width, channels). Received: network={config.network!r} and data of shape {dataset.event_shape}"
        )


@contextlib.contextmanager
def _weights_fit_in_memory(copies):
    """Within this context `ValueError` is raised before a weight is made with which training needs too much memory.

    A training step holds four numbers for each number in a weight: itself, its gradient and the two averages of Adam.
    A fifth is the average of the weight itself, if it is kept.
    """
    made = 0

    def count(*args, **kwargs):
        nonlocal made
        made += numbers_in_weight(*args, **kwargs)
        check_memory(4 * copies * made, f"a model of {made:,} or more weights, their gradients and averages")

    with before_each((keras.layers.Layer, "add_weight", count)):
        yield


def _make(config, dataset):
    condition_dim = _condition_dim(config, dataset)
    if dataset.tokenizer is None:
        encoder_trunk, decoder_trunk = _trunks(config, dataset.event_shape)
        likelihood = _likelihood(config, dataset.event_shape)
    else:
        encoder_trunk, decoder_trunk = _text_trunks(config, dataset.tokenizer.size)
        likelihood = _text_likelihood(config, dataset.tokenizer)
    if config.without_z:
        encoder_trunk, decoder_trunk = networks.Zeros(), keras.Sequential([networks.Zeros(), decoder_trunk])
    return VAE(
        Encoder(encoder_trunk, _posterior(config), condition_dim),
        Decoder(
            decoder_trunk,
            likelihood,
            condition_dim,
            config.latent_dim if config.upper_latent_dims else None,
        ),
        prior=_prior(config, dataset),
        objective=_objective(config, len(dataset.train)),
        kl_weight=_ramp(config, config.kl_weight, len(dataset.train))
        if config.objective != "capacity"
        else config.kl_weight,
        seed=config.seed,
    )


def _condition_dim(config, dataset):
    if not config.conditional:
        return None
    if dataset.train.labels is None:
        raise ValueError(f"`conditional` needs labels. Received: data set {dataset.name!r} without labels")
    # A class may be so rare that only one of the three sets has it.
    labels = np.concatenate([part.labels for part in (dataset.train, dataset.validation, dataset.test)])
    return max(int(labels.max()) + 1, len(dataset.class_names))


def _text_trunks(config, size):
    units = config.text_units
    decoder = networks.mlp((units,))
    if config.text_encoder == "transformer":
        return networks.transformer_encoder(size, units, NUM_HEADS), decoder
    # The two directions together are as wide as the decoder.
    return networks.sequence_encoder(size, -(-units // 2), config.embedding_dim, cell=config.text_encoder), decoder


def _trunks(config, event_shape):
    widths, options = config.hidden_units, {"activation": config.activation}
    filters = _filters(config, event_shape) if config.network in ("conv", "resnet") else ()
    # At the image's size, the masked convolutions of an autoregressive likelihood take the place of residual blocks.
    of_decoder = (config.blocks,) * len(filters) + (0 if config.autoregressive else config.blocks,)
    make = {
        "mlp": lambda: (networks.mlp(widths, **options), networks.mlp(widths[::-1], **options)),
        "conv": lambda: (
            networks.conv_encoder(filters, **options),
            networks.conv_decoder(event_shape, filters[::-1], **options),
        ),
        # The maps of the image's size have as many channels as those of half its size.
        "resnet": lambda: (
            networks.resnet_encoder(filters, config.blocks, **options),
            networks.resnet_decoder(event_shape, (*filters[::-1], filters[0]), of_decoder, **options),
        ),
        "tfp": lambda: (networks.tfp_encoder(event_shape, **options), networks.tfp_decoder(event_shape, **options)),
        "cvae": lambda: (networks.cvae_encoder(**options), networks.cvae_decoder(event_shape, **options)),
    }
    return make[config.network]()


def _filters(config, event_shape):
    """Returns the channels of the encoder's convolutions, which may halve an image until one pixel is left."""
    filters = config.filters or default_filters(event_shape)
    longer = max(event_shape[:2])
    most = max(2, (longer - 1).bit_length())
    if len(filters) > most:
        raise ValueError(
            f"`filters` must be up to {most} integers for images of {event_shape[0]} x {event_shape[1]} pixels, each "
            f"of which halves them. Received: {len(filters)}"
        )
    return filters


def _posterior(config):
    if not config.upper_latent_dims:
        return POSTERIORS[config.posterior](config.latent_dim)
    return posteriors.Hierarchical(**_layers(config))


def _layers(config):
    return {
        "latent_dims": (config.latent_dim, *config.upper_latent_dims),
        "hidden_units": config.upper_hidden_units,
        "activation": config.activation,
    }


def _likelihood(config, event_shape):
    options = {"kernel_size": 5} if config.network == "tfp" else {}
    if config.likelihood in ("gaussian", "laplace"):
        scale = config.likelihood_scale
        options["scale"] = scale if scale in ("shared", "per_value") else float(scale)
    likelihood = LIKELIHOODS[config.likelihood](event_shape, **options)
    if not config.autoregressive:
        return likelihood
    causal = networks.CausalConv(config.causal_filters, config.causal_blocks)
    return likelihoods.Autoregressive(likelihood, causal)


def _text_likelihood(config, tokenizer):
    size, units = tokenizer.size, config.text_units
    options = {"word_dropout": config.word_dropout, "seed": config.seed}
    make = {
        "gru": lambda: networks.CausalGRU(size, units, config.embedding_dim, **options),
        "lstm": lambda: networks.CausalLSTM(size, units, config.embedding_dim, **options),
        "transformer": lambda: networks.CausalTransformer(size, units, NUM_HEADS, **options),
        "conv": lambda: networks.CausalConv1D(size, units, 3, config.dilation_rates, config.embedding_dim, **options),
    }
    network = make[config.text_network]()
    return likelihoods.Autoregressive(likelihoods.Tokens(tokenizer=tokenizer), network)


def _prior(config, dataset):
    if config.upper_latent_dims:
        top = dataclasses.replace(config, latent_dim=config.upper_latent_dims[-1], upper_latent_dims=())
        return priors.Hierarchical(top=_prior(top, dataset), **_layers(config))
    if config.prior == "mixture":
        return priors.MixtureOfGaussians(config.latent_dim, config.num_components)
    if config.prior == "vamp":
        low, high = dataset.train.limits()
        return priors.VampPrior(config.latent_dim, dataset.event_shape, config.num_components, low, high)
    if config.prior in FLOWS:
        sizes = config.flow_layers, config.flow_hidden_units, config.flow_hidden_layers
        return FLOWS[config.prior](config.latent_dim, *sizes)
    return priors.StandardNormal(config.latent_dim)


def _objective(config, dataset_size):
    weight = {"weight": config.penalty} if config.penalty else {}
    beta = {"beta": config.penalty} if config.penalty else {}
    make = {
        "elbo": lambda: objectives.ELBO(config.kl_estimator),
        "free_bits": lambda: objectives.FreeBits(config.free_bits, config.free_bits_of),
        "capacity": lambda: objectives.Capacity(_ramp(config, config.capacity, dataset_size), **weight),
        "iwae": lambda: objectives.IWAE(config.num_samples),
        "dreg": lambda: objectives.DReG(config.num_samples),
        "beta_tcvae": lambda: objectives.BetaTCVAE(dataset_size, **beta),
        "wae": lambda: objectives.WAE(**weight),
        "reconstruction": objectives.Reconstruction,
    }
    return make[config.objective]()


def _ramp(config, end, dataset_size):
    """Returns a schedule from `kl_start` to `end` over the warm-up, or `end` if there is no warm-up."""
    steps = config.kl_warmup_steps
    if config.kl_warmup:
        steps = max(1, round(config.kl_warmup * num_steps(config, dataset_size)))
    if not steps:
        return end
    return SCHEDULES[config.kl_schedule](steps, start=config.kl_start, end=end)
