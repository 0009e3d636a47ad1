"""Hostile and damaged `.keras` files: one error each; nothing runs, and nothing takes more memory than the file."""

import base64
import copy
import dataclasses
import io
import json
import marshal
import os
import re
import subprocess
import sys
import threading
import zipfile

import h5py
import keras
import numpy as np
import pytest
from fuzz import EXAMPLES, FUZZ, altered, damaged, outcome, replaced
from helpers import ROOT, make_vae
from hypothesis import given, settings

import keras_vae as kv
from export import exporter
from keras_vae.cli import evaluate as evaluate_command
from keras_vae.runs import build, checkpoints, evaluate, safe_loading, weights_file
from keras_vae.runs.build import build_model
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir, run_dir_of
from keras_vae.runs.safe_loading import load_vae

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The members of a good file."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    make_vae().save(path)
    return members(path)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_config(parts, change):
    tree = json.loads(parts[CONFIG])
    tree = change(tree) or tree
    return {**parts, CONFIG: json.dumps(tree)}


def with_weights(parts, change):
    file = io.BytesIO(parts[WEIGHTS])
    with h5py.File(file, "r+") as weights:
        change(weights)
    return {**parts, WEIGHTS: file.getvalue()}


def refused(path, message):
    """Raises unless the file is refused with one line that names it."""
    with pytest.raises(ValueError, match=message) as caught:
        safe_loading.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_good_file_is_loaded_to_the_bit(tmp_path, parts):
    vae = make_vae()
    vae.save(tmp_path / "m.keras")
    loaded = safe_loading.load(tmp_path / "m.keras")
    for a, b in zip(loaded.weights, vae.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert safe_loading.check(tmp_path / "m.keras").numbers >= loaded.count_params()


# Code and other names.

KERNEL = ("encoder", "config", "trunk", "config", "layers", 2, "config")
CODE = base64.b64encode(marshal.dumps(compile("open('owned', 'w')", "x", "eval"))).decode()
LAMBDA = {"class_name": "__lambda__", "config": {"value": [CODE, None, None]}}


def layer(module, name, config=None, registered=None):
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": registered}


NAMED = {
    "a lambda as an activation": LAMBDA,
    "a Lambda layer": layer("keras.layers", "Lambda", {"name": "l", "function": LAMBDA}),
    "os.system": layer("os", "system", {"command": "touch owned"}),
    "eval": layer("builtins", "eval", {"source": "open('owned', 'w')"}),
    "a function of os": {**layer("os", "function"), "config": "system", "registered_name": "system"},
    "get_file": {**layer("keras.utils", "function"), "config": "get_file", "registered_name": "get_file"},
    "get_file as a class": layer("keras.utils", "get_file", {"fname": "owned", "origin": "file:///etc/hostname"}),
    "a function beside the layers": layer("keras.layers", "deserialize"),
    "load_model": layer("keras.saving", "load_model"),
    "an inner module of Keras": layer("keras.src.utils.file_utils", "get_file"),
    "a module to import": layer("antigravity", "Layer"),
    "a saved model": layer("keras.layers", "TFSMLayer", {"filepath": "/etc", "call_endpoint": "x"}),
    "a vocabulary file": layer("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    "a name of this package elsewhere": layer("os", "system", registered="keras_vae>system"),
    "a name without a module": {"class_name": "Lambda", "config": {"function": LAMBDA}},
    "names that are no names": layer(["os"], {"system": 1}),
    "a huge NumPy type": {"class_name": "__numpy__", "config": {"value": [1], "dtype": "V2000000000"}},
    "a type specification": {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": []},
}


@pytest.mark.parametrize("place", ["activation", "layer", "model", "compile"])
@pytest.mark.parametrize("name", NAMED)
def test_no_name_reaches_anything_but_parts_of_keras_and_registered_classes(parts, tmp_path, monkeypatch, name, place):
    monkeypatch.chdir(tmp_path)

    def change(tree):
        layers = tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"]
        if place == "activation":
            layers[2]["config"]["activation"] = NAMED[name]
        elif place == "layer":
            layers[1] = NAMED[name]
        elif place == "compile":
            tree["compile_config"]["optimizer"] = NAMED[name]
        else:
            return NAMED[name]

    path = write(tmp_path / "model.keras", with_config(parts, change))
    refused(path, r"a part of a model must (be one of Keras or registered|have names)")
    assert [item.name for item in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("name", NAMED)
def test_the_safe_mode_of_keras_runs_none_of_it_either(parts, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)

    def change(tree):
        tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"][2] = NAMED[name]

    path = write(tmp_path / "model.keras", with_config(parts, change))
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):  # whatever its parts raise
        keras.saving.load_model(path)
    assert [item.name for item in tmp_path.iterdir()] == ["model.keras"]


# More than the file holds.


def wide(tree):
    tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"][2]["config"]["units"] = 10**4


def wide_twice(tree):
    # Each number is that of an array in the file, their product is not.
    layers = tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"]
    dense = layers.pop()
    dense.pop("build_config")
    for name in ("a", "b", "c"):
        layers.append(copy.deepcopy(dense))
        layers[-1]["config"] |= {"units": 30_000, "name": name}


def large_picture(tree):
    layers = tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"]
    layers[0]["config"]["batch_shape"] = [None, 10**5, 10**5, 1]


def large_latent(tree):
    tree["config"]["encoder"]["config"]["posterior"]["config"]["latent_dim"] = 10**9
    tree["config"]["prior"]["config"]["latent_dim"] = 10**9


def part(name, **config):
    """Returns a registered part of the package, as in a file."""
    module = f"keras_vae.{name.rpartition('.')[0]}"
    return layer(module, name.rpartition(".")[2], config, f"{module}>{name.rpartition('.')[2]}")


def prior(name, **config):
    def change(tree):
        tree["config"]["prior"] = part(f"priors.{name}", **config)

    return change


def in_kl_weight(value):
    def change(tree):
        tree["config"]["kl_weight"] = value

    return change


def in_compile_config(value):
    def change(tree):
        tree["compile_config"]["metrics"] = [value]

    return change


def steps(count, **options):
    """Returns a change that puts a recurrent layer of so many steps into the encoder."""

    def change(tree):
        layers = tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"]
        repeat = layer("keras.layers", "RepeatVector", {"name": "repeat", "n": count})
        layers[2:] = [repeat, layer("keras.layers", "SimpleRNN", {"name": "rnn", "units": 2, **options})]

    return change


def graph(change_layers):
    """Returns a change that makes the encoder's trunk a graph of 60 layers, whose configurations are changed."""

    def change(tree):
        inputs = keras.Input((6, 5, 1))
        outputs = keras.layers.Flatten()(inputs)
        for _ in range(60):
            outputs = keras.layers.ReLU()(outputs)
        trunk = keras.saving.serialize_keras_object(keras.Model(inputs, outputs))
        change_layers(trunk["config"]["layers"])
        tree["config"]["encoder"]["config"]["trunk"] = trunk

    return change


def constant_node(layers):
    arange = layer("keras.src.ops.numpy", "Arange", {"name": "arange"}, "Arange")
    layers.append({**arange, "name": "arange", "inbound_nodes": [{"args": [50_000], "kwargs": {}}]})


def no_node(layers):
    constant_node(layers)
    layers[-1]["inbound_nodes"] = [[]]


def false_tensor(layers):
    constant_node(layers)
    layers[-1]["inbound_nodes"][0]["args"].append({"class_name": "__keras_tensor__"})


def large_event(tree):
    tree["config"]["decoder"]["config"]["likelihood"]["config"]["event_shape"] = [10**5, 10**5, 10]


def repeated(tree):
    tree["config"]["decoder"]["config"]["trunk"]["config"]["layers"][1] = layer(
        "keras.layers", "RepeatVector", {"name": "r", "n": 10**9}
    )


def nested(depth):
    def change(tree):
        trunk = tree["config"]["encoder"]["config"]["trunk"]
        inner = trunk["config"]["layers"][1:]
        for number in range(depth):
            inner = [layer("keras", "Sequential", {"name": f"s{number}", "layers": inner})]
        trunk["config"]["layers"][1:] = inner

    return change


def many(tree):
    relu = layer("keras.layers", "ReLU")
    tree["config"]["encoder"]["config"]["trunk"]["config"]["layers"][1:1] = [relu] * 10_000


CONFIGS = {
    "a width of 10^9": wide,
    "widths that multiply": wide_twice,
    "a picture of 10^10 pixels": large_picture,
    "10^9 latent dimensions": large_latent,
    "an event of 10^11 values": large_event,
    "10^9 copies": repeated,
    "30 models inside each other": nested(30),
    "200 models inside each other": nested(200),
    "10,000 layers": many,
    "a flow of 10^9 layers": prior("Flow", latent_dim=3, num_layers=10**9, hidden_units=4),
    "a flow of 50,000 layers": prior("Flow", latent_dim=3, num_layers=50_000, hidden_units=1),
    "a flow of 10^9 hidden layers": prior("Flow", latent_dim=3, num_layers=2, hidden_units=4, hidden_layers=10**9),
    "a flow of 50,000 hidden layers": prior("Flow", latent_dim=3, num_layers=2, hidden_units=1, hidden_layers=50_000),
    "a flow of 10^9 autoregressive layers": prior("MAF", latent_dim=3, num_layers=10**9, hidden_units=4),
    "a flow of 50,000 networks of 50,000 layers": prior(
        "MAF", latent_dim=3, num_layers=50_000, hidden_units=1, hidden_layers=50_000
    ),
    "a flow of wide networks": prior("MAF", latent_dim=3, num_layers=2, hidden_units=50_000, hidden_layers=2),
    "100,000 hidden layers": prior("Hierarchical", latent_dims=[1, 2], top=None, hidden_units=[1] * 100_000),
    "10^9 thresholds": in_kl_weight(layer("keras.metrics", "AUC", {"num_thresholds": 10**9})),
    "10^9 thresholds to compile": in_compile_config(layer("keras.metrics", "AUC", {"num_thresholds": 10**9})),
    "a matrix of 20,000 classes": in_kl_weight(layer("keras.metrics", "MeanIoU", {"num_classes": 20_000})),
    "a matrix to compile": in_compile_config(layer("keras.metrics", "MeanIoU", {"num_classes": 20_000})),
    "a loss": in_kl_weight(layer("keras.losses", "MeanSquaredError", {})),
    "a recurrent layer of 10^6 steps": steps(10**6),
    "an unrolled recurrent layer": steps(10**4, unroll=True),
    "loops in Python": in_kl_weight(layer("keras.layers", "AugMix", {"num_chains": 10**4, "chain_depth": 10**4})),
    "a call of a constant": graph(constant_node),
    "a call of nothing": graph(no_node),
    "a call of no tensor": graph(false_tensor),
    "a graph that is written backward": graph(list.reverse),
}
# Each of them is refused with this.
REFUSALS = {
    "a width of 10^9": "must have up to [0-9]+ numbers in weights",
    "widths that multiply": "must have up to [0-9]+ numbers in weights",
    "a picture of 10^10 pixels": "`batch_shape` must be an integer that a file of",
    "10^9 latent dimensions": "`latent_dim` must be an integer that a file of",
    "an event of 10^11 values": "`event_shape` must be an integer that a file of",
    "10^9 copies": "`n` must be an integer that a file of",
    "30 models inside each other": "inside each other",
    "200 models inside each other": "inside each other",
    "10,000 layers": "up to 10000 parts",
    "a flow of 10^9 layers": "`num_layers` must be an integer that a file of",
    "a flow of 50,000 layers": "must have up to [0-9]+ layers and metrics",
    "a flow of 10^9 hidden layers": "`hidden_layers` must be an integer that a file of",
    "a flow of 50,000 hidden layers": "must have up to [0-9]+ layers and metrics",
    "a flow of 10^9 autoregressive layers": "`num_layers` must be an integer that a file of",
    "a flow of 50,000 networks of 50,000 layers": "must have up to [0-9]+ layers and metrics",
    "a flow of wide networks": "must have up to [0-9]+ numbers in weights",
    "100,000 hidden layers": "must have up to [0-9]+ layers and metrics",
    "10^9 thresholds": "must be one of Keras or registered. Received: keras.metrics.AUC",
    "10^9 thresholds to compile": "must be one of Keras or registered. Received: keras.metrics.AUC",
    "a matrix of 20,000 classes": "must be one of Keras or registered. Received: keras.metrics.MeanIoU",
    "a matrix to compile": "must be one of Keras or registered. Received: keras.metrics.MeanIoU",
    "a loss": "must be one of Keras or registered. Received: keras.losses.MeanSquaredError",
    "a recurrent layer of 10^6 steps": "`n` must be an integer that a file of",
    "an unrolled recurrent layer": "must have up to [0-9]+ calls of layers. Received: more, at rnn",
    "loops in Python": "must be one of Keras or registered. Received: keras.layers.AugMix",
    "a call of a constant": "must have a tensor as its input",
    "a call of nothing": "must have a tensor as its input",
    "a call of no tensor": "must have a tensor as its input",
    "a graph that is written backward": "must be in order. Received: 61 calls that come before their inputs",
}


def shape_bomb(file):
    del file["encoder/vars/0"]
    file.create_dataset("encoder/vars/0", shape=(30_000, 30_000), dtype="f4")


def packed_bomb(file):
    del file["encoder/vars/0"]
    file.create_dataset("encoder/vars/0", data=np.zeros((5000, 5000), "f4"), compression="gzip")


def external_link(file):
    del file["encoder/vars/0"]
    file["encoder/vars/0"] = h5py.ExternalLink("other.h5", "x")


def soft_link(file):
    del file["encoder/vars/0"]
    file["encoder/vars/0"] = h5py.SoftLink("/decoder")


def circle(file):
    file["encoder/trunk/again"] = file["encoder"]


def external_data(file):
    del file["encoder/vars/0"]
    file.create_dataset("encoder/vars/0", (6, 5, 1), "f4", external=[("/etc/passwd", 0, 120)])


def virtual_data(file):
    del file["encoder/vars/0"]
    layout = h5py.VirtualLayout((6, 5, 1), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (6, 5, 1))
    file.create_virtual_dataset("encoder/vars/0", layout)


def texts(file):
    del file["encoder/vars/0"]
    file["encoder/vars/0"] = ["text"] * 30


def another_shape(file):
    del file["encoder/vars/0"]
    file["encoder/vars/0"] = np.zeros((5, 6, 1), "f4")


def missing(file):
    del file["encoder/head"]


def deep(file):
    group = file
    for _ in range(3000):
        group = group.create_group("g")


WEIGHT_FILES = {
    "a shape of 3.6 GB": (shape_bomb, "must be in the file"),
    "100 MB of packed zeros": (packed_bomb, "must be plain arrays"),
    "a link to another file": (external_link, "must not have links.* is a ExternalLink"),
    "a link inside": (soft_link, "must not have links.* is a SoftLink"),
    "data in another file": (external_data, "must be plain arrays"),
    "data of other files": (virtual_data, "must be plain arrays"),
    "texts": (texts, "must be plain arrays of numbers. Received: /encoder/vars/0, object"),
    "another shape": (another_shape, "objects could not be loaded|shape"),
    "3,000 groups inside each other": (deep, "must be up to 50 groups deep"),
    "missing weights": (missing, "objects could not be loaded|expected"),
}


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_weights_that_are_not_plain_arrays_in_the_file_are_refused(parts, tmp_path, name):
    change, message = WEIGHT_FILES[name]
    refused(write(tmp_path / "model.keras", with_weights(parts, change)), message)


def test_a_circle_in_the_weights_does_not_hang(parts, tmp_path):
    path = write(tmp_path / "model.keras", with_weights(parts, circle))
    assert safe_loading.check(path) == weights_file.count(parts[WEIGHTS])
    safe_loading.load(path)


def test_what_is_not_stored_as_keras_does_is_refused(parts, tmp_path):
    path = tmp_path / "model.keras"
    refused(write(path, parts, zipfile.ZIP_DEFLATED), "must be stored, not compressed")
    refused(write(path, {**parts, "../../owned": b"x"}), "a Keras file must hold config.json, .*Received:.*owned")
    refused(write(path, {**parts, "assets/x": b"x"}), "a Keras file must hold")
    refused(write(path, {name: parts[name] for name in parts if name != WEIGHTS}), "a Keras file must hold")
    refused(write(path, {**parts, CONFIG: bytes(2**20 + 1)}), "config.json is too large")
    refused(write(path, {**parts, CONFIG: b"[" * 10**5}), "config.json is nested too deeply")
    refused(write(path, {**parts, CONFIG: b'{"x": NaN}'}), "must have finite numbers")
    refused(write(path, {**parts, CONFIG: b"1" * 5000}), "Exceeds the limit")
    refused(write(path, {**parts, WEIGHTS: b""}), "damaged")
    assert [item.name for item in tmp_path.iterdir()] == ["model.keras"]
    assert not (tmp_path.parent.parent / "owned").exists()


def test_two_members_of_one_name_are_refused(parts, tmp_path):
    path = write(tmp_path / "model.keras", {name: parts[name] for name in (CONFIG, WEIGHTS)})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CONFIG, "{}")
    refused(path, "a Keras file must hold")


def test_a_size_that_is_only_declared_is_refused(parts, tmp_path):
    path = write(tmp_path / "model.keras", parts)
    content = bytearray(path.read_bytes())
    entry = content.rindex(WEIGHTS.encode()) - 46  # the last entry of the central directory
    content[entry + 20 : entry + 28] = (2**32 - 2).to_bytes(4, "little") * 2
    path.write_bytes(content)
    refused(path, "model.weights.h5 is too large. Received: 4294967294 bytes")


def test_more_than_the_memory_is_not_read(parts, tmp_path, monkeypatch):
    path = write(tmp_path / "model.keras", parts)
    monkeypatch.setattr(safe_loading.check_memory.__globals__["os"], "sysconf", lambda _: 100)
    with pytest.raises(ValueError, match="must fit in memory"):
        safe_loading.load(path)


MEASURE = """
import pathlib, resource, sys
from keras_vae.runs import bounded_building, safe_loading
good, *paths = map(pathlib.Path, sys.argv[1:])
safe_loading.load(good)
made, spend = [], bounded_building._Account._spend
bounded_building._Account._spend = lambda self, what, count, owner: (made.append(what), spend(self, what, count, owner))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in paths:
    made.clear()
    try:
        safe_loading.load(path)
        outcome = "loaded"
    except ValueError as error:
        outcome = str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(path.stem, grown, made.count("layers and metrics"), outcome, sep="\\t")
"""


@pytest.mark.slow
def test_no_size_in_the_configuration_costs_memory_or_time(parts, tmp_path):
    names = {f"{number}.keras": name for number, name in enumerate(CONFIGS)}
    for file, name in names.items():
        write(tmp_path / file, with_config(parts, CONFIGS[name]))
    write(tmp_path / "good.keras", parts)
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "good.keras"), *(str(tmp_path / file) for file in names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(lines) == len(CONFIGS)
    for number, megabytes, made, what in lines:
        name = list(CONFIGS)[int(number)]
        assert int(megabytes) < 200, name
        assert int(made) <= 1100, name
        assert re.search(REFUSALS[name], what), (name, what)


# Files that were changed at random.


def test_any_change_of_the_configuration_is_an_error_or_harmless(parts, tmp_path):
    tree = json.loads(parts[CONFIG])

    @settings(FUZZ, max_examples=EXAMPLES)
    @given(tree=altered(tree))
    def check(tree):
        path = write(tmp_path / "model.keras", {**parts, CONFIG: json.dumps(tree, allow_nan=False)})
        model, message = outcome(safe_loading.load, path)
        assert message is None or (str(path) in message and "\n" not in message)
        assert message is not None or isinstance(model, keras.Model)

    check()


@pytest.mark.parametrize("part", ["file", CONFIG, WEIGHTS])
def test_any_damage_is_an_error_or_harmless(parts, tmp_path, part):
    path = write(tmp_path / "model.keras", parts)

    @settings(FUZZ, max_examples=EXAMPLES)
    @given(content=damaged(path.read_bytes() if part == "file" else parts[part]))
    def check(content):
        path.write_bytes(content) if part == "file" else write(path, {**parts, part: content})
        _, message = outcome(safe_loading.load, path)
        assert message is None or (str(path) in message and "\n" not in message)

    check()


@pytest.mark.parametrize(
    ("name", "side", "head"), [("latent_dim", "encoder", "posterior"), ("event_shape", "decoder", "likelihood")]
)
def test_layers_check_the_arguments_of_a_file_whoever_loads_it(parts, tmp_path, name, side, head):
    for value in ("x", -1, 0, 1.5, None, True, [0], 1e308):
        tree = replaced(json.loads(parts[CONFIG]), ("config", side, "config", head, "config", name), value)
        path = write(tmp_path / "model.keras", {**parts, CONFIG: json.dumps(tree)})
        refused(path, f"keras_vae: `{name}` must be .*Received: {name}=")
        with pytest.raises((TypeError, ValueError), match=f"`{name}` must be .*Received: {name}="):
            keras.saving.load_model(path)


# Where files are loaded.


@pytest.fixture
def hostile_run(parts, tmp_path):
    """A run directory whose model asks for more than its file holds."""
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / "model.keras", with_config(parts, wide))
    return tmp_path / "run"


MORE = r"model\.keras is damaged or was not written by keras_vae: .* must have up to [0-9]+ numbers in weights"


@pytest.mark.parametrize("read", [lambda run: RunDir(run).model(), exporter.export_run, evaluate.evaluate_run])
def test_every_reader_of_a_run_refuses_a_hostile_model(hostile_run, read):
    with pytest.raises(ValueError, match=MORE):
        read(hostile_run)
    assert [path.name for path in hostile_run.iterdir()] == ["model.keras"]


def test_the_command_says_it_in_one_line(hostile_run, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluate_command.main([str(hostile_run)])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(f"error: .*{MORE}", line)


def test_a_hostile_checkpoint_is_passed_over(parts, tmp_path):
    write(checkpoints.path_of(tmp_path, 3), parts)
    write(checkpoints.path_of(tmp_path, 4), with_config(parts, wide))
    model, epoch = checkpoints.restore(tmp_path, load_vae)
    assert (epoch, model.latent_dim) == (3, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-000003.keras", "epoch-000004.damaged"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{" * 10, '{"a":' * 10**5, '{"hidden_units": 5}', "\0", '{"hidden_units": [8], "x": 1}', "NaN"],
)
def test_settings_that_are_none_are_one_error(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is missing or damaged"):
        _ = RunDir(tmp_path).config


def test_settings_of_more_than_a_megabyte_are_not_read(tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(2**40)  # holes
    with pytest.raises(ValueError, match="must have up to 1048576 bytes"):
        _ = RunDir(tmp_path).config


def test_the_weights_of_one_thread_are_not_counted_in_another(parts, tmp_path):
    path = write(tmp_path / "model.keras", parts)
    made, again = keras.layers.Layer.add_weight, []
    threads = [threading.Thread(target=lambda: again.append(safe_loading.load(path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    dense = keras.layers.Dense(5000)
    dense.build((None, 5000))
    for thread in threads:
        thread.join()
    assert len(again) == 4
    assert keras.layers.Layer.add_weight is made


def applied_often():
    inputs, dense = keras.Input((4, 4, 1)), keras.layers.Dense(1)
    outputs = inputs
    for _ in range(60):
        outputs = dense(outputs)
    return keras.Model(inputs, keras.layers.Flatten()(outputs))


def deeply_nested():
    trunk = keras.layers.Dense(4)
    for _ in range(9):
        trunk = keras.Sequential([trunk])
    return keras.Sequential([keras.layers.Flatten(), trunk])


@keras.saving.register_keras_serializable(package="tests")
class Table(keras.layers.Flatten):
    """A layer of a user's own with an integer far above the size of its file."""

    def __init__(self, buckets=10_000_000, **kwargs):
        super().__init__(**kwargs)
        self.buckets = buckets

    def get_config(self):
        return {**super().get_config(), "buckets": self.buckets}


BEYOND = {
    "a layer applied 60 times": (applied_often, "must be in order. Received: 59 calls"),
    "a large integer": (lambda: keras.Sequential([Table()]), "`buckets` must be an integer that a file of"),
    "nested too deeply": (deeply_nested, "up to 9 inside each other"),
}


@pytest.mark.parametrize(("make", "message"), BEYOND.values(), ids=BEYOND)
def test_an_honest_file_beyond_a_bound_is_refused_with_the_way_to_load_it(tmp_path, make, message):
    path = tmp_path / "model.keras"
    vae = kv.VAE(
        kv.Encoder(make(), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp((3,)), kv.likelihoods.Bernoulli((4, 4, 1))),
        seed=0,
    )
    vae.save(path)
    refused(path, f"{message}.*A file that you trust is loaded by keras.saving.load_model$")
    x = np.random.default_rng(0).random((2, 4, 4, 1), np.float32)
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(again.encode(x).mean(), vae.encode(x).mean())


def functional_trunk():
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))


def large_graph():
    """Returns a residual network of 64 layers, one of them called twice."""
    inputs = keras.Input((4, 4, 1))
    shared = keras.layers.Dense(4, activation="tanh")
    x = shared(keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    for _ in range(20):
        x = keras.layers.Add()([x, keras.layers.ReLU()(keras.layers.Dense(4)(x))])
    return keras.Model(inputs, shared(x))


HONEST = {
    # As many as --hidden_units takes; each is two layers.
    "100 gated layers": lambda: kv.networks.mlp((3,) * 100, "glu"),
    "functional": functional_trunk,
    "a large graph": large_graph,
    "sequential in sequential": lambda: keras.Sequential(
        [keras.layers.Flatten(), keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5, seed=2**31 - 1)])]
    ),
    "unrolled": lambda: keras.Sequential([keras.layers.Reshape((16, 1)), keras.layers.LSTM(3, unroll=True)]),
    "bfloat16": lambda: keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, dtype="bfloat16")]),
    "seed generator": lambda: keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(keras.random.SeedGenerator(1))),
        ]
    ),
}


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name, marks=[pytest.mark.slow] * name.startswith("100")) for name, make in HONEST.items()],
)
def test_an_honest_trunk_of_a_users_own_is_loaded(tmp_path, make):
    vae = kv.VAE(
        kv.Encoder(make(), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp((3,)), kv.likelihoods.Bernoulli((4, 4, 1))),
        seed=0,
    )
    vae.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).random((3, 4, 4, 1)).astype(np.float32)
    copy = safe_loading.load(tmp_path / "m.keras")
    np.testing.assert_array_equal(copy.encode(x).mean(), vae.encode(x).mean())


