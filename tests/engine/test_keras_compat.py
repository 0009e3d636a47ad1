"""The names of Keras that it does not document: all in one file, and each does what that file says."""

import ast
import re

import keras
import numpy as np
import pytest
from helpers import ROOT, make_vae

from keras_vae.engine import keras_compat

HOME = ROOT / "keras_vae" / "engine" / "keras_compat.py"
FILES = [*ROOT.glob("keras_vae/**/*.py"), *ROOT.glob("export/**/*.py"), ROOT / "train.py"]
OWNERS = (keras.Model, keras.Sequential, keras.metrics.Mean, keras.optimizers.Adam, keras_compat.PassedPyDataset)


def private_names():
    """Returns the private names of Keras's objects, those that an object has only after `compile` included."""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 3)), np.zeros((2, 1)), verbose=0)
    names = {name for owner in (*OWNERS, type(model.optimizer)) for name in dir(owner)}
    names |= set(vars(model)) | set(vars(model.layers[0])) | set(vars(model.optimizer)) | {"_eval_epoch_iterator"}
    return {name for name in names if re.match("_[a-z]", name)}


def used(source):
    """Yields the private names and the inner modules that a source uses: as attributes, methods, imports or texts."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ClassDef):
            yield from (method.name for method in node.body if isinstance(method, ast.FunctionDef))
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def of_keras(names, private):
    return {name for name in names if name in private or name.startswith("keras.src")}


def test_no_other_file_uses_a_private_name_of_keras():
    # The lock is that of `engine.threads.Turn`, which is no object of Keras.
    private = private_names() - {"_lock"}
    assert {"_flatten_layers", "_initial_epoch", "_loss_tracker", "_standardize_batch"} <= private
    found = {str(path.relative_to(ROOT)): of_keras(used(path.read_text()), private) for path in FILES if path != HOME}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("model._flatten_layers()", {"_flatten_layers"}),
        ("from keras.src.layers import Dense", {"keras.src.layers"}),
        ("import keras.src.ops", {"keras.src.ops"}),
        ("getattr(layer, '_inbound_nodes', None)", {"_inbound_nodes"}),
        ("class A:\n    def _standardize_batch(self): pass", {"_standardize_batch"}),
        ("def _layers(config): pass", set()),
        ("model.layers", set()),
    ],
)
def test_the_search_finds_private_names(source, expected):
    assert of_keras(used(source), private_names()) == expected


def test_the_file_says_of_each_name_in_which_versions_it_was_seen():
    tree = ast.parse(HOME.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert "3.12.0" in ast.get_docstring(node), node.name
            assert "3.15.1" in ast.get_docstring(node), node.name


def test_layers_come_before_those_inside_them():
    inner = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((3,)), keras.Sequential([inner])])
    layers = keras_compat.layers_of(model)
    assert layers.index(model) < layers.index(model.layers[0]) < layers.index(inner)
    assert inner not in keras_compat.direct_layers_of(model)


def test_only_a_layer_in_a_graph_has_outputs():
    layer = keras.layers.Dense(2)
    assert keras_compat.outputs_of(layer) == []
    keras.Sequential([keras.Input((3,)), layer])
    assert [tuple(output.shape) for output in keras_compat.outputs_of(layer)] == [(None, 2)]


def test_what_fit_leaves_in_a_model_is_found():
    vae = make_vae()
    vae.compile()
    assert keras_compat.loss_tracker(vae).name == "loss"
    assert keras_compat.restored_epoch(vae) == 0
    keras_compat.drop_evaluation_iterator(vae)
    assert vae._eval_epoch_iterator is None


def test_a_sequential_is_built_when_it_is_asked_for():
    model = keras.Sequential([keras.Input((3,))])
    keras_compat.add_layer(model, keras.layers.Dense(2), build=False)
    assert not model.layers[0].built
    keras_compat.add_layer(model, keras.layers.Dense(1), build=True)
    assert model.output_shape == (None, 1)


def test_classes_of_keras_are_told_from_others():
    assert keras_compat.is_of_keras(keras.layers.Dense)
    assert not keras_compat.is_of_keras(type(make_vae()))
