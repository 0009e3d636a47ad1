"""Every argument of every public name gets some twenty wrong values: each error names the argument, or the value is
accepted on purpose.

Public is what docs/api lists: a name that is added to a module there is walked here without being listed again. What it
needs beside the wrong value is its defaults and the examples below, by the name of the argument.
"""

import functools
import importlib
import inspect
import pathlib
import re
import typing

import numpy as np
import pytest
from conftest import make_vae

import keras_vae as kv
from keras_vae.arguments import kind_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHAPE = (8, 8, 1)
HUGE = 10**30


def wrong_values():
    """Returns values that are wrong for nearly everything; new ones each time, since one of them is used up."""
    empty = [None, [], {}, set(), ""]
    numbers = [True, 1.5, float("nan"), float("inf"), -1, 0, HUGE, 1j]
    objects = [object(), lambda: None, int, (i for i in (1, 2)), {"a": 1}]
    return [*empty, *numbers, *objects, "x", b"x", ["x"], np.array(["x"]), np.array([1j])]


def images():
    return kv.data.Images(np.arange(8 * 64, dtype=np.uint8).reshape(8, *SHAPE) % 2, divisor=1.0)


# The name of an argument -> makes an example of it.
EXAMPLES = {
    "priors.MixtureOfGaussians.set_mixture.loc": lambda: np.zeros((10, 2)),
    "priors.MixtureOfGaussians.set_mixture.scale": lambda: np.ones((10, 2)),
    "schedules.as_schedule.name": lambda: "value",
    "weights": lambda: np.full(10, 0.1),
    "capacity": lambda: 1.0,
    "data": images,
    "dataset_size": lambda: 8,
    "decoder": lambda: vae().decoder,
    "encoder": lambda: vae().encoder,
    "event_shape": lambda: SHAPE,
    "latent_dim": lambda: 2,
    "latent_dims": lambda: (2, 2),
    "likelihood": lambda: kv.likelihoods.Bernoulli(SHAPE),
    "mean": lambda: np.full(SHAPE, 0.5),
    "name": lambda: "example",
    "num_samples": lambda: 2,
    "num_steps": lambda: 10,
    "posterior": lambda: kv.posteriors.DiagonalGaussian(2),
    "trunk": lambda: kv.networks.mlp((4,)),
    "vae": lambda: vae(),
    "value": lambda: 1.0,
    "x": images,
    "z": lambda: np.zeros((1, 2), np.float32),
}

# Methods that Keras or the model calls, with tensors: many times in training, so that they check nothing.
CALLED_BY_THE_MODEL = {
    *("as_condition", "build", "call", "check_data", "start"),
    *("compile_from_config", "from_config", "get_compile_config", "make_test_function", "make_train_function"),
    *("predict_step", "reset_metrics", "test_step", "train_step"),
    *("distribution", "divide", "initial_parameters", "join", "loc_and_scale", "scale", "trunk_shape", "validate"),
    *("kl_method", "Likelihood.adapt", "Prior.adapt", "VampPrior.adapt"),
}
# Functions of tensors and distributions that run inside compiled steps.
OF_TENSORS = {"keras_vae.objectives.terms", "keras_vae.sampling"}
# Arguments that Keras checks and documents.
OF_KERAS = {"fitting.ArrayModel.fit", "fitting.ArrayModel.evaluate", "fitting.ArrayModel.predict", "vae.VAE.fit"}
# What a value is accepted for, where the annotation does not say it.
ON_PURPOSE = {
    "schedules.as_schedule.value": "a number; its error has the name that is handed in",
}
# These work for seconds or write files: values that are accepted are not tried.
LONG = {"vae.VAE.bounds", "vae.VAE.log_prob"}
# Modules of docs/api that are walked so far.
WALKED = (
    *("keras_vae.VAE", "keras_vae.Encoder", "keras_vae.Decoder", "keras_vae.networks", "keras_vae.posteriors"),
    *("keras_vae.likelihoods", "keras_vae.priors", "keras_vae.objectives", "keras_vae.schedules"),
)


