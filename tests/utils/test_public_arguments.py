"""Every argument of every public name gets some twenty wrong values: each error names the argument, or the value is
accepted on purpose.

Public is what docs/api lists: a name that is added to a module there is walked here without being listed again. What it
needs beside the wrong value is its defaults and the examples below, by the name of the argument.
"""

import functools
import importlib
import inspect
import re
import typing

import numpy as np
import pytest
import tokenizers
from helpers import ROOT, make_vae
from texts import make_text_vae

import keras_vae as kv
from keras_vae.measure import frechet
from keras_vae.runs import config
from keras_vae.utils.arguments import kind_of

SHAPE = (8, 8, 1)
HUGE = 10**30


def wrong_values():
    """Returns values that are wrong for nearly everything; new ones each time, since one of them is used up."""
    empty = [None, [], {}, set(), ""]
    numbers = [True, 1.5, float("nan"), float("inf"), -1, 0, HUGE, 1j]
    objects = [object(), lambda: None, int, (i for i in (1, 2)), {"a": 1}]
    return [*empty, *numbers, *objects, "x", b"x", ["x"], np.array(["x"]), np.array([1j])]


def images():
    return kv.data.Examples(np.arange(8 * 64, dtype=np.uint8).reshape(8, *SHAPE) % 2, divisor=1.0)


def numbers(*shape):
    return lambda: np.linspace(0.0, 1.0, int(np.prod(shape))).reshape(shape)


def subwords():
    """Returns a tokenizer of the library `tokenizers` with two pieces."""
    return tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))


