import functools
import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_vae.distributions import noise
from keras_vae.distributions.noise import MultiSampleNoise, Noise, Tempered, threefry2x32

WORD = 2**32
KNOWN_ANSWERS = [  # Random123, kat_vectors: key, counter, result
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((WORD - 1, WORD - 1), (WORD - 1, WORD - 1), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]
# E[x^k] of the standardized distributions, k = 0, 1, ... 8.
NORMAL_MOMENTS = (1, 0, 1, 0, 3, 0, 15, 0, 105)
UNIFORM_MOMENTS = (1, 0, 1, 0, 9 / 5, 0, 27 / 7, 0, 9)


def reference(key, counter):
    """Threefry-2x32-20 on Python integers: twenty rounds, the key added before the first and after each fourth."""
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    a, b = (counter[0] + keys[0]) % WORD, (counter[1] + keys[1]) % WORD
    for number in range(20):
        a = (a + b) % WORD
        left = rotations[number % 8]
        b = (b << left | b >> (32 - left)) % WORD ^ a
        if number % 4 == 3:
            injection = number // 4 + 1
            a = (a + keys[injection % 3]) % WORD
            b = (b + keys[(injection + 1) % 3] + injection) % WORD
    return a, b


def words_of(key, counter):
    pairs = [tuple(tf.constant(np.asarray(word, np.uint32)) for word in pair) for pair in (key, counter)]
    return tuple(word.numpy() for word in threefry2x32(*pairs))


@functools.cache
def draws(kind, seed=11, stream=0, shape=(512, 512)):
    """Returns many draws as a float64 vector."""
    return getattr(Noise(seed, stream), kind)(shape).numpy().astype(np.float64).ravel()


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN_ANSWERS)
def test_threefry_gives_the_published_answers(key, counter, expected):
    assert words_of(key, counter) == expected


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN_ANSWERS)
def test_the_reference_gives_the_published_answers(key, counter, expected):
    assert reference(key, counter) == expected


def test_threefry_equals_the_reference_on_random_and_extreme_words():
    random = np.random.default_rng(0).integers(0, WORD, (300, 4))
    extreme = np.stack(np.meshgrid(*[[0, 1, 2**31, WORD - 1]] * 4), -1).reshape(-1, 4)
    inputs = np.concatenate([random, extreme])
    a, b = words_of(inputs[:, :2].T, inputs[:, 2:].T)
    expected = [reference(tuple(row[:2]), tuple(row[2:])) for row in inputs.tolist()]
    np.testing.assert_array_equal(np.stack([a, b], 1), expected)


@pytest.mark.parametrize(
    ("seed", "key_word"), [(0, 0), (5, 5), (-1, WORD - 1), (-(2**31), 2**31), (2**31, 2**31), (WORD - 1, WORD - 1)]
)
def test_words_are_threefry_of_seed_stream_row_and_position(seed, key_word):
    source = Noise(seed, stream=9)
    source.words((2, 3))
    a, b = source.words((3, 2, 2))
    expected = [[reference((key_word, 9), (row, 3 + column)) for column in range(4)] for row in range(3)]
    np.testing.assert_array_equal(np.stack([a, b], -1), np.reshape(expected, (3, 2, 2, 2)))


@pytest.mark.parametrize("seed", [np.int64(-3), np.uint32(WORD - 3), tf.constant(-3), tf.constant(-3, tf.int64)])
def test_a_seed_means_the_same_in_every_integer_type(seed):
    np.testing.assert_array_equal(Noise(seed).words((3, 4)), Noise(-3).words((3, 4)))


@pytest.mark.parametrize("kind", ["words", "uniform", "normal"])
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_a_row_does_not_depend_on_the_number_of_rows(kind, rows):
    few, many = (np.asarray(getattr(Noise(3), kind)((count, 2, 5))) for count in (rows, 7))
    # The last elements of a vectorized cosine take another routine: normals may differ in the last place.
    np.testing.assert_allclose(few, many[..., :rows, :, :], rtol=0, atol=1e-6 if kind == "normal" else 0)


