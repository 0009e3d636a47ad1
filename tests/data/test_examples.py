import gc
import itertools
import math
import weakref

import numpy as np
import pytest

from keras_vae.data import BINARIZATIONS, Examples, binarize, dequantize
from keras_vae.data.drawing import drawn

GRAY = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def numbered(count=10, **kwargs):
    """Returns images that hold nothing but their own number, labeled by 10 times it."""
    values = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, 2, 3, 1))
    return Examples(values.copy(), labels=10 * np.arange(count), **kwargs)


def gray(count=10, **kwargs):
    """Returns random 8-bit images."""
    values = np.random.default_rng(0).integers(0, 256, (count, 2, 3, 1), dtype=np.uint8)
    return Examples(values, divisor=255.0, **kwargs)


def epochs_of(images, batch_size, count, **kwargs):
    """Returns `count` epochs, each a list of `(x, y, weight)` arrays."""
    batches = images.batches(batch_size, **kwargs).as_numpy_iterator()
    steps = math.ceil(len(images) / batch_size)
    return [list(itertools.islice(batches, steps)) for _ in range(count)]


def flat(epochs):
    return itertools.chain.from_iterable(epochs)


def numbers(epoch):
    """Returns the numbers of the examples of an epoch in their order, without the padding."""
    x, _, weight = (np.concatenate(part) for part in zip(*epoch, strict=True))
    return x[weight > 0, 0, 0, 0].astype(int)


def assert_same(batches, expected):
    for batch, other in zip(batches, expected, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_weights_that_are_none_are_named(bad):
    with pytest.raises(ValueError, match=r"^`weights`, the `sample_weight` of `fit`, must be finite and at least 0\."):
        gray(weights=np.array([1.0] * 9 + [bad]))


@pytest.mark.parametrize("name", ["labels", "weights"])
def test_a_part_of_another_length_is_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"`{name}` must have one entry for each of the 4 .*{name} with 3"):
        Examples(np.zeros((4, 2, 2, 1)), **{name: np.zeros(3)})


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="`values` must be an array of at least one number"):
        Examples(np.zeros((0, 2, 2, 1)))


@pytest.mark.parametrize("index", [slice(2, 5), slice(None, None, 3), slice(-1, None)])
def test_a_slice_keeps_examples_labels_weights_and_presentation(index):
    images = gray(labels=np.arange(10), weights=np.linspace(0, 1, 10), noise="bernoulli")
    part = images[index]
    np.testing.assert_array_equal(part.values, images.values[index])
    np.testing.assert_array_equal(part.labels, np.arange(10)[index])
    np.testing.assert_array_equal(part.weights, np.linspace(0, 1, 10)[index])
    assert (part.divisor, part.noise, len(part)) == (255.0, "bernoulli", len(np.arange(10)[index]))


def test_limits_are_those_of_the_presented_values():
    np.testing.assert_array_equal(Examples(GRAY[:, 2:4], divisor=255.0).limits(), np.float32([32 / 255, 63 / 255]))
    np.testing.assert_array_equal(numbered().limits(), [0, 9])
    assert np.isnan(Examples(np.float32([[1.0, np.nan]])).limits()).all()


def test_mean_is_the_mean_example_as_presented():
    images = gray(1000)
    assert images.mean().dtype == np.float32
    np.testing.assert_allclose(images.mean(), images.values.astype(np.float64).sum(0) / 255 / 1000, rtol=1e-6)
    np.testing.assert_array_equal(numbered(4).mean(), np.full((2, 3, 1), 1.5))


def test_deviation_is_that_of_the_values_as_presented():
    images = gray(1000)
    np.testing.assert_allclose(images.deviation(), (images.values / 255.0).std(axis=0), rtol=1e-5)
    dithered = dequantize(images)
    expected = np.sqrt((images.values / 256.0).var(axis=0) + 1 / 12 / 256**2)
    np.testing.assert_allclose(dithered.deviation(), expected, rtol=1e-2)
    mean = images.mean()
    # 10%: one draw of a thousand examples.
    np.testing.assert_allclose(binarize(images, "dynamic").deviation(), np.sqrt(mean * (1 - mean)), rtol=0.1)
    np.testing.assert_allclose(Examples(np.float32([[1e12], [-1e12]])).deviation(), [1e12], rtol=1e-6)


def test_numpy_gives_every_example_scaled_to_its_divisor():
    x = gray().numpy()
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, gray().values / np.float32(255))
    np.testing.assert_array_equal(numbered().numpy(), numbered().values)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint16", "uint32"])