# The name of an argument, alone or after that of its function, -> makes an example of it.
EXAMPLES = {
    "binarization": lambda: "static",
    "block_size": lambda: 2,
    "batch_size": lambda: 4,
    "capacity": lambda: 1.0,
    "classifier": lambda: frechet.ClassifierFeatures(SHAPE, 2, 4),
    "codes": numbers(8, 2),
    "columns": lambda: 2,
    "config": lambda: config.Config(),
    "count": lambda: 8,
    "data": images,
    "dataset_size": lambda: 8,
    "decoder": lambda: vae().decoder,
    "dimension": lambda: 0,
    "index": lambda: np.arange(3),
    "source": lambda: np.zeros((8, 4, 3)),
    "measure.discrete_information.mutual_information.a": lambda: np.arange(8)[:, None] % 2,
    "measure.discrete_information.mutual_information.b": lambda: np.arange(8)[:, None] % 3,
    "encoder": lambda: vae().encoder,
    "end": numbers(2),
    "event_shape": lambda: SHAPE,
    "factors": lambda: np.arange(16).reshape(8, 2) % 3,
    "features_a": numbers(8, 2),
    "features_b": numbers(8, 2),
    "folder": lambda: "/nowhere/folder",
    "has_attribute": lambda: np.arange(8) % 2 == 0,
    "likelihoods.autoregressive.Autoregressive.head": lambda: kv.likelihoods.Bernoulli(SHAPE),
    "likelihoods.autoregressive.Autoregressive.network": lambda: kv.networks.CausalConv(2, 0),
    "history": lambda: {"elbo": [1.0, 2.0], "kl": [1.0, 2.0], "log_likelihood": [1.0, 2.0]},
    "images": images,
    "keras_vae.plotting.image_grid.images": numbers(3, 4, 4, 1),
    "keras_vae.plotting.example_grid.examples": numbers(3, 7),
    "keras_vae.plotting.tile.images": numbers(3, 4, 4, 1),
    "keras_vae.plotting.traversal_grid.images": numbers(2, 3, 4, 4, 1),
    "keras_vae.plotting.reconstructions.x": numbers(3, 4, 4, 1),
    "reconstruction": numbers(3, 4, 4, 1),
    "kl": numbers(3),
    "labels": lambda: np.arange(8) % 2,
    "latent_dim": lambda: 2,
    "latent_dims": lambda: (2, 2),
    "likelihood": lambda: kv.likelihoods.Bernoulli(SHAPE),
    "loc": numbers(8, 2),
    "log_likelihood": lambda: -1.0,
    "mean": numbers(*SHAPE),
    "model": lambda: vae(),
    "module": lambda: "tree",
    "name": lambda: "example",
    "nearest": numbers(3, 2, 4, 4, 1),
    "num_classes": lambda: 2,
    "models.autoencoder.with_fitted_density.num_components": lambda: 2,
    "num_importance_samples": lambda: 2,
    "num_samples": lambda: 2,
    "num_steps": lambda: 10,
    "posterior": lambda: kv.posteriors.DiagonalGaussian(2),
    "measure.information.split_kl.posterior": lambda: vae().encode(images()),
    "measure.information.aggregate_log_prob.posterior": lambda: vae().encode(images()),
    "measure.information.split_kl.prior": lambda: vae().prior(),
    "priors.mixture.MixtureOfGaussians.set_mixture.loc": numbers(10, 2),
    "priors.mixture.MixtureOfGaussians.set_mixture.scale": lambda: np.ones((10, 2)),
    "real": images,
    "data.presentation.dequantize.images": lambda: kv.data.Examples(np.zeros((2, *SHAPE), np.uint8), divisor=255.0),
    "keras_vae.callbacks.ImageGrids.folder": lambda: "/nowhere/folder",
    "run_dir": lambda: "/nowhere/run",
    "samples": images,
    "keras_vae.plotting.neighbors.samples": numbers(3, 4, 4, 1),
    "objectives.schedules.as_schedule.name": lambda: "value",
    "seed": lambda: 0,
    "start": numbers(2),
    "test": images,
    "test_fraction": lambda: 0.5,
    "train": images,
    "training": images,
    "texts": lambda: ["a text"],
    "data.tokenizer.Tokenizer.decode.tokens": lambda: np.array([[1, 2]]),
    "data.subword_tokenizer.SubwordTokenizer.model": lambda: subwords().to_str(),
    "likelihoods.tokens.Tokens.max_length": lambda: 4,
    "likelihoods.tokens.Tokens.vocabulary_size": lambda: 5,
    "vocabulary": lambda: ["a", "b"],
    "vocabulary_size": lambda: 5,
    "trunk": lambda: kv.networks.mlp((4,)),
    "vae": lambda: vae(),
    "validation": images,
    "value": lambda: 1.0,
    "values": lambda: np.arange(8 * 64).reshape(8, *SHAPE) % 2,
    "weights": lambda: np.full(10, 0.1),
    "x": images,
    "z": numbers(1, 2),
    "measure.latent.interpolate_between.condition": lambda: None,
    "measure.latent.interpolate_between.end": lambda: images().numpy()[0],
    "measure.latent.interpolate_between.start": lambda: images().numpy()[1],
    "measure.latent.traverse.values": numbers(3),
    "measure.latent.traverse.z": numbers(2),
}