@functools.cache
def vae():
    return make_vae(SHAPE, latent_dim=2, units=(4,))


def resolve(dotted):
    """Returns the module, class or function of a dotted name."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        parent, _, name = dotted.rpartition(".")
        return getattr(resolve(parent), name)


def members(thing):
    """Yields the functions and classes of a module: those of `__all__`, or its own that have no underscore."""
    if not inspect.ismodule(thing):
        yield thing
        return
    for name in getattr(thing, "__all__", [name for name in vars(thing) if not name.startswith("_")]):
        member = getattr(thing, name)
        if callable(member) and (hasattr(thing, "__all__") or getattr(member, "__module__", "") == thing.__name__):
            yield member


def label_of(function):
    """Returns for example "posteriors.Flow", or "vae.VAE.sample"."""
    return f"{function.__module__.removeprefix('keras_vae.')}.{function.__qualname__}"


def callables(member):
    """Yields a function, or a class and its methods, each with the class whose instance it needs, or None."""
    if not inspect.isclass(member):
        yield member, None
        return
    if issubclass(member, tuple | BaseException | kv.objectives.objective.Pass):  # which the package makes
        return
    yield member, None
    for name, method in inspect.getmembers(member, inspect.isfunction):
        own = method.__module__.split(".")[0] in ("keras_vae", "export")
        if own and not name.startswith("_") and not {name, method.__qualname__} & CALLED_BY_THE_MODEL:
            yield method, member


def public():
    """Returns name -> (callable, class whose instance it is called with, or None)."""
    texts = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md")))
    names = [name for text in texts for name in re.findall(r"^::: ([\w.]+)", text, re.MULTILINE)]
    found = {}
    for name in names:
        if name.startswith(WALKED):
            for member in members(resolve(name)):
                if member.__module__ in OF_TENSORS:
                    continue
                for function, cls in callables(member):
                    found.setdefault(label_of(function), (function, cls))
    return {label: entry for label, entry in found.items() if label not in OF_KERAS}


def parameters(function):
    variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    found = inspect.signature(function).parameters.values()
    return [each for each in found if each.kind not in variadic and each.name != "self"]


@functools.cache
def valid(function):
    """Returns arguments with which the function works: those without a default."""
    names = [each.name for each in parameters(function) if each.default is each.empty]
    return {name: (EXAMPLES.get(f"{label_of(function)}.{name}") or EXAMPLES[name])() for name in names}


def kinds(function):
    """Returns argument -> kind of value that it takes, of a function that checks."""
    function = function.__init__ if inspect.isclass(function) else function
    if not hasattr(function, "__wrapped__"):
        return {}
    hints = typing.get_type_hints(function.__wrapped__, include_extras=True)
    return {name: kind_of(hints[name]) for name in inspect.signature(function).parameters if name in hints}


def complaint(function, cls, name, value, kind):
    """Calls with one wrong value; returns what is wrong with what happened, or None."""
    label, fits = label_of(function), kind is not None and kind.accepts(value)
    if fits and (label in LONG or value is HUGE):
        return None
    arguments = {**valid(function), name: value}
    try:
        instance = () if cls is None else (vae() if issubclass(cls, kv.VAE) else cls(**valid(cls)),)
        function(*instance, **arguments)
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{name}\b", str(error)):
            return None
        return f"{name}={value!r}: {type(error).__name__} names it not: {error}"
    except Exception as error:
        return f"{name}={value!r}: {type(error).__name__}: {error}"
    return None if fits or f"{label}.{name}" in ON_PURPOSE else f"{name}={value!r} is accepted"


PUBLIC = public()


@pytest.mark.parametrize("label", sorted(PUBLIC))
def test_each_wrong_value_is_named_or_accepted_on_purpose(label):
    function, cls = PUBLIC[label]
    takes = kinds(function)
    complaints = [
        found
        for each in parameters(function)
        for value in wrong_values()
        if (found := complaint(function, cls, each.name, value, takes.get(each.name)))
    ]
    assert complaints == []
