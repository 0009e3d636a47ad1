"""Safe reading of a `.keras` file that may be hostile: no code in it runs, and its cost is in proportion to its size.

Keras's safe mode refuses Python code, links out of the weights file and some functions. But it builds all layers that
the configuration asks for before it looks at the weights, so that a file of one kilobyte may ask for all memory. The
checks of this file come first, and `bounded_building` then limits what is built.
"""

import json
import operator
import pathlib
import zipfile

import keras

from keras_vae.engine.keras_compat import ERROR_OF_A_CALL, OPERATIONS, SAVED_BY_PLACE
from keras_vae.models.vae import VAE
from keras_vae.runs import weights_file
from keras_vae.runs.bounded_building import TRUSTED, bounded, check_features
from keras_vae.utils.arguments import shown
from keras_vae.utils.memory import check_memory

_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_MAX_CONFIG_BYTES = 1 << 20
_MAX_DEPTH = 9
_MAX_PARTS = 10_000
# Keras searches the whole graph again for each layer that is listed before its inputs. Only shared layers may be.
_MAX_AHEAD = 50
# An integer may be at most this or the file's size in bytes: a layer of more units would need a larger file.
_MAX_INTEGER = 1 << 16
# These integers may be larger, because no array has such a size. Those of optimizers may be too.
_FREE_INTEGERS = {"dataset_size", "num_samples", "num_steps", "seed", "shared_object_id"}

# Losses and metrics are not among these modules, because a model of this package computes its own.
_MODULES: tuple[str, ...] = ("activations", "constraints", "dtype_policies", "initializers", "layers", "optimizers")
_MODULES += ("optimizers.schedules", "regularizers")
_FROM_KERAS = {"DTypePolicy", "Functional", "Model", "Sequential"}
# These layers run code, use other runtimes, read files beside the model or loop in Python.
_NO_LAYERS = {"FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer", "TextVectorization"}
_NO_LAYERS |= {"AugMix", "HashedCrossing", "RandAugment", "TorchModuleWrapper"}
_MARKS = {"__ellipsis__", "__keras_tensor__", "__slice__", "__tensor__"}


