"""`likelihoods.Tokens`: the probabilities of texts, their end, and their draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import slow_from
from texts import ENCODERS, NETWORKS, all_texts, make_text_vae

import keras_vae as kv
from keras_vae.distributions.autoregressive import draw_in_turn
from keras_vae.distributions.tokens import _Tokens, complete


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.mark.parametrize("network", [None, *NETWORKS])
def test_the_probabilities_of_all_texts_sum_to_one(network):
    x, vae = all_texts(), make_text_vae(network=network)
    assert len(x) == 1 + 2 + 4 + 8
    z = np.full((len(x), 2), 0.7, np.float32)
    assert np.exp(vae.decode(z).log_prob(x).numpy().astype(np.float64)).sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("network", [None, *NETWORKS])
def test_draws_have_the_probabilities_of_the_density(network):
    x, vae, count = all_texts(), make_text_vae(network=network), 20_000
    z = np.full((count, 2), -0.4, np.float32)
    drawn = kv.sampling.draw(vae.decode(z), kv.noise.Noise(3)).numpy()
    seen = np.array([(drawn == text).all(axis=1).mean() for text in x])
    expected = np.exp(vae.decode(z[: len(x)]).log_prob(x).numpy())
    assert seen.sum() == pytest.approx(1.0)
    assert (np.abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / count)).all()


@pytest.mark.parametrize("network", slow_from(1, NETWORKS))
def test_a_drawing_stops_when_all_texts_have_ended(network):
    random, length = np.random.default_rng(1), 40
    vae = make_text_vae(length, 4, network)
    noise = [tf.constant(random.uniform(size=(5, length)), tf.float32)]
    factors = vae.decoder(tf.constant(random.normal(size=(5, 2)), tf.float32)).factors
    drawing, turns = factors.drawing, []

    def counted():
        state, turn = drawing()
        return state, lambda state, number, draw: (turns.append(int(number)), turn(state, number, draw))[1]

    factors.drawing, factors.has_end = counted, False
    expected = complete(draw_in_turn(factors, noise, None, None)).numpy()
    assert turns == list(range(length))
    longest = (expected != 0).sum(axis=1).max()
    assert 1 < longest < length - 2
    turns.clear()
    factors.has_end = True
    drawn = complete(draw_in_turn(factors, noise, None, None)).numpy()
    np.testing.assert_array_equal(drawn, expected)
    assert turns == list(range(longest + 1))


def test_places_after_the_end_cost_nothing():
    logits = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    x = np.array([[2, 0, 0, 0], [1, 2, 1, 2]])
    places = log_softmax(logits.astype(np.float64))
    expected = [places[0, 0, 2] + places[0, 1, 0], sum(places[1, i, token] for i, token in enumerate(x[1]))]
    np.testing.assert_allclose(_Tokens(tf.constant(logits)).log_prob(x), expected, rtol=1e-6)
    assert _Tokens(tf.constant(logits)).log_prob([1, 0, 1, 0]).numpy().tolist() == [-np.inf, -np.inf]


def test_temperature_is_that_of_the_softmax_and_zero_takes_the_most_probable_token():
    logits, count = np.array([0.3, 1.0, -0.5], np.float32), 40_000
    distribution = _Tokens(tf.tile(tf.constant(logits)[None, None], [count, 1, 1]))
    for temperature in (0.5, 1.0, 2.0):
        noise = kv.noise.Tempered(kv.noise.Noise(1), temperature)
        seen = np.bincount(kv.sampling.draw(distribution, noise).numpy().ravel(), minlength=3) / count
        expected = np.exp(log_softmax(logits.astype(np.float64) / temperature))
        assert (np.abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / count)).all(), temperature
    for top_p, expected in (
        (0.0, [0, 1, 0]),
        (0.5, [0, 1, 0]),
        (0.8, [1 / (1 + np.exp(0.7)), 1 / (1 + np.exp(-0.7)), 0]),
    ):
        seen = kv.sampling.draw(distribution, kv.noise.Nucleus(kv.noise.Noise(1), top_p)).numpy()
        seen, expected = np.bincount(seen.ravel(), minlength=3) / count, np.array(expected)
        assert (np.abs(seen - expected) <= 4 * np.sqrt(expected * (1 - expected) / count)).all(), top_p
    coldest = kv.sampling.draw(distribution, kv.noise.Tempered(kv.noise.Noise(1), 0.0)).numpy()
    assert (coldest == 1).all()


def test_a_number_next_to_one_draws_no_token_of_probability_zero():
    class AlmostOne(kv.noise.NoiseSource):
        def normal(self, shape, axis=None):
            raise NotImplementedError

        def uniform(self, shape, axis=None):
            return tf.fill(shape, np.float32(1 - 2**-24))

    # The float32 probabilities of the first tokens add up to less than this number.
    logits = np.r_[np.random.default_rng(0).normal(size=999), -200.0].astype(np.float32)
    assert np.cumsum(tf.nn.softmax(logits).numpy(), dtype=np.float32)[-1] <= np.float32(1 - 2**-24)
    drawn = kv.sampling.draw(_Tokens(tf.constant(logits)[None, None]), AlmostOne())
    assert drawn.numpy().item() != 999


def test_a_temperature_inside_of_a_nucleus_is_one_error():
    with pytest.raises(ValueError, match=r"`noise` must have no temperature, .* Received: Tempered"):
        kv.noise.Nucleus(kv.noise.Tempered(kv.noise.Noise(1), 0.5), 0.9)


@pytest.mark.parametrize("network", slow_from(1, NETWORKS))
def test_the_place_of_a_mean_is_taken_by_greedy_decoding(network):
    vae = make_text_vae(4, 5, network)
    z, _ = vae.sample_latent(20, seed=3)
    texts, conditional = vae.decode(z).mean().numpy(), vae.decode(z).factors.conditional
    best = np.argmax(conditional(texts).logits, axis=-1)
    before_the_end = np.cumsum(texts == 0, axis=1) - (texts == 0) == 0
    np.testing.assert_array_equal(texts[before_the_end], best[before_the_end])
    assert not texts[~before_the_end].any()
    np.testing.assert_array_equal(vae.sample(20, seed=3), texts)
    x = all_texts(4, 5)[:9]
    np.testing.assert_array_equal(vae.reconstruct(x), vae.decode(kv.sampling.center(vae.encode(x))).mean())


@pytest.mark.parametrize(
    "objective", slow_from(1, [kv.objectives.ELBO(), kv.objectives.IWAE(3)]), ids=lambda o: type(o).__name__
)
def test_it_trains_and_is_kept_in_a_file(objective, tmp_path):
    x = np.repeat(all_texts(4, 3)[[3, 8, 17]], 20, axis=0)
    network = NETWORKS["gru"](3, word_dropout=0.2)
    vae = make_text_vae(4, 3, network, stir=0.0, objective=objective)
    vae.adapt(x)
    vae.compile(keras.optimizers.Adam(2e-2))
    losses = vae.fit(x, batch_size=20, epochs=20, verbose=0, validation_data=x).history["val_loss"]
    # Three texts of equal frequency have log 3 nats.
    assert np.log(3) - 0.1 < losses[-1] < 1.6 < losses[0]
    vae.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded.log_prob(x[::20], 5), vae.log_prob(x[::20], 5), rtol=1e-5)
    np.testing.assert_array_equal(loaded.sample(9, seed=1, output="sample"), vae.sample(9, seed=1, output="sample"))


class Reshaped(keras.layers.Layer):
    """The mean of the embeddings of a text, by reshapes after which TensorFlow no longer knows the batch size."""

    def call(self, h):
        length = tf.shape(h)[1]
        return tf.reduce_mean(tf.reshape(tf.reshape(h, (-1, length * h.shape[2])), (-1, length, h.shape[2])), axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], shape[2])


def test_a_trunk_may_lose_the_batch_size():
    trunk = keras.Sequential([keras.layers.Embedding(3, 4), Reshaped()])
    vae = kv.VAE(kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(2)), make_text_vae().decoder, seed=0)
    x = all_texts()
    log_prob = vae.log_prob(x, 20)
    assert log_prob.shape == (len(x),)
    np.testing.assert_allclose(vae.log_prob(x[:1], 20)[0], log_prob[0], rtol=1e-5)


@pytest.mark.parametrize("network", slow_from(1, ["transformer", None]))
def test_trimmed_batches_give_the_same_numbers_as_whole_ones(network):
    x = all_texts(3, 3)
    short = np.pad(x, [(0, 0), (0, 5)])
    vae = make_text_vae(8, 3, network)
    vae.compile(jit_compile=True)  # XLA does not trim
    whole = vae.evaluate(short, batch_size=15, verbose=0, return_dict=True)
    vae.compile(jit_compile=False)
    for name, value in vae.evaluate(short, batch_size=15, verbose=0, return_dict=True).items():
        assert value == pytest.approx(whole[name], rel=1e-5), name
    z = np.zeros((len(x), 2), np.float32)
    trimmed = vae.decoder.likelihood.trimmed(tf.constant(short[:7]))
    assert trimmed.shape == (7, 3)  # texts of up to two tokens, and the end
    np.testing.assert_allclose(vae.decode(z[:7]).log_prob(trimmed), vae.decode(z[:7]).log_prob(short[:7]), rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([[1, 2, 3]], "must hold tokens from 0 to 2.*from 1 to 3"),
        ([[1, -1, 0]], "must hold tokens from 0 to 2.*from -1 to 1"),
        ([[1, 0, 0], [0, 0, 2]], "token 0 alone after the first 0.*1 texts that go on, the first of them at row 1"),
        ([[1.5, 0, 0]], "must be integers"),
        ([[1, 2]], r"must have shape \(batch, 3\)"),
    ],
)
def test_wrong_tokens_are_one_error(x, words):
    vae = make_text_vae()
    vae.compile(run_eagerly=True)
    with pytest.raises(ValueError, match=words):
        vae.fit(np.array(x), verbose=0)
    streamed = tf.data.Dataset.from_tensor_slices(np.array(x)).batch(len(x))
    with pytest.raises(ValueError, match=words):
        vae.fit(streamed, verbose=0)


def test_wrong_arguments_are_one_error():
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least 2"):
        kv.likelihoods.Tokens(4, 1)
    with pytest.raises(ValueError, match="`max_length` must be a positive integer"):
        kv.likelihoods.Tokens(0, 4)
    with pytest.raises(ValueError, match="`units` must be a multiple of num_heads"):
        kv.networks.CausalTransformer(5, units=9, num_heads=4)
    with pytest.raises(ValueError, match=r"`word_dropout` must be a number in \[0, 1\]"):
        kv.networks.CausalGRU(5, word_dropout=1.5)
    for encoder in ENCODERS.values():
        with pytest.raises(ValueError, match="`encoder` must take the integers from 0 to 4, as the likelihood does"):
            kv.VAE(
                kv.Encoder(encoder(4), kv.posteriors.DiagonalGaussian(2)),
                kv.Decoder(kv.networks.mlp((8,)), kv.likelihoods.Tokens(3, 5)),
            )


TEXTS = ["a cat", "a dog", "the cat", "the dog", "no", ""] * 8


def make_speaking_vae(**options):
    tokenizer = kv.data.Tokenizer.of(TEXTS)
    return make_text_vae(network=NETWORKS["gru"](tokenizer.size), tokenizer=tokenizer, **options)


def test_a_model_with_a_tokenizer_takes_texts_wherever_it_takes_x(tmp_path):
    vae = make_speaking_vae(stir=0.0)
    tokens = vae.tokenizer.encode(TEXTS)
    vae.adapt(TEXTS)
    vae.compile(keras.optimizers.Adam(2e-2))
    vae.fit(TEXTS, batch_size=16, epochs=3, verbose=0, validation_data=(TEXTS[:6],))
    assert vae.evaluate(TEXTS, verbose=0) == vae.evaluate(tokens, verbose=0)
    np.testing.assert_array_equal(vae.log_prob(TEXTS, 5), vae.log_prob(tokens, 5))
    np.testing.assert_array_equal(vae.encode(TEXTS[:2]).mean(), vae.encode(tokens[:2]).mean())
    np.testing.assert_array_equal(vae.reconstruct(TEXTS[0]), vae.reconstruct(tokens[:1]))
    np.testing.assert_array_equal(vae.predict(TEXTS, verbose=0), vae.predict(tokens, verbose=0))
    assert kv.measure.evaluate(vae, TEXTS, 5) == kv.measure.evaluate(vae, tokens, 5)
    np.testing.assert_array_equal(kv.measure.posterior_centers(vae, TEXTS), kv.measure.posterior_centers(vae, tokens))
    vae.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.generate(9, seed=7) == vae.generate(9, seed=7)


def test_generated_texts_are_samples_at_two_temperatures():
    vae = make_speaking_vae()
    texts = vae.generate(20, seed=7)
    assert texts == vae.tokenizer.decode(vae.sample(20, seed=7, output="sample"))
    assert len(set(texts)) > 10
    assert vae.generate(20, seed=7, token_temperature=0.0) == vae.tokenizer.decode(vae.sample(20, seed=7))
    assert len(set(vae.generate(20, seed=7, temperature=0.0, token_temperature=0.0))) == 1
    assert vae.generate(20, seed=7, top_p=0.0) == vae.generate(20, seed=7, token_temperature=0.0)
    assert vae.generate(20, seed=7, top_p=1.0) == texts
    assert len(set(vae.generate(20, seed=7, top_p=0.5)) - set(texts)) > 5
    z, _ = vae.sample_latent(20, seed=7)
    assert vae.texts_of(z) == vae.generate(20, seed=7, token_temperature=0.0)
    with pytest.raises(ValueError, match="`z` must be finite"):
        vae.texts_of(np.full((1, 2), np.nan))


def test_drawings_of_several_numbers_of_texts_share_a_graph():
    vae = make_speaking_vae()
    one = vae.generate(3, seed=7)
    assert vae.generate(9, seed=7)[:3] == one
    assert [vae.generate(count, seed=7)[:3] for count in (4, 5, 6)] == [one] * 3
    assert vae.decoder.likelihood._draw.experimental_get_tracing_count() == 2


def test_a_model_without_a_tokenizer_says_so():
    vae = make_text_vae()
    for call in (vae.generate, lambda: vae.texts_of(np.zeros((1, 2)))):
        with pytest.raises(ValueError, match=r"needs a likelihood of texts with a tokenizer: Tokens\(tokenizer=...\)"):
            call()
    with pytest.raises(ValueError, match=r"`x` must be an array of real numbers: .* Received: x of text"):
        vae.fit(["a text"], verbose=0)
    with pytest.raises(ValueError, match="`token_temperature` must be a number of at least 0"):
        make_speaking_vae().generate(token_temperature=-1.0)
    with pytest.raises(ValueError, match=r"`top_p` must be a number in \[0, 1\]"):
        make_speaking_vae().generate(top_p=1.5)
    with pytest.raises(ValueError, match=r"`max_length` must be that of the tokenizer, 2. Received: max_length=3"):
        kv.likelihoods.Tokens(3, tokenizer=kv.data.Tokenizer(["a"], max_length=2))
    with pytest.raises(ValueError, match="`vocabulary_size` must be a positive integer if there is no tokenizer"):
        kv.likelihoods.Tokens(3)


@pytest.mark.slow
def test_batches_of_about_one_length_train_to_the_loss_of_any():
    x = np.pad(np.repeat(all_texts(4, 3), 4, axis=0), [(0, 0), (0, 8)])
    vae = make_text_vae(12, 3)
    lengths = vae.lengths_of(kv.data.Examples(x))
    np.testing.assert_array_equal(lengths, np.minimum((x > 0).sum(axis=1) + 1, 12))
    vae.compile(keras.optimizers.SGD(1e-9))
    seen = vae.fit(x, batch_size=31, epochs=20, verbose=0).history["loss"]
    assert np.mean(seen) == pytest.approx(-vae.bounds(x, 50)[0].mean(), abs=4 * np.std(seen) / np.sqrt(20))


class Batches(keras.utils.PyDataset):
    """The texts in batches of five."""

    def __len__(self):
        return -(-len(TEXTS) // 5)

    def __getitem__(self, index):
        return (np.array(TEXTS[5 * index : 5 * index + 5]),)


@pytest.mark.slow
def test_texts_in_batches_train_as_their_tokens_do():
    tokenizer = kv.data.Tokenizer.of(TEXTS)

    def history(x):
        vae = make_text_vae(tokenizer=tokenizer)
        vae.compile(keras.optimizers.Adam(1e-2))
        return vae.fit(x, verbose=0, shuffle=False).history

    batches = tf.data.Dataset.from_tensor_slices(TEXTS).batch(5)
    expected = history(tf.data.Dataset.from_tensor_slices(tokenizer.encode(TEXTS)).batch(5))
    assert history(batches) == expected
    assert history(Batches()) == expected
    vae = make_text_vae(tokenizer=tokenizer)
    vae.compile()
    assert vae.evaluate(batches, verbose=0) == vae.evaluate(batches.map(lambda x: (x, x)), verbose=0)
    np.testing.assert_array_equal(vae.predict(batches, verbose=0), vae.reconstruct(TEXTS))
    with pytest.raises(ValueError, match=r"`x` must be batches of texts.*Received: single texts"):
        vae.fit(batches.unbatch(), verbose=0)