def test_the_number_of_rows_may_be_a_tensor():
    @tf.function(input_signature=[tf.TensorSpec((), tf.int32)])
    def normal(rows):
        return Noise(3).normal((rows, 2, 5))

    for rows in (1, 4):
        np.testing.assert_allclose(normal(rows), Noise(3).normal((rows, 2, 5)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["words", "uniform", "normal"])
def test_successive_calls_differ_and_the_same_construction_repeats(kind):
    first, again = Noise(3, 4), Noise(3, 4)
    calls = [np.asarray(getattr(first, kind)((4, 5))) for _ in range(3)]
    for number, call in enumerate(calls):
        np.testing.assert_array_equal(call, getattr(again, kind)((4, 5)))
        assert not any(np.any(call == earlier) for earlier in calls[:number])


def test_uniforms_are_odd_multiples_of_two_to_the_minus_24_inside_the_unit_interval():
    multiples = draws("uniform") * 2**24
    np.testing.assert_array_equal(multiples % 2, 1)
    assert multiples.min() >= 1
    assert multiples.max() <= 2**24 - 1


@pytest.mark.parametrize(("word", "uniform"), [(0, 2.0**-24), (2**31, 0.5 + 2.0**-24), (WORD - 1, 1 - 2.0**-24)])
def test_the_extreme_words_stay_inside_the_unit_interval_and_give_finite_normals(monkeypatch, word, uniform):
    constant = tf.constant(word, tf.uint32)
    monkeypatch.setattr(noise, "threefry2x32", lambda key, counter: (tf.fill((2, 3), constant),) * 2)
    np.testing.assert_array_equal(Noise(0).uniform((2, 3)), np.full((2, 3), uniform, np.float32))
    expected = math.sqrt(-2 * math.log(uniform)) * math.cos(2 * math.pi * uniform)
    assert abs(expected) < 5.77
    np.testing.assert_allclose(Noise(0).normal((2, 3)), np.full((2, 3), expected), rtol=1e-5)


def test_normals_are_the_box_muller_transform_of_the_words():
    a, b = (np.asarray(word, np.float64) // 512 for word in Noise(2, 7).words((64, 65)))
    u, v = (a + 0.5) / 2**23, (b + 0.5) / 2**23
    expected = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    # atol: near a zero of the cosine the float32 angle of up to 2 pi is off by 2e-7, times a radius of up to 5.77.
    np.testing.assert_allclose(Noise(2, 7).normal((64, 65)), expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("seed", [11, -11, WORD - 1])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("kind", "mean", "stddev", "moments"),
    [("uniform", 0.5, math.sqrt(1 / 12), UNIFORM_MOMENTS), ("normal", 0.0, 1.0, NORMAL_MOMENTS)],
)
def test_mean_variance_skew_and_kurtosis_are_within_4_standard_errors(kind, mean, stddev, moments, order, seed):
    powers = ((draws(kind, seed) - mean) / stddev) ** order
    standard_error = math.sqrt((moments[2 * order] - moments[order] ** 2) / powers.size)
    assert abs(powers.mean() - moments[order]) < 4 * standard_error


@pytest.mark.parametrize("seed", [11, -11, WORD - 1])
@pytest.mark.parametrize(("kind", "distribution"), [("uniform", "uniform"), ("normal", "norm")])
def test_kolmogorov_smirnov_does_not_reject(kind, distribution, seed):
    assert scipy.stats.kstest(draws(kind, seed), distribution).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize(
    ("one", "other"),
    [((0, 0), (1, 0)), ((0, 0), (0, 1)), ((0, 1), (1, 0)), ((-1, 0), (0, 0)), ((7, 2**31), (7, 2**31 + 1))],
)
def test_neighboring_seeds_and_streams_are_uncorrelated(kind, one, other):
    first, second = draws(kind, *one), draws(kind, *other)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(first.size)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("lag", [1, 2, 64])
def test_neighboring_rows_and_positions_are_uncorrelated(kind, axis, lag):
    table = np.moveaxis(draws(kind).reshape(512, 512), axis, 0)
    first, second = table[:-lag].ravel(), table[lag:].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(first.size)


def test_the_two_words_of_a_counter_are_uncorrelated():
    a, b = (np.asarray(word, np.float64).ravel() for word in Noise(1).words((512, 512)))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(a.size)


def test_each_bit_is_set_half_of_the_time():
    words = np.stack([np.asarray(word).ravel() for word in Noise(1).words((256, 256))])
    bits = np.unpackbits(words.view(np.uint8).reshape(2, -1, 4), axis=-1).reshape(2, -1, 32)
    np.testing.assert_allclose(bits.mean(axis=1), 0.5, atol=4 * 0.5 / 256, rtol=0)


@pytest.mark.parametrize("word", range(4))
def test_flipping_one_input_bit_flips_half_of_the_output_bits(word):
    inputs = np.random.default_rng(word).integers(0, WORD, (4, 1, 2000), dtype=np.uint32)
    flipped = np.repeat(inputs, 32, axis=1)
    flipped[word] ^= np.uint32(1) << np.arange(32, dtype=np.uint32)[:, None]
    before, after = (words_of(x[:2], x[2:]) for x in (inputs, flipped))
    changed = sum(np.bitwise_count(x ^ y).astype(int) for x, y in zip(before, after, strict=True))
    # The number of changed bits is binomial(64, 1/2): mean 32, standard deviation 4.
    np.testing.assert_allclose(changed.mean(axis=1), 32, atol=4 * 4 / math.sqrt(2000), rtol=0)


def test_no_pair_of_words_repeats_and_single_words_collide_as_often_as_chance():
    a, b = (np.asarray(word, np.uint64).ravel() for word in Noise(5).words((1024, 1024)))
    assert np.unique(a << np.uint64(32) | b).size == 2**20
    expected = 2**20 * (2**20 - 1) / 2 / WORD  # 128 pairs of equal words, a Poisson number
    for word in (a, b):
        collisions = 2**20 - np.unique(word).size
        assert abs(collisions - expected) < 4 * math.sqrt(expected)


@pytest.mark.parametrize("seed", [WORD, -(2**31) - 1, 1.5, np.float64(2), "7", None, True, np.array([3])])
def test_a_bad_seed_is_refused_by_name(seed):
    with pytest.raises(ValueError, match=r"^`seed` must be an integer in \[-2\*\*31, 2\*\*32\)\. Received: seed="):
        Noise(seed)


def test_a_bad_stream_is_refused_by_name():
    with pytest.raises(ValueError, match="`stream`"):
        Noise(0, stream=1.5)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 2, tf.constant(2.0)])
