"""Every kind of posterior, prior and likelihood, and small models made of them."""

import keras

import keras_vae as kv

SHAPE, LATENT_DIM = (4, 4, 1), 3
POSTERIORS = {
    "diagonal": kv.posteriors.DiagonalGaussian,
    "isotropic": kv.posteriors.IsotropicGaussian,
    "full": kv.posteriors.FullGaussian,
    "laplace": kv.posteriors.Laplace,
    "flow": kv.posteriors.Flow,
    "iaf": kv.posteriors.IAF,
}
PRIORS = {
    "normal": lambda: None,
    "mixture": lambda: kv.priors.MixtureOfGaussians(LATENT_DIM, 4),
    "vamp": lambda: kv.priors.VampPrior(LATENT_DIM, SHAPE, 4),
    "flow": lambda: kv.priors.Flow(LATENT_DIM, 2, 8),
    "deep_flow": lambda: kv.priors.Flow(LATENT_DIM, 2, 8, hidden_layers=2),
    "maf": lambda: kv.priors.MAF(LATENT_DIM, 2, 8),
}
LIKELIHOODS = {
    "bernoulli": lambda: kv.likelihoods.Bernoulli(SHAPE),
    "continuous_bernoulli": lambda: kv.likelihoods.ContinuousBernoulli(SHAPE),
    "gaussian": lambda: kv.likelihoods.Gaussian(SHAPE, scale="shared"),
    "laplace": lambda: kv.likelihoods.Laplace(SHAPE, scale="per_value"),
    "categorical": lambda: kv.likelihoods.Categorical(SHAPE, num_levels=4),
    "logistic_mixture": lambda: kv.likelihoods.DiscretizedLogisticMixture(SHAPE, num_components=2),
    "autoregressive": lambda: kv.likelihoods.Autoregressive(
        kv.likelihoods.Bernoulli(SHAPE), kv.networks.CausalConv(4, 1)
    ),
}


def make(posterior, prior, likelihood, encoder_units=8):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((encoder_units,)), POSTERIORS[posterior](LATENT_DIM)),
        kv.Decoder(kv.networks.mlp((8,)), LIKELIHOODS[likelihood]()),
        prior=PRIORS[prior](),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae
