"""The signatures that the example apps name are those of a freshly exported decoder of the default MNIST run."""

import re

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from helpers import ROOT

import keras_vae as kv
from export import tflite
from export.packing import pack
from export.signatures import Signatures
from keras_vae.runs.build import build_model
from keras_vae.runs.config import Config

EXAMPLES = ROOT / "examples"
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
    interpreter = Interpreter(model_content=pack(tflite.convert(Signatures(vae, 16), ("decode", "sample"), 1)))
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