@pytest.mark.parametrize("shape", [(7,), (5, 2), (4, 3, 1), (2, 3, 2, 1)])
def test_integers_are_presented_as_int32(dtype, shape):
    values = np.random.default_rng(0).integers(0, 300, (10, *shape)).astype(dtype)
    tokens = Examples(values)
    assert tokens.dtype == np.int32
    assert np.asarray(tokens).dtype == tokens.numpy().dtype == tokens.limits().dtype == np.int32
    np.testing.assert_array_equal(tokens.numpy(), values)
    np.testing.assert_array_equal(tokens.limits(), [values.min(), values.max()])
    (x, _, _), *_ = epochs_of(tokens, 10, 1, shuffle=False)[0]
    block = next(iter(tokens.blocks(5, 2, shuffle=False)))
    assert x.dtype == block.batches[0].dtype == np.int32
    np.testing.assert_array_equal(x, values)
    np.testing.assert_array_equal(np.concatenate(block.batches[0]), values)


@pytest.mark.parametrize("present_as", ["int32", "float32"])
def test_the_type_of_the_presentation_can_be_chosen(present_as):
    values = np.arange(20).reshape(10, 2)
    for examples in (Examples(values, present_as=present_as), Examples(np.float64(values), present_as=present_as)):
        assert examples.dtype == examples[2:5].dtype == examples.numpy().dtype == present_as
        np.testing.assert_array_equal(examples.numpy(), values)
        (x, _, _), *_ = epochs_of(examples, 10, 1, shuffle=False)[0]
        assert x.dtype == present_as
        np.testing.assert_array_equal(x, values)


@pytest.mark.parametrize(
    "examples",
    [
        Examples(np.uint8([[1], [200]])),
        Examples(np.int8([[1], [-7]])),
        Examples(np.array([[True], [False]])),
        Examples(np.int64([[1], [2]]), divisor=2.0),
        Examples(np.int64([[1], [0]]), noise="bernoulli"),
        Examples(np.int64([[1], [2**31]])),
        Examples(np.float64([[1], [2]])),
    ],
)
def test_all_others_are_presented_as_float32(examples):
    assert examples.dtype == examples.numpy().dtype == np.float32
    expected = examples.values.astype(np.float32) / np.float32(examples.divisor)
    np.testing.assert_array_equal(examples.numpy(), expected)


@pytest.mark.parametrize(("shape", "kind"), [((7,), "vectors"), ((5, 2), "series"), ((4, 3, 1), "images")])
def test_the_rank_says_what_the_examples_are(shape, kind):
    assert Examples(np.zeros((2, *shape))).kind == kind


def test_numpy_of_dynamic_images_is_a_binary_draw_of_its_seed():
    images = gray(noise="bernoulli")
    assert set(np.unique(images.numpy())) == {0.0, 1.0}
    np.testing.assert_array_equal(images.numpy(3), images.numpy(3))
    assert np.any(images.numpy(3) != images.numpy(4))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (8, 4), (3, 5), (7, 1), (1, 1)])
def test_an_epoch_has_every_example_once_and_padding_weighs_nothing(count, batch_size, shuffle):
    for epoch in epochs_of(numbered(count), batch_size, 3, shuffle=shuffle):
        np.testing.assert_array_equal(np.sort(numbers(epoch)), np.arange(count))
        weight = np.concatenate([weight for _, _, weight in epoch])
        np.testing.assert_array_equal(weight, np.arange(len(weight)) < count)
        assert {x.shape for x, _, _ in epoch} == {(batch_size, 2, 3, 1)}


def test_without_shuffling_the_order_is_kept():
    for epoch in epochs_of(numbered(), 4, 2, shuffle=False):
        np.testing.assert_array_equal(numbers(epoch), np.arange(10))


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = [tuple(numbers(epoch)) for seed in (0, 1) for epoch in epochs_of(numbered(), 4, 3, seed=seed)]
    assert len({*orders, tuple(range(10))}) == 7


def test_labels_and_weights_travel_with_their_images():
    for epoch in epochs_of(numbered(weights=np.arange(10) / 2), 4, 2):
        for x, y, weight in epoch:
            real = weight > 0
            np.testing.assert_array_equal(y, 10 * x[:, 0, 0, 0])
            np.testing.assert_array_equal(weight[real], x[real, 0, 0, 0] / 2)
        assert sum(weight.sum() for _, _, weight in epoch) == 22.5


def test_images_without_labels_have_an_empty_label():
    assert next(gray().batches(4).as_numpy_iterator())[1] == ()


def test_batches_show_what_numpy_gives():
    x = np.concatenate([x for x, _, _ in epochs_of(gray(8), 4, 1, shuffle=False)[0]])
    np.testing.assert_array_equal(x, gray(8).numpy())


@pytest.mark.parametrize("seed", [0, 5, 2**31 + 7])
def test_the_same_seed_repeats_order_and_draws(seed):
    first, second = (epochs_of(gray(noise="bernoulli"), 4, 2, seed=seed) for _ in range(2))
    assert_same(flat(first), flat(second))


