"""What may come in as data, and the one error for everything else."""

import h5py
import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from helpers import make_vae

import keras_vae as kv
from keras_vae.data.containers import as_numbers, as_tensor, check_spec, is_real

X = np.arange(6, dtype=np.float32).reshape(3, 2)


class Frame:
    """Like a data frame: it has a shape and gives an array, and NumPy knows no more of it."""

    shape = (3, 2)

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


def in_h5(folder):
    return h5py.File(folder / "x.h5", "w").create_dataset("x", data=X)


def in_a_memory_map(folder):
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "make",
    [
        in_h5,
        in_a_memory_map,
        lambda _: Frame(X),
        lambda _: X.tolist(),
        lambda _: list(X),
        lambda _: tf.constant(X),
        lambda _: tf.Variable(X),
        lambda _: [tf.constant(row) for row in X],
        lambda _: tf.constant(X, tf.bfloat16),
        lambda _: np.ma.masked_array(X, mask=False),
    ],
    ids=["h5py", "memory map", "frame", "lists", "arrays", "tensor", "variable", "tensors", "bfloat16", "no mask"],
)
def test_what_numpy_takes_is_taken(make, tmp_path):
    array = as_numbers("x", make(tmp_path))
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, X)


@pytest.mark.parametrize(
    ("value", "advice", "received"),
    [
        ({"image": X}, r"x\[key\]", "dictionary with the keys 'image'"),
        (scipy.sparse.csr_matrix(X), r"x\.toarray\(\)", "a sparse matrix"),
        (tf.sparse.from_dense(X), r"tf\.sparse\.to_dense\(x\)", "a sparse tensor"),
        (tf.RaggedTensor.from_tensor(X), r"x\.to_tensor\(\)", "a ragged tensor"),
        (np.ma.masked_equal(X, 1), r"x\.filled", "masked values"),
        ([np.ma.masked_equal(X, 1)], r"x\.filled", "masked values"),
        (X + 1j, r"x\.real, x\.imag", "complex numbers"),
        (tf.constant(X + 1j, tf.complex64), r"x\.real, x\.imag", "complex numbers"),
        (["a.png", "b.png"], "np.unique", "text"),
        (np.array([b"a"]), "np.unique", "text"),
        (tf.constant(["a"]), "np.unique", "text"),
        ("mnist", "np.unique", "text"),
        (X.astype(object), "astype", "objects"),
        (Frame([[1.0, "red"]]), "(np.unique|astype)", "(text|objects)"),
        (X.astype("datetime64[s]"), "convert them to float32", r"datetime64\[s\] values"),
        (set(), "Examples", "set"),
        (zip([X]), "tf.data.Dataset", "zip"),
        (kv.data.load("sprites"), r"data\.train", "several splits"),
    ],
)
def test_everything_else_is_one_error_that_says_what_to_pass(value, advice, received):
    with pytest.raises(
        ValueError, match=f"(?s)^`x` must be an array of real numbers: .*{advice}.*Received: .*{received}"
    ):
        as_numbers("x", value)


def test_lists_of_unequal_parts_are_named():
    with pytest.raises(ValueError, match=r"`x` must be one array of real numbers. Received: list"):
        as_numbers("x", [[1.0], [1.0, 2.0]])


def test_tensors_keep_their_gradient():
    x = tf.constant(X)
    assert as_tensor("x", x) is x
    with pytest.raises(ValueError, match=r"`c` must be .* text"):
        as_tensor("c", tf.constant("a"))


def test_specs_are_looked_at_as_values_are():
    check_spec("x", tf.TensorSpec(None), (None, 2))
    check_spec("x", tf.TensorSpec((None, None), tf.uint8), (None, 2))
    with pytest.raises(ValueError, match=r"`x` must have shape \(batch, 2\).*\(3, 4\)"):
        check_spec("x", tf.TensorSpec((3, 4)), (None, 2))
    with pytest.raises(ValueError, match=r"`w` must have shape \(batch,\).*\(None, 1\)"):
        check_spec("w", tf.TensorSpec((None, 1)), (None,))
    for spec, received in (
        ({"a": tf.TensorSpec(None)}, "dictionary"),
        (tf.RaggedTensorSpec((None, None)), "ragged"),
        (tf.SparseTensorSpec((None, 2)), "sparse"),
        (tf.TensorSpec(None, tf.string), "text"),
        (tf.TensorSpec(None, tf.complex64), "complex"),
        ((tf.TensorSpec(None),) * 2, "tuple"),
    ):
        with pytest.raises(ValueError, match=f"`x` must be an array of real numbers.*{received}"):
            check_spec("x", spec, (None, 2))


@pytest.mark.parametrize(
    ("value", "real"),
    [
        (None, False),
        ([1, 2], True),
        (["a"], False),
        ((X, {"a": X}), True),
        ((X, {"a": ["b"]}), False),
        (tf.TensorSpec(None, tf.string), False),
        (tf.TensorSpec(None, tf.int64), True),
    ],
)
def test_what_can_enter_a_step(value, real):
    assert is_real(value) == real


def test_long_doubles_are_numbers_of_64_bits():
    x = np.array([[0.25, 1.0]], np.longdouble)
    array = as_numbers("x", x)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, x)
    vae = make_vae((2,))
    np.testing.assert_array_equal(vae.log_prob(x, 3, seed=0), vae.log_prob(x.astype(np.float32), 3, seed=0))


@pytest.mark.parametrize("make", [tf.constant, tf.Variable, keras.Variable], ids=["tensor", "variable", "of keras"])
def test_the_gradient_of_log_p_flows_to_x(make):
    vae, x = make_vae((2,)), make(np.array([[0.25, 1.0], [0.5, 0.0]], np.float32))
    watched = x.value if isinstance(x, keras.Variable) else x
    with tf.GradientTape() as tape:
        tape.watch(watched)
        log_prob = vae.decode(vae.encode(x).mean()).log_prob(np.ones((2, 2), np.float32))
    assert np.abs(tape.gradient(log_prob, watched)).min() > 0.0