# Methods that Keras or the model calls, with tensors: many times in training, so that they check nothing.
CALLED_BY_THE_MODEL = {
    *("as_condition", "build", "call", "check_data", "encode_batch", "lengths_of", "tracker"),
    *("compile_from_config", "from_config", "get_compile_config", "make_test_function", "make_train_function"),
    *("predict_step", "reset_metrics", "test_step", "train_step"),
    *("distribution", "divide", "initial_parameters", "join", "loc_and_scale", "project", "scale", "trunk_shape"),
    "validate",
    *("kl_method", "Likelihood.adapt", "Prior.adapt", "VampPrior.adapt"),
}
# These are not walked: a name is left out as a whole, and all names that begin with one that ends in a dot.
UNWALKED = (
    # Functions of tensors, distributions and noise that run inside compiled steps.
    *(
        "objectives.terms.",
        "distributions.sampling.",
        "distributions.noise.as_word",
        "distributions.noise.threefry2x32",
        "distributions.noise.Noise.",
    ),
    *(
        "distributions.noise.NoiseSource",
        "distributions.noise.NoiseSource.",
        "distributions.noise.Nucleus",
        "distributions.noise.Nucleus.",
        "distributions.noise.MultiSampleNoise",
        "distributions.noise.MultiSampleNoise.",
        "distributions.noise.Tempered",
        "distributions.noise.Tempered.",
        "export.signatures.Signatures.",
    ),
    # A model calls it on its encoder once that is built; tests/likelihoods/test_tokens.py has one that is too small.
    "models.encoder.Encoder.check_takes",
    # What a causal network is called with by its likelihood; tests/networks/test_causal.py tries wrong networks.
    *("networks.causal.CausalNetwork.", "networks.causal_conv.CausalConv."),
    *(
        "networks.causal_recurrent._CausalRecurrent.",
        "networks.attention.TransformerBlock.",
        "networks.causal_attention.CausalTransformer.",
        "networks.causal_conv1d.CausalConv1D.",
        "networks.causal_tokens.",
        "networks.zeros.Zeros.",
    ),
    # Arguments that Keras and scikit-learn check and document; the transformer has a test of its own below.
    *(
        "engine.array_model.ArrayModel.fit",
        "engine.array_model.ArrayModel.evaluate",
        "engine.array_model.ArrayModel.predict",
        "models.vae.VAE.fit",
    ),
    *(
        "engine.array_model.ArrayModel.renew_steps",
        "engine.array_model.ArrayModel.test_on_batch",
        "engine.array_model.ArrayModel.train_on_batch",
    ),
    *("engine.keras_files.KerasFiles.", "models.settings.Settings.kl_weight_at", "models.vae.VAE.quantize"),
    *("integrations.sklearn.VAETransformer", "integrations.sklearn.VAETransformer."),
    # Steps of the commands, which hand each other reports, settings and folders that have been checked.
    *(
        "runs.evaluate.draw",
        "runs.evaluate.classifier_quality",
        "runs.evaluate.factor_scores",
        "runs.evaluate.log_measures",
        "runs.evaluate.measure",
    ),
    *(
        "integrations.hub.card",
        "runs.presets.",
        "runs.figures.draw_figures",
        "runs.training.fit",
        "runs.optimizer.",
    ),
    *("runs.run_dir.make_run_dir", "measure.evaluation.describe_active_units", "measure.texts.rates"),
    *("keras_vae.callbacks.AveragedWeights.", "keras_vae.callbacks.ImageGrids.on_epoch_end"),
    *(
        "keras_vae.callbacks.ImageGrids.on_train_begin",
        "keras_vae.callbacks.ImageGrids.on_train_end",
        "keras_vae.callbacks.NaNGuard.on_epoch_begin",
    ),
    *(
        "keras_vae.callbacks.NaNGuard.on_epoch_end",
        "keras_vae.callbacks.NaNGuard.on_train_batch_end",
        "keras_vae.callbacks.NaNGuard.on_train_begin",
    ),
    "keras_vae.callbacks.NaNGuard.on_train_end",
    # A run directory, which tests/runs tries; its methods hand each other settings that have been checked.
    *("runs.run_dir.RunDir", "runs.run_dir.RunDir."),
    # Settings of a run, which tests/runs/test_config.py and tests/runs/test_properties.py try.
    *("runs.config.", "runs.data_settings.", "runs.model_settings.", "runs.training_settings."),
)
# These accept more than their annotation says.
ON_PURPOSE = {
    "models.inference.Inference.prior_distribution.condition": "a prior without a condition does not look at it",
    "distributions.noise.Noise.seed": "an integer in [-2**31, 2**32), as its error says, or a tensor",
    "distributions.noise.Noise.stream": "the same",
    "distributions.noise.Noise.part": "a pair of numbers or tensors, which the strategies hand in",
    "objectives.schedules.as_schedule.value": "a number; its error has the name that is handed in",
}
# These work for seconds or write files: values that are accepted are not tried.
LONG = {
    *(
        "models.inference.Inference.bounds",
        "models.inference.Inference.log_prob",
        "measure.evaluation.evaluate",
        "measure.evaluation.likelihood",
        "measure.latent.anomaly_score",
    ),
    *("data.loading.load", "data.loading_texts.load_texts", "runs.training.run", "runs.evaluate.evaluate_run"),
    *(
        "export.exporter.export_run",
        "export.exporter.export_model",
        "integrations.hub.save_pretrained",
        "integrations.hub.from_pretrained",
    ),
    "measure.frechet.ClassifierFeatures.fit",
}


