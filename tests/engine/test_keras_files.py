"""What Keras and TensorFlow write and say of a model by their own means."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from helpers import SHAPE, make_binary, make_vae

import keras_vae as kv
from keras_vae.models.vae import VAE


def make_conditional():
    keras.utils.set_random_seed(0)
    return VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(3), condition_dim=2),
        kv.Decoder(kv.networks.mlp([8]), kv.likelihoods.Bernoulli(SHAPE), condition_dim=2),
        seed=0,
    )


@pytest.mark.parametrize("conditional", [False, True])
def test_keras_exports_a_model_that_was_never_called(conditional, tmp_path):
    vae, x, classes = make_conditional() if conditional else make_vae(), make_binary(4), np.array([0, 1, 1, 0])
    vae.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    served = loaded.serve((x, np.eye(2, dtype=np.float32)[classes]) if conditional else x)
    np.testing.assert_allclose(served, vae.reconstruct(x, classes if conditional else None), atol=1e-6)


def test_the_converter_takes_the_keras_model_at_any_batch_size():
    vae, x = make_vae(), make_binary(4)
    interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(vae).convert())
    place, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    for count in (1, 4):
        interpreter.resize_tensor_input(place, (count, *SHAPE))
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, x[:count])
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(result), vae.reconstruct(x[:count]), atol=1e-5)


def test_what_keras_would_write_and_not_read_is_refused(tmp_path):
    vae = make_vae()
    with pytest.raises(ValueError, match=r"`filepath` must end in \.keras.*Received: filepath='.*x\.h5'"):
        vae.save(tmp_path / "x.h5")
    with pytest.raises(ValueError, match=r"`format` must not be 'onnx'.*Options\(onnx=True\)"):
        vae.export(tmp_path / "x.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def lines_of_summary(vae, **options):
    printed = []
    vae.summary(print_fn=printed.append, line_length=160, **options)
    rows = (line.split("│") for line in printed[0].splitlines())
    return [[cell.strip() for cell in row[1:-1]] for row in rows if len(row) == 5]


def test_the_summary_shows_parts_with_shapes_and_parameters(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    vae = make_vae()
    # 30 pixels: input_mean 30; 30 x 16 + 16, 16 x 6 + 6; 3 x 16 + 16, 16 x 30 + 30.
    parts = [
        [f"{vae.encoder.name} (Encoder)", "(None, 3)", "628"],
        [f"{vae.decoder.name} (Decoder)", "(None, 6, 5, 1)", "574"],
        [f"{vae.prior.name} (StandardNormal)", "(3)", "0"],
    ]
    assert lines_of_summary(vae) == parts
    expanded = lines_of_summary(vae, expand_nested=True)
    assert [row for row in expanded if "└" not in row[0]] == parts
    inner = {row[0].split("(")[-1]: row[1:] for row in expanded if "└" in row[0]}
    assert inner["DiagonalGaussian)"] == ["(None, 3)", "102"]
    assert inner["Bernoulli)"] == ["(None, 6, 5, 1)", "510"]
    assert not any("?" in cell for row in expanded for cell in row)
