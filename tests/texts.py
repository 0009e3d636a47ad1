"""Small models of texts, and all texts of a small vocabulary."""

import itertools

import keras
import numpy as np

import keras_vae as kv

NETWORKS = {
    "gru": lambda size, **options: kv.networks.CausalGRU(size, 8, 4, **options),
    "lstm": lambda size, **options: kv.networks.CausalLSTM(size, 8, 4, **options),
    "transformer": lambda size, **options: kv.networks.CausalTransformer(size, 8, 2, 2, **options),
    "conv": lambda size, **options: kv.networks.CausalConv1D(size, 8, 3, (1, 2), 4, **options),
}


ENCODERS = {
    "gru": lambda size: kv.networks.sequence_encoder(size, 8, 4),
    "lstm": lambda size: kv.networks.sequence_encoder(size, 8, 4, cell="lstm"),
    "transformer": lambda size: kv.networks.transformer_encoder(size, 8, 2, 2),
}


def make_text_vae(
    max_length=3, size=3, network="gru", latent_dim=2, stir=0.4, tokenizer=None, encoder="gru", **options
):
    """Returns a model of texts with noise on all its weights; `network` is None for independent tokens."""
    keras.utils.set_random_seed(0)
    if tokenizer is not None:
        max_length, size = tokenizer.max_length, tokenizer.size
    likelihood = kv.likelihoods.Tokens(max_length, size, tokenizer)
    if network is not None:
        network = NETWORKS[network](size) if isinstance(network, str) else network
        likelihood = kv.likelihoods.Autoregressive(likelihood, network)
    vae = kv.VAE(
        kv.Encoder(ENCODERS[encoder](size), kv.posteriors.DiagonalGaussian(latent_dim)),
        kv.Decoder(kv.networks.mlp((8,)), likelihood),
        seed=0,
        **options,
    )
    random = np.random.default_rng(0)
    for weight in vae.trainable_variables:
        weight.assign_add(stir * random.normal(size=weight.shape))
    return vae


def all_texts(max_length=3, size=3):
    """Returns all texts of up to `max_length` tokens, int32 `(count, max_length)`, filled up with token 0."""
    texts = (text for n in range(max_length + 1) for text in itertools.product(range(1, size), repeat=n))
    return np.array([text + (0,) * (max_length - len(text)) for text in texts], np.int32)