@pytest.mark.parametrize("initial_epoch", [1, 3])
@pytest.mark.parametrize("images", [numbered(), gray(noise="bernoulli")], ids=["numbered", "dynamic"])
def test_a_later_initial_epoch_continues_exactly(images, initial_epoch):
    whole = epochs_of(images, 4, initial_epoch + 2, seed=2)
    rest = epochs_of(images, 4, 2, seed=2, initial_epoch=initial_epoch)
    assert_same(flat(rest), flat(whole[initial_epoch:]))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("initial_epoch", [0, 2])
@pytest.mark.parametrize(("block_size", "counts"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (8, [5])])
def test_blocks_hold_exactly_the_batches(block_size, counts, initial_epoch, shuffle):
    images, settings = gray(18, labels=np.arange(18), noise="bernoulli"), (shuffle, 3, initial_epoch)
    blocks = list(images.blocks(4, block_size, *settings).take(2 * len(counts)))
    assert [int(block.count) for block in blocks] == counts * 2
    batches = [[drawn(part[step]) for part in block.batches] for block in blocks for step in range(block.count)]
    assert_same(batches, images.batches(4, *settings).take(10).as_numpy_iterator())


@pytest.mark.parametrize("make", [lambda images: images.batches(4), lambda images: images.blocks(4, 2)])
def test_no_thread_that_tunes_is_waited_for_when_an_iterator_ends(make):
    assert make(Examples(np.zeros((9, 2), np.uint8))).options().autotune.enabled is False