LARGEST = {
    "a seed": Config(hidden_units=(4,), latent_dim=2, seed=2**31 - 1),
    "stochastic layers": Config(
        hidden_units=(4,), latent_dim=4, upper_latent_dims=(3, 2), upper_hidden_units=(4,) * 3, activation="glu"
    ),
    "pseudo-inputs": Config(hidden_units=(4,), prior="vamp", num_components=3000),
    "numbers of which nothing is made": Config(
        hidden_units=(4,), objective="iwae", num_samples=10_000, kl_warmup_steps=10**9
    ),
}


@pytest.mark.parametrize("config", LARGEST.values(), ids=LARGEST)
def test_the_largest_settings_of_a_run_are_loaded_from_what_it_writes(tmp_path, config):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((30, 4, 4, 1)).astype(np.float32))
    dataset = build.load_data(dataclasses.replace(config, dataset=str(tmp_path / "x.npy")))
    vae = build_model(config, dataset)
    vae.save(tmp_path / "model.keras")
    copy = RunDir(tmp_path).model()
    np.testing.assert_array_equal(copy(dataset.test.numpy()), vae(dataset.test.numpy()))
    for a, b in zip(copy.weights, vae.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["hidden_units", "upper_hidden_units", "upper_latent_dims"])
def test_settings_that_could_not_be_loaded_are_refused_before_training(name):
    with pytest.raises(ValueError, match=f"`{name}` must be up to 100 integers. Received: 101"):
        Config(**{name: (4,) * 101})