def load(path: pathlib.Path) -> keras.Model:
    """Returns the model in a `.keras` file, as `keras.saving.load_model` does in safe mode.

    Only parts of Keras and registered classes are made, and no more weights than the file holds.

    Raises:
      ValueError: if the file is refused or damaged; the message is one line and names the file.
    """
    if not (path.is_file() and zipfile.is_zipfile(path)):
        raise ValueError(f"{path} is damaged: it is no zip archive, as a Keras file is. Train again")
    check_memory(path.stat().st_size, f"what {path} holds")
    try:
        with bounded(check(path)):
            model = keras.saving.load_model(path, safe_mode=True)
        check_features(model)
        return model
    except Exception as error:  # Keras, HDF5 and zipfile raise errors of many classes for a damaged file
        # Keras wraps the error of a part in one of each part around it. Only the innermost tells the cause.
        cause = (str(error).rpartition(ERROR_OF_A_CALL)[2].strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged or was not written by keras_vae: {cause[:400]}") from error


def load_vae(path: pathlib.Path) -> VAE:
    """Returns the model in a `.keras` file as `load` does, or raises `ValueError` if it is no `keras_vae.VAE`."""
    model = load(path)
    if not isinstance(model, VAE):
        raise ValueError(f"{path} must hold a keras_vae.VAE. Received: {type(model).__name__}")
    return model


def check(path: pathlib.Path) -> weights_file.Weights:
    """Returns the size of the weights of a `.keras` file after a check of the whole file.

    Raises:
      ValueError: if the file holds anything that `load` refuses.
      Exception: if zipfile or HDF5 find that the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(names) != len(_MEMBERS) or set(names) != _MEMBERS:
            raise ValueError(f"a Keras file must hold {', '.join(sorted(_MEMBERS))}. Received: {sorted(names)[:5]}")
        for member in members:
            # Keras never compresses. A compressed member could unpack to far more than the size of the file.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"{member.filename} must be stored, not compressed")
            most, hint = (path.stat().st_size, "") if member.filename.endswith(".h5") else (_MAX_CONFIG_BYTES, TRUSTED)
            if member.file_size > most:
                raise ValueError(f"{member.filename} is too large. Received: {member.file_size} bytes{hint}")
        check_parts(archive.read("config.json"), path.stat().st_size)
        return weights_file.count(archive.read("model.weights.h5"))


def check_parts(text: bytes, size: int) -> None:
    """Raises `ValueError` if a configuration names anything but parts of Keras and registered classes.

    Args:
      text: the configuration, JSON.
      size: size in bytes of the file that holds the configuration, which limits its integers.
    """
    try:
        left = [("", json.loads(text, parse_constant=_no_constant), 0, False)]
    except RecursionError:
        raise ValueError("config.json is nested too deeply") from None
    count = 0
    while left:
        key, value, depth, free = left.pop()
        free = free or key in _FREE_INTEGERS
        if isinstance(value, int) and not free and abs(value) > max(size, _MAX_INTEGER):
            raise ValueError(
                f"`{key}` must be an integer that a file of {size} bytes can have. Received: {key}={shown(value)}"
                f"{TRUSTED}"
            )
        if isinstance(value, dict) and "class_name" in value:
            count, depth = count + 1, depth + 1
            if depth > _MAX_DEPTH or count > _MAX_PARTS:
                raise ValueError(
                    f"a model must have up to {_MAX_PARTS} parts, up to {_MAX_DEPTH} inside each other{TRUSTED}"
                )
            _check_part(value)
            free = free or str(value.get("module")).startswith("keras.optimizers")
        if isinstance(value, dict):
            if isinstance(value.get("layers"), list):
                _check_graph(value["layers"])
            left += [(name, item, depth, free) for name, item in value.items()]
        elif isinstance(value, list):
            left += [(key, item, depth, free) for item in value]


def _check_graph(layers):
    """Raises `ValueError` unless each call in a graph has tensors as inputs, and nearly all come after their inputs."""
    known, ahead = set(), 0
    for layer in layers:
        for node in (layer.get("inbound_nodes") or ()) if isinstance(layer, dict) else ():
            sources = set(_sources([node.get("args"), node.get("kwargs")])) if isinstance(node, dict) else ()
            if not sources:  # Keras would compute such a call while it loads
                raise ValueError("a node of a model must have a tensor as its input")
            ahead += not known.issuperset(sources)
        known.add(str(layer.get("name")) if isinstance(layer, dict) else "")
    if ahead > _MAX_AHEAD:
        raise ValueError(
            f"the layers of a model must be in order. Received: {ahead} calls that come before their inputs{TRUSTED}"
        )


def _sources(value):
    """Yields the names of the layers whose tensors are the arguments of a node."""
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        if value["class_name"] == "__keras_tensor__":
            yield str((value["config"]["keras_history"] or [""])[0])
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _sources(item)


def _no_constant(text):
    raise ValueError(f"config.json must have finite numbers. Received: {text}")


def _check_part(part):
    names = [part.get(name) for name in ("module", "class_name", "registered_name")]
    if not all(isinstance(name, str | None) for name in names):
        raise ValueError(f"a part of a model must have names. Received: {names}"[:300])
    module, name, registered = names
    if name in _MARKS or keras.saving.get_registered_object(registered or name) is not None:
        return
    if not _is_part_of_keras(module or "", name):
        raise ValueError(f"a part of a model must be one of Keras or registered. Received: {module}.{name}")


def _is_part_of_keras(module, name):
    if name == "function":
        return module == "builtins"  # Keras then looks the function up by its name in a fixed list
    if module.startswith(OPERATIONS):
        return True  # Keras accepts only its own operations under this name
    if (module, name) in SAVED_BY_PLACE:
        return True
    if module == "keras":
        return name in _FROM_KERAS
    place = module.removeprefix("keras.")
    if place == module or place not in _MODULES or name in _NO_LAYERS:
        return False
    return isinstance(getattr(operator.attrgetter(place)(keras), name, None), type)