# Methods of a model of texts.
SPEAKING = {"models.inference.Inference.generate", "models.inference.Inference.texts_of"}


def unwalked(label):
    """Returns whether a name, or a dotted beginning of it, is one of `UNWALKED`."""
    return label in UNWALKED or any(name.endswith(".") and label.startswith(name) for name in UNWALKED)


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
    """Returns for example "priors.flow.Flow", or "models.inference.Inference.sample"."""
    return f"{'.'.join(function.__module__.split('.')[-2:])}.{function.__qualname__}"


def callables(member):
    """Yields a function, or a class and its methods, each with the class whose instance it needs, or None."""
    if not inspect.isclass(member):
        yield member, None
        return
    if issubclass(member, tuple | BaseException | kv.objectives.objective.LatentBatch):  # which the package makes
        return
    yield member, None
    if issubclass(member, kv.likelihoods.Likelihood):  # whose methods the model calls
        return
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
        for member in members(resolve(name)):
            for function, cls in callables(member):
                found.setdefault(label_of(function), (function, cls))
    return {label: entry for label, entry in found.items() if not unwalked(label)}


def parameters(function):
    variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    found = inspect.signature(function).parameters.values()
    return [each for each in found if each.kind not in variadic and each.name != "self"]


@functools.cache
def valid(function):
    """Returns arguments with which the function works: those without a default, or with an example of their own."""
    names = {each.name: f"{label_of(function)}.{each.name}" for each in parameters(function)}
    needed = [each.name for each in parameters(function) if each.default is each.empty or names[each.name] in EXAMPLES]
    return {name: (EXAMPLES.get(names[name]) or EXAMPLES[name])() for name in needed}


@functools.cache
def speaking_vae():
    tokenizer = kv.data.Tokenizer(["a", "b"], max_length=4)
    return make_text_vae(network="gru", tokenizer=tokenizer)


@functools.cache
def instance(cls, label):
    if label in SPEAKING:
        return speaking_vae()
    return vae() if issubclass(cls, kv.VAE) else cls(**valid(cls))


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
        function(*(() if cls is None else (instance(cls, label),)), **arguments)
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


def test_the_walk_sees_the_public_names():
    assert len(PUBLIC) > 130
    some = {
        "models.inference.Inference.sample",
        "priors.vamp.VampPrior",
        "likelihoods.scaled.Laplace",
        "priors.flow.Flow",
        "priors.flow.MAF",
        "posteriors.iaf.IAF",
        "networks.made.MADE",
    }
    assert some | {
        "posteriors.flow.Flow",
        "data.examples.Examples.batches",
        "measure.latent.interpolate",
        "export.exporter.Options",
        "networks.mlp.mlp",
    } <= set(PUBLIC)


def test_the_walk_leaves_out_whole_names():
    names = [
        "models.vae.VAE.fit",
        "models.vae.VAE.fit_more",
        "distributions.noise.Noise.normal",
        "distributions.noise.NoiseLike",
    ]
    assert [name for name in names if unwalked(name)] == ["models.vae.VAE.fit", "distributions.noise.Noise.normal"]


def test_the_walk_finds_what_is_wrong():
    def lax(count=1):
        return count

    def unnamed(count=1):
        return [0][count]

    for function, text in ((lax, "count='x' is accepted"), (unnamed, "count='x': TypeError names it not")):
        assert complaint(function, None, "count", "x", None).startswith(text)


# scikit-learn wants the checks of an estimator in `fit`. An empty tuple of hidden layers is linear.
TAKEN = {"hidden_units": ([],), "learning_rate": (1.5,), "random_state": (None, True, 0)}
FITTED = ["n_components", "likelihood", "epochs", "batch_size", "num_importance_samples", *TAKEN]


@pytest.mark.parametrize("name", FITTED)
def test_the_transformer_names_a_wrong_argument_in_fit(name):
    transformer = pytest.importorskip("keras_vae.integrations.sklearn")
    for value in wrong_values():
        if value is HUGE or any(type(value) is type(taken) and value == taken for taken in TAKEN.get(name, ())):
            continue
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            transformer.VAETransformer(**{"epochs": 1, "hidden_units": (2,), name: value}).fit(np.eye(4, 3))
