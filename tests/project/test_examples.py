"""The example scripts run; the apps name the signatures of a freshly exported decoder of the default MNIST run."""

import re
import runpy
import sys

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from helpers import ROOT, slow_from
from PIL import Image
from texts import make_text_vae

import keras_vae as kv
from export import tflite, vocabulary
from export.packing import pack
from export.signatures import Signatures
from keras_vae.runs.build import build_model
from keras_vae.runs.config import Config

EXAMPLES = ROOT / "examples"
SCRIPTS = {
    "sentences": (["--texts=200", "--epochs=1"], r"\nfrom '.+' to '.+':\n", None),
    "own_photos": (["--epochs=2"], r"229 training pictures of shape \(16, 16, 3\)", "photos.png"),
    "own_prior": (["--examples=200", "--epochs=1"], r"LaplacePrior +ELBO +-\d+", None),
    "export_and_draw": (["--examples=200", "--epochs=1"], "same pictures as in Python: True", "drawn.png"),
    "mnist": (["--examples=256", "--epochs=1"], r"test ELBO -\d+\.\d nats", "digits.png"),
    "conditional": (["--examples=200", "--epochs=1"], r"wrong label\): -\d+", "conditional.png"),
    "anomalies": (["--examples=256", "--epochs=1"], r"AUC: 0\.\d\d", "anomalies.png"),
}
SOURCES = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in (".kt", ".swift", ".md"))
LINE = re.compile(r"signature (\w+): (.+) -> (.+)")
TENSOR = re.compile(r"(\w+) (\w+) \[([\d, ]*)\]")


def tensors(text):
    return {
        name: (dtype, tuple(int(size) for size in sizes.split(",") if size.strip()))
        for name, dtype, sizes in TENSOR.findall(text)
    }


def signatures_of(path):
    """Returns name -> (inputs, outputs) of the lines in which a file documents signatures."""
    return {name: (tensors(i), tensors(o)) for name, i, o in LINE.findall(path.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def exported():
    """Name -> (inputs, outputs) of the signatures of the decoder, as LiteRT reports them."""
    keras.utils.set_random_seed(0)
    vae = build_model(Config(), kv.data.load("mnist"))
    return signatures_in(Interpreter(model_content=pack(tflite.convert(Signatures(vae, 16), ("decode", "sample"), 1))))


def signatures_in(interpreter):
    found = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        found[name] = tuple(
            {key: (np.dtype(detail["dtype"]).name, tuple(map(int, detail["shape"]))) for key, detail in details.items()}
            for details in (runner.get_input_details(), runner.get_output_details())
        )
    return found


@pytest.mark.parametrize("name", ["README.md", "Decoder.kt", "Decoder.swift"])
def test_documented_signatures_are_those_of_the_file(exported, name):
    (path,) = (source for source in SOURCES if source.name == name)
    assert signatures_of(path) == exported


@pytest.mark.parametrize("name", ["Decoder.kt", "Decoder.swift"])
def test_code_uses_the_names_and_sizes_of_the_file(exported, name):
    (path,) = (source for source in SOURCES if source.name == name)
    code = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if "signature " not in line)
    names = {key for signature in exported for part in exported[signature] for key in part} | set(exported)
    quoted = set(re.findall(r'"(\w+)"', code)) - {"decoder", "tflite"}  # the file's own name
    assert quoted == names
    sizes = {int(number) for number in re.findall(r"(?:const val|static let) \w+ = (\d+)", code)}
    shapes = [shape for _, shape in exported["sample"][1].values()]
    assert sizes == {size for shape in shapes for size in shape} - {1}


@pytest.mark.parametrize("name", ["Sentences.kt", "Sentences.swift"])
def test_code_of_texts_uses_the_names_of_an_exported_file(name):
    signatures = Signatures(make_text_vae(8, 5, network=None, latent_dim=16), 16)
    interpreter = Interpreter(model_content=pack(tflite.convert(signatures, ("generate",), 1)))
    (path,) = (source for source in SOURCES if source.name == name)
    assert signatures_of(path) == signatures_in(interpreter)
    code = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if "signature " not in line)
    quoted = set(re.findall(r'"(\w+)"', code)) - {"decoder", "tflite", "vocabulary", "json"}  # names of files
    entries = vocabulary.vocabulary(make_text_vae())
    assert quoted - set(entries) == {"generate", "seed", "temperature", "token_temperature"}
    assert "tokens" in quoted
    assert all(re.search(rf"\b{entry}\b", code) for entry in ("tokens", "first", "join", "bytes", "trim", "end"))


def test_every_script_has_a_test():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SCRIPTS)
    assert all(30 <= len(path.read_text(encoding="utf-8").splitlines()) <= 60 for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", slow_from(3, SCRIPTS))
def test_a_script_runs_and_draws(name, tmp_path, monkeypatch, capsys):
    arguments, printed, picture = SCRIPTS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert re.search(printed, capsys.readouterr().out)
    assert picture is None or (tmp_path / picture).stat().st_size > 1000


@pytest.mark.slow
def test_a_script_takes_a_folder_of_photos(tmp_path, monkeypatch, capsys):
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["own_photos.py", f"--folder={tmp_path}", "--image_size=8", "--epochs=1"])
    runpy.run_path(str(EXAMPLES / "own_photos.py"), run_name="__main__")
    assert "of shape (8, 8, 3)" in capsys.readouterr().out
