"""Causal networks: what an output sees, and the same numbers value by value as all at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import shake, slow_from

import keras_vae as kv
from keras_vae.networks.causal import check_causal
from keras_vae.networks.wavefront import Wavefront

SHAPES = [(3, 6, 3), (5, 4, 1), (1, 1, 4), (9, 10, 1), (2, 3, 2), (1, 5, 1), (6, 1, 1)]
FEATURES = {"maps": lambda shape: (*shape[:2], 3), "flat": lambda shape: (7,)}


def built(shape, features="maps", **options):
    """Returns a causal network with random weights, and the shape of its features."""
    keras.utils.set_random_seed(0)
    network, features_shape = kv.networks.CausalConv(4, 2, **options), FEATURES[features](shape)
    network.build((None, *shape), (None, *features_shape))
    return shake(network, 0.4), features_shape


@pytest.mark.parametrize("shape", slow_from(3, [(shape,) for shape in SHAPES]), ids=str)
@pytest.mark.parametrize("features", FEATURES)
def test_a_value_sees_the_values_before_it_and_the_features(shape, features):
    network, features_shape = built(shape, features)
    size = np.prod(shape)
    x, maps = (
        tf.constant(np.random.default_rng(i).normal(size=(1, *s)), tf.float32)
        for i, s in enumerate((shape, features_shape))
    )
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, maps])
        outputs = tf.reshape(network(x, maps), (size, -1))
    sees = np.abs(tape.jacobian(outputs, x)).reshape(size, -1, size).max(axis=1) > 0
    assert not np.triu(sees).any()
    # The value just before is within reach, but for the last pixel of the row above.
    _, width, channels = shape
    first_of_row = np.arange(size) % (width * channels) < channels
    assert (np.diagonal(sees, -1) | (first_of_row & (np.arange(size) % channels == 0))[1:]).all()
    assert (np.abs(tape.jacobian(outputs, maps)).reshape(size, -1).max(axis=1) > 0).all()


def test_its_convolutions_are_of_the_kind_whose_gradients_are_fast_on_a_cpu():
    network, features_shape = built((6, 5, 1))
    graph = tf.function(network).get_concrete_function(*(tf.TensorSpec((2, *s)) for s in ((6, 5, 1), features_shape)))
    convolutions = [operation for operation in graph.graph.get_operations() if operation.type == "Conv2D"]
    # With paddings of its own ("EXPLICIT") the gradients of a convolution take four times as long.
    assert {operation.get_attr("padding") for operation in convolutions} == {b"VALID"}


def test_two_blocks_and_the_first_kernel_reach_as_far_as_their_sizes_say():
    shape = (8, 15, 1)
    network, features_shape = built(shape, kernel_size=5)
    x = tf.zeros((1, *shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = tf.reduce_sum(network(x, tf.ones((1, *features_shape)))[0, 6, 7])
    sees = np.abs(tape.gradient(output, x))[0, :, :, 0] > 0
    rows, columns = np.nonzero(sees)
    # A kernel of 5 reaches 2 rows up and 2 columns aside, and each block one more of both.
    assert rows.min() == 6 - 2 - 2
    assert (columns.min(), columns.max()) == (7 - 2 - 2, 7 + 2 + 2)
    assert rows.max() == 6
    assert columns[rows == 6].max() == 6


@pytest.mark.parametrize("shape", slow_from(3, [(shape,) for shape in SHAPES]), ids=str)
@pytest.mark.parametrize("features", FEATURES)
def test_value_by_value_the_outputs_are_those_of_one_pass(shape, features):
    network, features_shape = built(shape, features)
    random = np.random.default_rng(0)
    x = random.normal(size=(3, *shape)).astype(np.float32)
    maps = random.normal(size=(3, *features_shape)).astype(np.float32)
    expected = network(x, maps).numpy().reshape(3, np.prod(shape), -1)
    base = kv.networks.CausalNetwork
    for drawing, order in (
        (network.drawing, network.order),
        (lambda maps: base.drawing(network, maps), base.order.fget(network)),
    ):
        state, turn = drawing(tf.constant(maps))
        flat, seen = x.reshape(3, -1), np.full_like(expected, np.nan)
        for number, numbers in enumerate(order):

            def draw(step, outputs, numbers=numbers, flat=flat, seen=seen):
                here, drawn = numbers[step], numbers[step] >= 0
                seen[:, here[drawn]] = outputs.numpy().reshape(3, len(here), -1)[:, drawn]
                # What is drawn where there is no value must not matter.
                return tf.constant(np.where(drawn, flat[:, here], 1e3).reshape(-1).astype(np.float32))

            state = turn(state, tf.constant(number), draw)
        np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "reach"), [((28, 28), 3), ((1, 9), 3), ((9, 1), 2), ((3, 40), 3), ((64, 5), 1)])
def test_a_turn_draws_only_pixels_that_do_not_see_each_other(shape, reach):
    wavefront = Wavefront(*shape, reach)
    turns = np.zeros(shape, int)
    for turn, pixels in enumerate(wavefront.pixels):
        turns.reshape(-1)[pixels[pixels >= 0]] = turn
    assert sorted(wavefront.pixels[wavefront.pixels >= 0]) == list(range(np.prod(shape)))
    for row, column in np.ndindex(shape):
        seen = turns[max(0, row - reach) : row, max(0, column - reach) : column + reach + 1]
        assert (seen < turns[row, column]).all()
        assert (turns[row, :column] < turns[row, column]).all()


def test_a_picture_of_28_pixels_a_side_takes_136_turns():
    assert Wavefront(28, 28, 3).pixels.shape == (28 + 4 * 27, 8)


class LooksAhead(kv.networks.CausalNetwork):
    """Has the value `by` places before as its output, in a ring: at 1 the first value sees the last."""

    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, x, features):
        return tf.roll(x, self.by, axis=1)[..., None]


@pytest.mark.parametrize("by", [0, -1, 1])
def test_a_network_that_looks_ahead_is_one_error(by):
    network = LooksAhead(by)
    network.build((None, 6), (None, 2))
    message = "`network` must be causal: .*LooksAhead, whose outputs at value 0 change with x from value 0 on"
    with pytest.raises(ValueError, match=message):
        check_causal(network, (6,), (2,))


def test_one_value_that_looks_one_ahead_is_found_in_a_long_event():
    class LeaksAtTheEnd(kv.networks.CausalNetwork):
        def call(self, x, features):
            return tf.concat([tf.zeros_like(x[:, :-1]), x[:, -1:]], axis=1)[..., None]

    with pytest.raises(ValueError, match="whose outputs at value 999 change with x from value 999 on"):
        check_causal(LeaksAtTheEnd(), (1000,), (2,))


class WrongShape(kv.networks.CausalNetwork):
    """Returns no axis of outputs."""

    def call(self, x, features):
        return tf.zeros_like(x)


def test_a_network_of_another_shape_is_one_error():
    with pytest.raises(
        ValueError, match=r"`network` must return \(batch, 6, width\)\. Received: WrongShape, .*\(1, 6\)"
    ):
        check_causal(WrongShape(), (6,), (2,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "`kernel_size` must be an odd number of at least 3. Received: kernel_size=4"),
        ({"kernel_size": 1}, "`kernel_size` must be an odd number"),
        ({"filters": 0}, "`filters` must be a positive integer"),
        ({"num_blocks": -1}, "`num_blocks` must be"),
        ({"activation": "glu"}, "`activation` must"),
    ],
)
def test_a_bad_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        kv.networks.CausalConv(**options)


def test_an_event_that_is_no_image_is_named():
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\)"):
        kv.networks.CausalConv(4, 1).build((None, 6), (None, 2))
