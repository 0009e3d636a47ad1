"""A likelihood of integers of one's own: sentences of tokens, whose model takes, keeps and returns int32."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import make_vae
from tensorflow_probability import distributions as tfd

import keras_vae as kv
from keras_vae.measure import evaluation

LENGTH, WORDS = 6, 5


@keras.saving.register_keras_serializable("tests")
class Tokens(kv.likelihoods.Likelihood):
    """p(x|z) = prod_i softmax(l_i)[x_i] for x of integers from 0 to WORDS - 1."""

    event_dtype = "int32"
    is_density = False
    support = (0, WORDS - 1)

    @property
    def num_parameters(self):
        return WORDS

    def distribution(self, parameters):
        return tfd.Independent(tfd.Categorical(logits=parameters), len(self.event_shape))

    def initial_parameters(self, mean):
        return np.zeros((*self.event_shape, WORDS), np.float32)


@keras.saving.register_keras_serializable("tests")
class TakesIntegers(keras.layers.Layer):
    """Passes int32 on, and stops anything else."""

    def call(self, inputs):
        assert inputs.dtype in ("int32", tf.int32), inputs.dtype
        return inputs


def make_trunk(length=LENGTH):
    # Without an input of its own a Sequential makes float32 of what comes in.
    inputs, layers = keras.Input((length,), dtype="int32"), keras.layers
    embedded = layers.Embedding(WORDS, 4)(TakesIntegers()(inputs))
    return keras.Model(inputs, layers.Dense(16, "gelu")(layers.Flatten()(embedded)))


def make_model(length=LENGTH, **kwargs):
    keras.utils.set_random_seed(0)
    vae = kv.VAE(
        kv.Encoder(make_trunk(length), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp([16]), Tokens((length,))),
        seed=0,
        **kwargs,
    )
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


def sentences(count=200, seed=0):
    """Returns int64 `(count, LENGTH)`: one of two sentences with a tenth of the words replaced."""
    both, random = np.random.default_rng(0).integers(0, WORDS, (2, LENGTH)), np.random.default_rng(seed)
    x = both[random.integers(0, 2, count)]
    return np.where(random.random(x.shape) < 0.1, random.integers(0, WORDS, x.shape), x)


@pytest.fixture(scope="module")
def trained():
    vae = make_model()
    vae.adapt(sentences())
    vae.fit(sentences(), validation_data=sentences(50, seed=1), epochs=40, batch_size=50, verbose=0)
    return vae


def test_training_learns_the_two_sentences(trained):
    x = sentences(50, seed=1)
    measured = trained.evaluate(x, return_dict=True, verbose=0)
    # Both sentences are equally frequent: without z, a word that differs between them costs at least log 2 nats.
    assert -LENGTH * math.log(WORDS) < -LENGTH * math.log(2.0) < measured["elbo"]
    assert trained.log_prob(x, 100).mean() > measured["elbo"]


def test_no_mean_is_subtracted_from_integers(trained):
    assert not trained.encoder.input_mean.numpy().any()
    shifted = make_model()
    shifted.encoder.adapt(np.full(LENGTH, 3.0))
    x = sentences(4)
    np.testing.assert_array_equal(shifted.encode(x).mean(), make_model().encode(x).mean())


def test_probabilities_of_all_sentences_sum_to_one():
    vae = make_model(length=3)
    everything = np.array(list(itertools.product(range(WORDS), repeat=3)))
    probabilities = np.exp(vae.log_prob(everything, num_samples=2000))
    # The bound is a little below the probability, and its noise is about 1e-3 of it.
    assert probabilities.sum() == pytest.approx(1.0, abs=0.01)


def test_a_file_gives_the_same_numbers(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.event_dtype == "int32"
    np.testing.assert_array_equal(loaded.log_prob(sentences(5), 10), trained.log_prob(sentences(5), 10))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_integers_of_any_type_are_the_same_sentences(trained, dtype):
    x = sentences(10)
    np.testing.assert_array_equal(trained.log_prob(x.astype(dtype), 10), trained.log_prob(x, 10))
    np.testing.assert_array_equal(trained.encode(x.astype(dtype)).mean(), trained.encode(x).mean())
    stream = tf.data.Dataset.from_tensor_slices(x.astype(dtype)).batch(5)
    assert trained.evaluate(stream, verbose=0) == pytest.approx(trained.evaluate(x, batch_size=5, verbose=0))


def test_steps_and_draws_are_of_integers():
    vae = make_model()
    assert math.isfinite(vae.train_on_batch(sentences(20), return_dict=True)["loss"])
    vae.fit(tf.data.Dataset.from_tensor_slices(sentences(20)).batch(10), verbose=0)
    drawn = vae.sample(7, seed=0, output="sample").numpy()
    assert drawn.dtype == np.int32
    assert drawn.shape == (7, LENGTH)
    assert np.isfinite(vae.log_prob(drawn, 2)).all()


def test_the_report_calls_them_integers(trained):
    x = kv.data.Examples(sentences(5))
    assert evaluation.describe_measure(trained, x) == "probability of integers"
    assert evaluation.bits_per_dimension(trained, x, -LENGTH * math.log(2.0)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "use", ["fit", "evaluate", "log_prob", "encode", "train_on_batch", "adapt", "predict", "stream"]
)
def test_numbers_between_integers_are_refused(use):
    vae, x = make_model(), sentences(10) + 0.5
    stream = tf.data.Dataset.from_tensor_slices(x).batch(5)
    with pytest.raises(ValueError, match=r"`x` must be integers that int32 can hold.* float(32|64) from"):
        vae.fit(stream, verbose=0) if use == "stream" else getattr(vae, use)(x)


def test_words_outside_of_the_support_are_refused():
    with pytest.raises(ValueError, match=r"`x` must lie in \[0, 4\], the support of the likelihood Tokens"):
        make_model().fit(sentences(10) + 1, verbose=0)


def test_what_mixes_into_x_is_refused():
    with pytest.raises(ValueError, match=r"`prior` must not be made of the encoder .* likelihood of integers"):
        make_model(prior=kv.priors.VampPrior(2, (LENGTH,), 3))
    with pytest.raises(ValueError, match="`condition_dim` must be None for a likelihood of integers"):
        kv.VAE(
            kv.Encoder(make_trunk(), kv.posteriors.DiagonalGaussian(2), condition_dim=3),
            kv.Decoder(kv.networks.mlp([16]), Tokens((LENGTH,)), condition_dim=3),
        )


@pytest.mark.slow
def test_integers_under_a_bernoulli_are_the_numbers_that_they_were():
    x = np.random.default_rng(0).integers(0, 2, (40, 6, 5, 1))
    histories = []
    for values in (x, x.astype(np.float32)):
        vae = make_vae()
        vae.adapt(values)
        histories.append(vae.fit(values, validation_split=0.2, epochs=3, batch_size=10, verbose=0).history)
    assert histories[0] == histories[1]
    assert vae.encoder.input_mean.numpy().any()