@pytest.mark.parametrize("kind", ["a link out", "a pipe"])
@pytest.mark.parametrize(
    ("read", "name"),
    [
        (lambda run: RunDir(run).config, "config.json"),
        (lambda run: RunDir(run).model(), "model.keras"),
        (evaluate.evaluate_run, "model.keras"),
        (exporter.export_run, "model.keras"),
        (lambda run: RunDir(run).report, "report.json"),
    ],
)
def test_no_reader_of_a_run_leaves_it_or_waits(tmp_path, read, name, kind):
    (tmp_path / "run").mkdir()
    if kind == "a pipe":
        os.mkfifo(tmp_path / "run" / name)
    else:
        (tmp_path / "elsewhere").write_text("{}")
        (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"{name} must be a regular file of the run, and no link that leads out of it"):
        read(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [name]


@pytest.mark.parametrize(
    "name", ["metrics.csv", ".unfinished-config.json", "figures", "checkpoints/epoch-000001.keras"]
)
def test_nothing_is_written_by_way_of_links_out_of_a_run_that_goes_on(tmp_path, name):
    config = Config(run_dir=str(tmp_path / "run"))
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    assert run_dir_of(config, resume=True).path == tmp_path / "run"
    (tmp_path / "elsewhere").mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"{path} must be a regular file of the run, and no link that leads out of it"):
        run_dir_of(config, resume=True)
