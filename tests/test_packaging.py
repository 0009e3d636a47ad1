"""How the package is put together: which way its imports point, what it exports, what it says of itself."""

import ast
import importlib
import importlib.metadata
import os
import pathlib
import re
import runpy
import subprocess
import sys

import pytest
import setuptools

import keras_vae

ROOT = pathlib.Path(__file__).resolve().parents[1]
# From the bottom up: a module may import what stands in its own line or above it. A name is a module of keras_vae,
# or a top-level one; `keras_vae` is the package's own __init__.py, which gives the public names.
LAYERS = (
    # `config` imports the standard library alone, for `train.py --help`.
    ("config", "environment"),
    ("arguments",),
    (
        "checks",
        "command_line",
        "conditions",
        "containers",
        "counting",
        "finite",
        "fit_arguments",
        "folders",
        "in_use",
        "keras_files",
        "noise",
        "part",
        "threads",
    ),
    ("parsers", "positive", "presets", "signals", "strategies", "tables", "weights_file"),
    ("bounded_building", "checkpoints", "sampling", "data", "flows", "networks", "hierarchy", "mixtures"),
    ("posteriors", "likelihoods", "priors", "schedules"),
    ("stack", "encoder", "decoder", "objectives", "safe_loading"),
    ("block_steps", "inputs", "losses_of_calls", "settings"),
    ("streams",),
    ("fitting",),
    ("importance",),
    ("vae",),
    ("evaluation", "autoencoder", "latent", "callbacks", "plotting", "disentanglement", "frechet", "information"),
    ("transformer",),
    ("keras_vae",),
    ("building", "run_data"),
    ("training",),
    ("evaluate", "hub"),
    ("export", "train"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
TOP_LEVEL = {"keras_vae", "export", "train"}


def dotted(path):
    """Returns the dotted name of a source file: keras_vae/data/images.py -> keras_vae.data.images."""
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


def layer_name(module):
    """Returns the name under which a module stands in LAYERS: keras_vae.data.images -> data."""
    parts = module.split(".")
    return parts[1] if parts[0] == "keras_vae" and len(parts) > 1 else parts[0]


def edges(sources):
    """Returns the imports between modules of this project as pairs (importer, imported)."""
    pairs = ((module, name) for module, source in sources.items() for name in imported(module, source))
    return {(module, name) for module, name in pairs if name.split(".")[0] in TOP_LEVEL}


def unknown_modules(modules):
    return sorted({layer_name(module) for module in modules} - set(RANK))


def backward(sources):
    """Returns the imports that point back against LAYERS, as text; modules without a place have a test of their own."""
    ranked = [
        (module, name, RANK.get(layer_name(module)), RANK.get(layer_name(name))) for module, name in edges(sources)
    ]
    return sorted(f"{module} imports {name}" for module, name, a, b in ranked if None not in (a, b) and a < b)


def cycle(graph):
    """Returns a list of modules that import each other in a circle, empty if there is none."""
    finished, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module) :]
        if module not in finished:
            path.append(module)
            for name in sorted(graph.get(module, ())):
                if found := visit(name):
                    return found
            finished.add(path.pop())
        return []

    return next((found for module in sorted(graph) if (found := visit(module))), [])


def test_every_module_has_its_place_in_the_layers():
    unknown = unknown_modules(SOURCES)
    assert not unknown, f"add {', '.join(unknown)} to LAYERS in tests/test_packaging.py, above what may import it"


def test_no_import_points_back():
    assert len(edges(SOURCES)) > 40
    assert backward(SOURCES) == []


def test_no_modules_import_each_other_in_a_circle():
    # A package and its own modules are one: keras_vae.data imports keras_vae.data.images and so on.
    pairs = [(a, b) for a, b in edges(SOURCES) if not b.startswith(f"{a}.") and not a.startswith(f"{b}.")]
    graph = {a: {b for c, b in pairs if c == a} for a, _ in pairs}
    assert cycle(graph) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("keras_vae.vae", "from keras_vae import training", ["keras_vae.vae imports keras_vae.training"]),
        ("keras_vae.noise", "import keras_vae.checks, keras_vae.vae as v", ["keras_vae.noise imports keras_vae.vae"]),
        (
            "keras_vae.priors",
            "def f():\n    from .encoder import Encoder",
            ["keras_vae.priors imports keras_vae.encoder"],
        ),
        (
            "keras_vae.data",
            "from . import loading\nfrom ..stack import Stack",
            ["keras_vae.data imports keras_vae.stack"],
        ),
        ("keras_vae.data.images", "from .. import vae, checks", ["keras_vae.data.images imports keras_vae.vae"]),
        ("keras_vae.vae", "from keras_vae import __version__", ["keras_vae.vae imports keras_vae"]),
        ("keras_vae.training", "import export.exporter", ["keras_vae.training imports export.exporter"]),
        ("keras_vae.training", "from keras_vae import __version__, vae\nimport keras, json", []),
        ("keras_vae.encoder", "from keras_vae.stack import Stack\nfrom keras_vae.posteriors import Posterior", []),
        ("export.exporter", "from keras_vae import training\nfrom export import tflite", []),
        ("train", "from export import exporter\nfrom keras_vae import training", []),
    ],
)
def test_the_walk_finds_imports_that_point_back(module, source, expected):
    assert backward({module: source}) == expected


def test_the_walk_finds_unknown_modules_and_circles():
    assert unknown_modules(["keras_vae.diffusion.unet", "keras_vae.data.images", "serving"]) == ["diffusion", "serving"]
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}}) == []


# What importing costs and gives.


def test_import_brings_neither_data_sets_nor_figures(tmp_path):
    # Keras itself takes matplotlib if it is there, so here it is not.
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    result = subprocess.run(
        [sys.executable, "-c", "import sys, keras_vae; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert {"tensorflow", "keras_vae.vae", "keras_vae.likelihoods"} <= loaded
    assert loaded & {"tensorflow_datasets", "matplotlib", "ai_edge_litert", "keras_vae.plotting"} == set()


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


# setup.py.


@pytest.fixture(scope="module")
def setup_arguments():
    """What setup.py hands to setuptools."""
    arguments = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, "setup", lambda **kwargs: arguments.update(kwargs))
        runpy.run_path(str(ROOT / "setup.py"))
    return arguments


def test_version_is_that_of_the_package(setup_arguments):
    assert setup_arguments["name"] == "keras_vae"
    assert setup_arguments["version"] == keras_vae.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", keras_vae.__version__)


def test_every_folder_and_data_file_is_packaged(setup_arguments):
    assert set(setup_arguments["packages"]) == PACKAGES
    assert setup_arguments["py_modules"] == ["train"]
    packaged = {
        path
        for package, patterns in setup_arguments["package_data"].items()
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
    assert len([path for path in packaged if path.suffix == ".gz"]) == 4


def test_every_import_from_outside_is_required(setup_arguments):
    names = {name.split(".")[0] for module, source in SOURCES.items() for name in imported(module, source)}
    outside = names - set(sys.stdlib_module_names) - TOP_LEVEL
    distributions = importlib.metadata.packages_distributions()
    required = {re.match(r"[\w-]+", text)[0].lower().replace("-", "_") for text in setup_arguments["install_requires"]}
    missing = {
        name
        for name in outside
        if not {distribution.lower().replace("-", "_") for distribution in distributions[name]} & required
    }
    assert {"keras", "tensorflow", "numpy"} <= outside
    assert missing == set()
