"""Every posterior and prior train, save, load and sample together with each likelihood in turn, and decoders export."""

import itertools

import keras
import numpy as np
import pytest
from combinations import LATENT_DIM, LIKELIHOODS, POSTERIORS, PRIORS, SHAPE, make
from helpers import make_binary

import keras_vae as kv
from export import exporter, runtimes, tflite, verification
from export.packing import pack
from export.signatures import FILES, Signatures

# Posterior and prior meet in the KL, so every two of them are tried. A likelihood sees nothing of both but z, so the
# likelihoods take turns. A mean of posteriors that are flows cannot be evaluated, because each has a density at the
# codes of its own example alone. A deep flow is a `Flow` as any other to a posterior, and meets one.
LEFT_OUT = {("flow", "vamp"), ("iaf", "vamp"), *((name, "deep_flow") for name in POSTERIORS if name != "diagonal")}
PAIRS = [pair for pair in itertools.product(POSTERIORS, PRIORS) if pair not in LEFT_OUT]
COMBINATIONS = [(*pair, likelihood) for pair, likelihood in zip(PAIRS, itertools.cycle(LIKELIHOODS), strict=False)]


# Of these, every posterior, prior and likelihood is part of a quick test.
QUICK = {
    ("diagonal", "flow"),
    ("diagonal", "deep_flow"),
    ("isotropic", "normal"),
    ("isotropic", "vamp"),
    ("full", "mixture"),
    ("laplace", "normal"),
    ("flow", "normal"),
    ("iaf", "maf"),
}


def test_every_part_is_in_a_quick_test():
    quick = [names for names in COMBINATIONS if names[:2] in QUICK]
    for parts, names in zip((POSTERIORS, PRIORS, LIKELIHOODS), zip(*quick, strict=True), strict=True):
        assert set(names) == set(parts)


@pytest.mark.parametrize(
    ("posterior", "prior", "likelihood"),
    [
        pytest.param(*names, marks=[] if names[:2] in QUICK else pytest.mark.slow, id="-".join(names))
        for names in COMBINATIONS
    ],
)
def test_every_combination_trains_saves_loads_and_samples_and_every_decoder_exports(
    posterior, prior, likelihood, tmp_path
):
    x = make_binary(64, SHAPE)
    vae = make(posterior, prior, likelihood)
    vae.adapt(x)
    loss = vae.fit(x, batch_size=64, epochs=10, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    assert loss[-1] < loss[0]
    vae.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(copy.sample(2, seed=1, output="sample"), vae.sample(2, seed=1, output="sample"))
    if posterior == "diagonal" or prior == "vamp":  # `sample` sees no posterior, but in a VampPrior
        # The whole export of each part is in test_export.py; here, that the two learned ends work together on a device.
        (tmp_path / "decoder.tflite").write_bytes(pack(tflite.convert(Signatures(vae, 2), ("sample",), 1)))
        run = runtimes.litert_runner(tmp_path / "decoder.tflite")
        assert verification.Parity(run, vae, num_samples=2, batch_size=1).check("sample")["max_difference"] < 1e-4


@pytest.mark.slow
def test_a_vamp_prior_exports_without_the_encoder():
    sizes = [
        len(pack(tflite.convert(Signatures(make("diagonal", "vamp", "bernoulli", units), 2), FILES["decoder"], 1)))
        for units in (8, 2000)
    ]
    # The wide encoder has 128 kB more of weights.
    assert abs(sizes[1] - sizes[0]) < 1000


@pytest.mark.parametrize(("posterior", "condition_dim"), [("flow", None), ("iaf", None), ("diagonal", 2)])
def test_a_prior_of_the_encoder_is_refused_where_it_cannot_be(posterior, condition_dim):
    with pytest.raises(ValueError, match="`prior` must not be made of the encoder"):
        kv.VAE(
            kv.Encoder(kv.networks.mlp((8,)), POSTERIORS[posterior](LATENT_DIM), condition_dim),
            kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli(SHAPE), condition_dim),
            prior=PRIORS["vamp"](),
        )


@pytest.mark.slow  # the export `conditional`, of any batch size, is looked at in test_signatures.py
def test_a_conditional_model_exports_its_condition(tmp_path):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((8,)), kv.posteriors.DiagonalGaussian(LATENT_DIM), 2),
        kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Bernoulli(SHAPE), 2),
        seed=0,
    )
    exporter.export_model(vae, tmp_path / "export", exporter.Options(num_samples=4))
