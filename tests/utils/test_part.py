"""A frozen part stays frozen, whoever makes its layers and wherever the model has been."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from helpers import SHAPE, make_vae

import keras_vae as kv

L = keras.layers
tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="test_part")
class OwnTrunk(L.Layer):
    """A trunk that makes one layer in `__init__` and one in `build`, and its configuration names neither."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.first, self.norm = L.Flatten(), L.Dense(6), L.BatchNormalization()

    def build(self, input_shape):
        self.first.build((None, int(np.prod(input_shape[1:]))))
        self.norm.build((None, 6))
        self.second = L.Dense(4)
        self.second.build((None, 6))

    def call(self, inputs):
        return self.second(self.norm(self.first(self.flatten(inputs))))


@keras.saving.register_keras_serializable(package="test_part")
class TwoLayerPosterior(kv.posteriors.DiagonalGaussian):
    """A head of one's own with a layer beside the projection."""

    def build(self, input_shape):
        self.norm = L.LayerNormalization(dtype="float32")
        self.norm.build(input_shape)
        super().build(input_shape)

    def call(self, features):
        return super().call(self.norm(features))


def conditional():
    return kv.VAE(
        kv.Encoder(kv.networks.mlp([4]), kv.posteriors.DiagonalGaussian(3), condition_dim=3),
        kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE), condition_dim=3),
        seed=0,
    )


def with_trunk(trunk):
    return kv.VAE(
        kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(3)),
        kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE)),
        seed=0,
    )


def with_head(head, prior=None):
    decoder = kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE))
    return kv.VAE(kv.Encoder(kv.networks.mlp([4]), head), decoder, prior=prior, seed=0)


def hierarchical():
    top = kv.priors.MixtureOfGaussians(2, 3)
    return with_head(kv.posteriors.Hierarchical((3, 2)), kv.priors.Hierarchical((3, 2), top, hidden_units=(4,)))


def dense(activation="relu"):
    return keras.Sequential([L.Flatten(), L.Dense(5, activation=activation), L.Dense(4)])


# A model and the layer of it that is frozen.
CASES = {
    "encoder": (make_vae, lambda m: m.encoder),
    "decoder": (make_vae, lambda m: m.decoder),
    "encoder of a conditional model": (conditional, lambda m: m.encoder),
    "posterior": (make_vae, lambda m: m.encoder.posterior),
    "likelihood": (make_vae, lambda m: m.decoder.likelihood),
    "flow posterior": (lambda: with_head(kv.posteriors.Flow(3, num_layers=2)), lambda m: m.encoder.posterior),
    "IAF posterior": (lambda: with_head(kv.posteriors.IAF(3, num_layers=2)), lambda m: m.encoder.posterior),
    "posterior of one's own": (lambda: with_head(TwoLayerPosterior(3)), lambda m: m.encoder.posterior),
    "hierarchical posterior": (hierarchical, lambda m: m.encoder.posterior),
    "hierarchical prior": (hierarchical, lambda m: m.prior),
    "top of a hierarchical prior": (hierarchical, lambda m: m.prior.top),
    "flow prior": (lambda: make_vae(prior=kv.priors.Flow(3, num_layers=2)), lambda m: m.prior),
    "deep flow prior": (lambda: make_vae(prior=kv.priors.Flow(3, num_layers=2, hidden_layers=2)), lambda m: m.prior),
    "MAF prior": (lambda: make_vae(prior=kv.priors.MAF(3, num_layers=2)), lambda m: m.prior),
    "mixture prior": (lambda: make_vae(prior=kv.priors.MixtureOfGaussians(3, 4)), lambda m: m.prior),
    "vamp prior": (lambda: make_vae(prior=kv.priors.VampPrior(3, SHAPE, 4)), lambda m: m.prior),
    "trunk": (make_vae, lambda m: m.encoder.trunk),
    "one layer of a trunk": (lambda: with_trunk(dense()), lambda m: m.encoder.trunk.layers[1]),
    "trunk of one's own": (lambda: with_trunk(OwnTrunk()), lambda m: m.encoder.trunk),
    "one layer of a trunk of one's own": (lambda: with_trunk(OwnTrunk()), lambda m: m.encoder.trunk.first),
    "the whole model": (make_vae, lambda m: m),
}


def trainable(vae):
    """Returns the numbers, among all weights of the model in order, of those that train."""
    numbers = {id(weight): number for number, weight in enumerate(vae.weights)}
    return [numbers[id(weight)] for weight in vae.trainable_weights]


def expected(vae, part):
    frozen = {id(weight) for weight in part.weights}
    return [number for number in trainable(vae) if id(vae.weights[number]) not in frozen]


