"""How the package is put together: which way its imports point, what it exports, what it says of itself."""

import ast
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib

import pytest
import setuptools
import yaml
from helpers import ROOT, make_vae

import keras_vae

TOP_LEVEL = {"keras_vae", "export", "train"}
# The rooms that nothing in keras_vae may use.
ENDS = {"keras_vae", "keras_vae.cli", "export", "train"}


def dotted(path):
    """Returns the dotted name of a source file: keras_vae/data/examples.py -> keras_vae.data.examples."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    dotted(path): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("keras_vae/**/*.py"), *ROOT.glob("export/**/*.py"), ROOT / "train.py")
}
PACKAGES = {dotted(path) for path in (*ROOT.glob("keras_vae/**/__init__.py"), *ROOT.glob("export/**/__init__.py"))}


def imported(module, source):
    """Returns the dotted names that `source`, the text of `module`, imports, those inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if module in PACKAGES else module.split(".")[:-1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, *([base] if base else [])])
            # `from package import name` takes a module if there is one of that name, else something in the package.
            names |= {full if (full := f"{base}.{alias.name}") in SOURCES else base for alias in node.names}
    return names


def room(module):
    """Returns the room of a module: a file beside, or a folder directly under, keras_vae: keras_vae.data.examples ->
    keras_vae.data."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "keras_vae" else parts[0]


def arrows(sources):
    """Returns the imports from one room to another as pairs (importer, imported)."""
    pairs = ((room(module), room(name)) for module, source in sources.items() for name in imported(module, source))
    return {(a, b) for a, b in pairs if a != b and b.split(".")[0] in TOP_LEVEL}


def floors(pairs):
    """Returns room -> floor, one above all that it imports; raises `ValueError` with the rooms of a circle."""
    below = {a: {b for c, b in pairs if c == a} for a in {room for pair in pairs for room in pair}}
    found = {}
    while len(found) < len(below):
        ready = {a for a in below if a not in found and below[a] <= set(found)}
        if not ready:
            raise ValueError(f"import each other in a circle: {sorted(set(below) - set(found))}")
        found.update({a: 1 + max((found[b] for b in below[a]), default=0) for a in ready})
    return found


def test_a_stranger_can_keep_the_rooms_in_mind():
    pairs = arrows(SOURCES)
    found = floors(pairs)
    assert 15 < len(found) <= 24
    assert max(found.values()) <= 10
    assert 50 < len(pairs) <= 100
    assert found["keras_vae.utils"] == 1


def test_no_room_uses_the_ends():
    assert {(a, b) for a, b in arrows(SOURCES) if b in ENDS and a not in ENDS | {"keras_vae.cli"}} == set()


def test_no_files_of_a_room_import_each_other_in_a_circle():
    pairs = {(a, b) for a, source in SOURCES.items() for b in imported(a, source) if b in SOURCES}
    # A package and its own modules are one: keras_vae.data imports keras_vae.data.examples and so on.
    floors({(a, b) for a, b in pairs if not b.startswith(f"{a}.") and not a.startswith(f"{b}.")})


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("keras_vae.models.vae", "from keras_vae import data", {("keras_vae.models", "keras_vae.data")}),
        ("keras_vae.models.vae", "from keras_vae.models.encoder import Encoder\nimport json", set()),
        ("keras_vae.priors", "def f():\n    from ..models import vae", {("keras_vae.priors", "keras_vae.models")}),
        ("keras_vae.data.examples", "from ..utils import checks", {("keras_vae.data", "keras_vae.utils")}),
        ("keras_vae.runs.training", "import export.exporter", {("keras_vae.runs", "export")}),
        ("train", "from keras_vae import VAE", {("train", "keras_vae")}),
    ],
)
def test_the_walk_finds_imports_between_rooms(module, source, expected):
    assert arrows({module: source}) == expected


def test_the_walk_finds_circles():
    assert floors({("a", "b"), ("b", "c"), ("a", "c")}) == {"c": 1, "b": 2, "a": 3}
    with pytest.raises(ValueError, match=r"circle: \['a', 'b', 'c'\]"):
        floors({("a", "b"), ("b", "c"), ("c", "b")})


# What importing costs and gives.


def loaded_by(code, folder):
    """Returns the modules that there are after `code`, where matplotlib cannot be imported."""
    # Keras itself takes matplotlib if it is there, so here it is not.
    (folder / "matplotlib").mkdir()
    (folder / "matplotlib" / "__init__.py").write_text("raise ImportError('not installed')\n")
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT)))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_importing_the_package_brings_nothing_slow_until_a_name_is_used(tmp_path):
    loaded = loaded_by("import keras_vae\nassert 'VAE' in dir(keras_vae)", tmp_path)
    assert {"keras_vae", "keras_vae.utils.lazy"} <= loaded
    assert loaded & {"tensorflow", "keras", "numpy", "absl", "keras_vae.models"} == set()


@pytest.mark.slow
def test_the_model_brings_neither_data_sets_nor_figures(tmp_path):
    loaded = loaded_by("import keras_vae\nkeras_vae.VAE", tmp_path)
    assert {"tensorflow", "keras_vae.models.vae", "keras_vae.likelihoods"} <= loaded
    assert loaded & {"tensorflow_datasets", "matplotlib", "ai_edge_litert", "keras_vae.plotting"} == set()


@pytest.mark.slow
def test_a_model_loads_with_keras_where_the_package_was_imported_after_keras(tmp_path):
    make_vae().save(tmp_path / "m.keras")
    loaded_by("import keras\nimport keras_vae\nkeras.saving.load_model('m.keras')", tmp_path)


def test_every_class_that_a_file_may_name_is_known_after_the_import():
    # A model that was trained with averaged weights, or on the tokens of a library, names more than the parts of a VAE.
    modules = {name for name, source in SOURCES.items() if "@keras.saving.register_keras_serializable(" in source}
    assert {"keras_vae.engine.averages", "keras_vae.data.subword_tokenizer", "keras_vae.models.vae"} <= modules
    # Without Python's search for garbage, at the import and at the end, this takes half the time.
    code = "import gc, os, sys; gc.disable(); import keras, keras_vae; print(*sys.modules, flush=True); os._exit(0)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert modules - set(loaded.split()) == set()


def test_the_package_shows_its_public_names_and_nothing_else():
    assert dir(keras_vae) == sorted(keras_vae.__all__)
    for name in keras_vae.__all__:
        assert getattr(keras_vae, name) is not None
    with pytest.raises(AttributeError, match="module 'keras_vae' has no attribute 'vea'"):
        _ = keras_vae.vea


def test_a_type_checker_sees_the_same_public_names():
    tree = ast.parse(SOURCES["keras_vae"])
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert {alias.name for node in block.body for alias in node.names} == {*keras_vae.__all__, "VAETransformer"}


@pytest.mark.parametrize("name", sorted(name for name, source in SOURCES.items() if "__all__" in source))
def test_every_public_name_exists_once(name):
    module = importlib.import_module(name)
    assert len(module.__all__) > 0
    assert len(set(module.__all__)) == len(module.__all__)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


def undocumented(source):
    tree = ast.parse(source)
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    ]
    return [getattr(node, "name", "the module") for node in (tree, *public) if not ast.get_docstring(node)]


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_every_public_class_and_function_is_documented(module):
    assert undocumented(SOURCES[module]) == []


def test_a_missing_docstring_is_found():
    source = "def f():\n    pass\nclass C:\n    'text'\ndef _g():\n    pass\nclass D:\n    x = 1"
    assert undocumented(source) == ["the module", "f", "D"]


# pyproject.toml.

METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = METADATA["tool"]["setuptools"]


def test_version_is_that_of_the_package():
    assert METADATA["project"]["name"] == "keras_vae"
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "keras_vae.utils.version.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", keras_vae.__version__)


def test_the_citation_names_the_package_and_its_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["title"], citation["version"]) == ("keras_vae", keras_vae.__version__)
    assert {"cff-version", "message", "authors"} <= set(citation)


def test_every_folder_and_data_file_is_packaged():
    assert set(setuptools.find_packages(ROOT, include=SETUPTOOLS["packages"]["find"]["include"])) == PACKAGES
    assert SETUPTOOLS["py-modules"] == ["train"]
    packaged = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    others = {
        path
        for package in ("keras_vae", "export")
        for path in ROOT.joinpath(package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert packaged == others
    assert len([path for path in packaged if path.suffix == ".gz"]) == 4 + 3


def test_every_import_from_outside_is_required():
    names = {name.split(".")[0] for module, source in SOURCES.items() for name in imported(module, source)}
    outside = names - set(sys.stdlib_module_names) - TOP_LEVEL
    distributions = importlib.metadata.packages_distributions()
    required = {re.match(r"[\w-]+", text)[0].lower().replace("-", "_") for text in METADATA["project"]["dependencies"]}
    missing = {
        name
        for name in outside
        if not {distribution.lower().replace("-", "_") for distribution in distributions[name]} & required
    }
    assert {"keras", "tensorflow", "numpy"} <= outside
    assert missing == set()