def test_temperature_scales_normals_and_moves_uniforms_toward_a_half_by_the_formula(temperature):
    plain, tempered = Noise(4), Tempered(Noise(4), temperature)
    u, t = np.float64(plain.uniform((30, 4))), float(temperature)
    expected = np.where(u < 0.5, 0.5 * (2 * u) ** t, 1 - 0.5 * (2 * (1 - u)) ** t)
    np.testing.assert_allclose(tempered.uniform((30, 4)), expected, rtol=1e-5)
    np.testing.assert_array_equal(tempered.normal((3, 4)), temperature * plain.normal((3, 4)))


@pytest.mark.parametrize("temperature", [1, 1.0, tf.constant(1.0)])
def test_at_temperature_one_every_number_is_that_of_the_source(temperature):
    plain, tempered = Noise(4), Tempered(Noise(4), temperature)
    np.testing.assert_array_equal(tempered.uniform((3000, 4)), plain.uniform((3000, 4)))
    np.testing.assert_array_equal(tempered.normal((3, 4)), plain.normal((3, 4)))


def test_at_high_temperature_uniforms_stay_inside_the_unit_interval():
    u = Tempered(Noise(4), 40.0).uniform((500, 4)).numpy()
    assert u.min() == 2.0**-24
    assert u.max() == 1.0 - 2.0**-24


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_sources_compose(kind):
    """Several samples of tempered noise are tempered noise of several samples."""
    one, other, product = (
        MultiSampleNoise(Tempered(Noise(4), 0.5)),
        Tempered(MultiSampleNoise(Noise(4)), 0.5),
        MultiSampleNoise(Noise(4)),
    )
    values = [getattr(source, kind)((2, 5, 3)).numpy() for source in (one, other, product)]
    np.testing.assert_array_equal(values[0], values[1])
    if kind == "normal":
        np.testing.assert_array_equal(values[0], 0.5 * values[2])
    twice = getattr(Tempered(Tempered(Noise(4), 0.5), 0.5), kind)((5, 3))
    np.testing.assert_allclose(twice, getattr(Tempered(Noise(4), 0.25), kind)((5, 3)), rtol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda n: MultiSampleNoise(Tempered(n, 0.5)), lambda n: Tempered(MultiSampleNoise(n), 0.5)]
)
def test_a_source_gives_its_temperature_and_itself_without(make):
    source, temperature = make(Noise(4)).untempered()
    np.testing.assert_array_equal(source.uniform((2, 5, 3)), MultiSampleNoise(Noise(4)).uniform((2, 5, 3)))
    assert temperature == 0.5
    assert Tempered(Tempered(Noise(4), 0.5), 0.5).untempered()[1] == 0.25
    assert MultiSampleNoise(Noise(4)).untempered()[1] is None


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("seed", "stream"), [(0, 0), (-7, 3), (2**31 - 1, 2**31 - 1)])
def test_a_compiled_graph_gives_the_integers_and_normals_of_eager_execution(seed, stream, jit_compile):
    def both(seed, stream):
        source = Noise(seed, stream)
        return source.words((32, 6)), source.uniform((32, 6)), source.normal((32, 6))

    eager = both(seed, stream)
    compiled = tf.function(both, jit_compile=jit_compile)(tf.constant(seed), tf.constant(stream))
    np.testing.assert_array_equal(compiled[0], eager[0])
    np.testing.assert_array_equal(compiled[1], eager[1])
    # Logarithm and cosine are another routine in a compiled graph: within 1e-5, not equal.
    np.testing.assert_allclose(compiled[2], eager[2], rtol=0, atol=1e-5)