def test_the_filling_of_a_partial_block_weighs_nothing():
    block = next(numbered().blocks(4, 5).as_numpy_iterator())
    assert block.count == 3
    np.testing.assert_array_equal(block.batches[2].sum(axis=1), [4, 4, 2, 0, 0])


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True, "4"])
def test_a_bad_batch_size_is_refused_by_name(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        gray().batches(batch_size)


@pytest.mark.parametrize("block_size", [0, 1.5])
def test_a_bad_block_size_is_refused_by_name(block_size):
    with pytest.raises(ValueError, match="`block_size`"):
        gray().blocks(4, block_size)


@pytest.mark.parametrize("name", ["seed", "initial_epoch"])
def test_a_negative_seed_or_epoch_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        gray().batches(4, **{name: -1})


def test_two_dynamic_presentations_differ_within_and_between_epochs():
    same = Examples(np.repeat(GRAY, 4, axis=0), divisor=255.0, noise="bernoulli")
    draws = [x for epoch in epochs_of(same, 1, 2) for x, _, _ in epoch]
    assert {np.unique(x).size for x in draws} == {2}
    assert all(np.any(one != other) for one, other in itertools.combinations(draws, 2))


def test_dynamic_presentations_average_to_the_gray_value():
    same = Examples(np.repeat(GRAY, 250, axis=0), divisor=255.0, noise="bernoulli")
    draws = np.concatenate([x for epoch in epochs_of(same, 250, 20) for x, _, _ in epoch])
    probability = np.arange(256) / 255
    mean = draws.reshape(-1, 256).mean(axis=0, dtype=np.float64)
    # The ends are certain: 0 is never drawn as 1, 255 always is.
    standard_error = np.sqrt(probability * (1 - probability) / len(draws))
    np.testing.assert_array_less(np.abs(mean - probability), 4 * standard_error + 1e-12)


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_are_certain(value):
    # A uniform is exactly 0 once in 2^24 draws: 2^25 draws see several.
    images = Examples(np.full((16, 512, 512), value, np.uint8), divisor=255.0, noise="bernoulli")
    for ((x, _, _),) in epochs_of(images, 16, 8, shuffle=False):
        assert x.min() == x.max() == value / 255


def test_dynamic_keeps_the_gray_values_and_their_statistics():
    images = binarize(gray(), "dynamic")
    assert images.noise == "bernoulli"
    np.testing.assert_array_equal(images.values, gray().values)
    np.testing.assert_array_equal(images.mean(), gray().mean())


def test_static_is_one_fixed_draw_whatever_the_epoch():
    images = binarize(gray(), "static", seed=1)
    np.testing.assert_array_equal(images.numpy(0), images.numpy(1))
    for epoch in epochs_of(images, 5, 2, shuffle=False):
        np.testing.assert_array_equal(np.concatenate([x for x, _, _ in epoch]), images.numpy())
    np.testing.assert_array_equal(images.values, binarize(gray(), "static", seed=1).values)
    assert np.any(images.values != binarize(gray(), "static", seed=2).values)


@pytest.mark.parametrize("scale", [1, 255], ids=["floating", "uint8"])
def test_static_draws_average_to_the_gray_value(scale):
    values = np.repeat(GRAY, 4000, axis=0)
    images = Examples(values if scale == 255 else values / np.float32(255), divisor=float(scale))
    mean = binarize(images, "static").numpy().reshape(-1, 256).mean(axis=0, dtype=np.float64)
    probability = np.arange(256) / 255
    standard_error = np.sqrt(probability * (1 - probability) / 4000)
    np.testing.assert_array_less(np.abs(mean - probability), 4 * standard_error + 1e-12)


@pytest.mark.parametrize(
    ("values", "divisor"), [(np.uint8([0, 127, 128, 255]), 255.0), (np.float32([0, 0.4999, 0.5, 1]), 1.0)]
)
def test_threshold_is_one_from_one_half_on(values, divisor):
    images = binarize(Examples(values.reshape(4, 1, 1, 1), divisor=divisor), "threshold")
    np.testing.assert_array_equal(images.numpy().ravel(), [0, 0, 1, 1])
    np.testing.assert_array_equal(images.limits(), [0, 1])


def test_none_leaves_images_alone_whatever_their_range():
    images = numbered()
    assert binarize(images, "none") is images


@pytest.mark.parametrize("binarization", BINARIZATIONS[:3])
def test_binarization_keeps_labels(binarization):
    np.testing.assert_array_equal(binarize(gray(labels=np.arange(10)), binarization).labels, np.arange(10))


@pytest.mark.parametrize("value", [np.nan, 1.001, -0.001, np.inf])
@pytest.mark.parametrize("binarization", BINARIZATIONS[:3])
def test_values_outside_the_unit_interval_cannot_be_binarized(binarization, value):
    images = Examples(np.float32([0.5, value]).reshape(2, 1, 1, 1))
    with pytest.raises(ValueError, match=rf"`binarization` must be 'none' .*binarization='{binarization}'"):
        binarize(images, binarization)


def test_an_unknown_binarization_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`binarization` must be one of 'dynamic'.*Received: binarization='maybe'"):
        binarize(gray(), "maybe")


# Dequantization.


def test_dequantized_images_fill_their_levels_and_nothing_else():
    x = dequantize(gray(), fixed=True, seed=3).numpy()
    np.testing.assert_array_equal(np.floor(x * 256), np.broadcast_to(gray().values, x.shape))
    assert (x.min() >= 0.0, x.max() < 1.0) == (True, True)
    # The places within the levels are uniform: mean 1/2, variance 1/12.
    place = dequantize(Examples(np.full((100, 20, 20, 1), 7, np.uint8), divisor=255.0), fixed=True).numpy() * 256 - 7
    assert abs(place.mean() - 0.5) < 4 * np.sqrt(1 / 12 / place.size)
    assert abs(place.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / place.size)


def test_dequantized_presentations_are_drawn_anew_and_a_fixed_one_is_not():
    images = dequantize(gray())
    (first, *_), (second, *_) = list(images.batches(len(images), shuffle=False).take(2).as_numpy_iterator())
    assert (np.floor(first * 256) == np.floor(second * 256)).all()
    assert (first != second).mean() > 0.99
    fixed = dequantize(gray(), fixed=True, seed=5)
    np.testing.assert_array_equal(fixed.numpy(0), fixed.numpy(1))
    assert (fixed.noise, fixed.levels, images.noise, images.levels) == (None, 256, "uniform", 256)


def test_statistics_of_dequantized_images_are_those_of_the_draws():
    images = dequantize(gray())
    many = np.stack([images.numpy(seed) for seed in range(400)])
    error = np.abs(many.mean(axis=(0, 1)) - images.mean())
    assert error.max() < 5 * np.sqrt(1 / 12 / 400 / len(images)) / 256
    low, high = images.limits()
    assert low <= many.min()
    assert many.max() <= high <= 1.0


@pytest.mark.parametrize("images", [Examples(np.zeros((3, 2, 2, 1), np.float32)), gray(noise="bernoulli")])
def test_dequantization_wants_8_bit_values(images):
    with pytest.raises(ValueError, match=r"`dequantization` needs 8-bit images"):
        dequantize(images)


def test_what_is_presented_one_way_is_not_presented_another_way_too():
    with pytest.raises(ValueError, match=r"not binarized. Received: uint8 values, divisor=1"):
        dequantize(binarize(gray(), "static"))
    for images in (dequantize(gray()), dequantize(gray(), fixed=True), binarize(gray(), "dynamic")):
        with pytest.raises(ValueError, match="`binarization` needs images that are neither"):
            binarize(images, "static")


def test_a_data_set_that_is_used_up_leaves_nothing_in_memory():
    # TensorFlow keeps the Python function behind each `numpy_function` for the life of the process.
    images = Examples(np.zeros((4, 2, 2, 1), np.uint8), weights=np.ones(4))
    next(iter(images.batches(2)))
    gone = weakref.ref(images)
    del images
    gc.collect()
    assert gone() is None