@pytest.mark.parametrize("name", CASES)
def test_a_frozen_part_is_frozen_in_every_copy(name):
    make, part_of = CASES[name]
    vae = make()
    kept = expected(vae, part_of(vae))
    assert kept != trainable(vae)
    part_of(vae).trainable = False
    flags = [layer.trainable for layer in vae._flatten_layers()]
    for model in (vae, keras.models.clone_model(vae)):
        assert trainable(model) == kept
        assert [layer.trainable for layer in model._flatten_layers()] == flags


def test_a_frozen_part_stays_as_it_is_in_training_after_loading_and_the_optimizer_goes_on(binary, tmp_path):
    vae = with_trunk(OwnTrunk())
    vae.encoder.trainable = False
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(binary, batch_size=10, verbose=0)
    vae.save(tmp_path / "frozen.keras")
    loaded = keras.saving.load_model(tmp_path / "frozen.keras")
    assert trainable(loaded) == trainable(vae)
    for mine, saved in zip(loaded.optimizer.variables, vae.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, saved)
    before = [np.array(weight) for weight in loaded.encoder.weights]
    history = [model.fit(binary, batch_size=10, verbose=0).history["loss"] for model in (vae, loaded)]
    assert history[0] == history[1]
    # The moving averages of its batch normalization too.
    for weight, value in zip(loaded.encoder.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("frozen", ["encoder", "posterior", "attention"])
def test_layers_made_in_build_are_frozen_with_a_part_that_was_frozen_before(frozen):
    attention = L.MultiHeadAttention(1, 2)
    trunk = SelfAttention(attention) if frozen == "attention" else keras.Sequential([OwnTrunk()])
    encoder = kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(3))
    part = {"encoder": encoder, "posterior": encoder.posterior, "attention": attention}[frozen]
    part.trainable = False
    vae = kv.VAE(encoder, kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE)))
    assert part.weights
    assert not {id(weight) for weight in part.weights} & {id(weight) for weight in vae.trainable_weights}
    assert trainable(kv.VAE.from_config(vae.get_config())) == trainable(vae)


@keras.saving.register_keras_serializable(package="test_part")
class SelfAttention(L.Layer):
    """Attention, which Keras builds of layers that it makes in `build`."""

    def __init__(self, attention, **kwargs):
        super().__init__(**kwargs)
        self.attention = attention

    def build(self, input_shape):
        if not self.attention.built:
            self.attention.build((None, 6, 5), (None, 6, 5))

    def call(self, inputs):
        rows = tf.reshape(inputs, (-1, 6, 5))
        return self.attention(rows, rows)

    def compute_output_shape(self, input_shape):
        return (None, 6, 5)

    def get_config(self):
        return {**super().get_config(), "attention": keras.saving.serialize_keras_object(self.attention)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])})


@pytest.mark.parametrize("built", [False, True])
def test_a_layer_thawed_inside_a_frozen_part_trains_alone_in_every_copy(built):
    trunk = dense()
    if built:
        trunk.build((None, *SHAPE))
    encoder = kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(3))
    encoder.trainable = False
    trunk.layers[2].trainable = True
    vae = kv.VAE(encoder, kv.Decoder(kv.networks.mlp([4]), kv.likelihoods.Bernoulli(SHAPE)))
    thawed = {id(weight) for weight in (*trunk.layers[2].weights, *vae.decoder.weights)}
    assert {id(weight) for weight in vae.trainable_weights} == thawed
    assert trainable(kv.VAE.from_config(vae.get_config())) == trainable(vae)


@pytest.mark.parametrize(
    "make",
    [
        lambda **kwargs: kv.priors.Flow(3, **kwargs),
        lambda **kwargs: kv.priors.Flow(3, hidden_layers=2, **kwargs),
        lambda **kwargs: kv.priors.MAF(3, **kwargs),
        lambda **kwargs: kv.priors.Hierarchical((3, 2), **kwargs),
        lambda **kwargs: kv.priors.Hierarchical((3, 2), kv.priors.Flow(2), **kwargs),
    ],
)
def test_a_part_made_with_trainable_false_has_nothing_that_trains(make):
    prior = make(trainable=False)
    prior.build()
    assert prior.weights
    assert not any(weight.trainable for weight in prior.weights)
    thawed = make()
    thawed.build()
    prior.trainable = True
    assert len(prior.trainable_weights) == len(thawed.trainable_weights)


def test_a_file_without_frozen_layers_does_not_speak_of_them(vae):
    assert "frozen_layers" not in vae.get_config()


def test_a_file_of_a_frozen_encoder_that_does_not_list_its_layers_loads_frozen(vae):
    # The first release wrote no list.
    vae.encoder.trainable = False
    config = vae.get_config()
    del config["frozen_layers"]
    assert trainable(kv.VAE.from_config(config)) == trainable(vae)
