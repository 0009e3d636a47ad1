"""Reading a `.keras` file that may be hostile: nothing in it runs, and it costs no more than its own size.

Keras's safe mode refuses Python code, links out of the weights file and some functions. It builds whatever layers the
configuration asks for before it looks at the weights, so that a file of one kilobyte may ask for all memory; these
checks come first.
"""

import contextlib
import functools
import io
import json
import math
import operator
import pathlib
import threading
import zipfile

import h5py
import keras

from keras_vae.data.limits import check_memory

_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_MAX_CONFIG_BYTES = 1 << 20
# A Sequential builds all of its layers anew for each of them, and so does one around it.
_MAX_DEPTH = 9
_MAX_LAYERS = 100
_MAX_PARTS = 5000
_MAX_FEATURES = 1 << 26

_MODULES = ("activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "optimizers")
_MODULES += ("optimizers.schedules", "regularizers")
_FROM_KERAS = {"DTypePolicy", "Functional", "Model", "Sequential"}
# What Keras writes by other names than those it is known by.
_BY_PLACE = {("keras.src.models.functional", "Functional"), ("keras.random", "SeedGenerator")}
# Code, other runtimes, and files beside the model.
_NO_LAYERS = {"FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer", "TextVectorization"}
_NO_LAYERS |= {"HashedCrossing", "TorchModuleWrapper"}
_MARKS = {"__ellipsis__", "__keras_tensor__", "__slice__", "__tensor__"}

_one_at_a_time = threading.Lock()


def load(path: pathlib.Path) -> keras.Model:
    """Returns the model in a `.keras` file, as `keras.saving.load_model` does in safe mode.

    Only parts of Keras and registered classes are made, and no more weights than the file holds.

    Raises:
      ValueError: if that cannot be; the message names the file and is one line.
    """
    if not (path.is_file() and zipfile.is_zipfile(path)):
        raise ValueError(f"{path} is damaged: it is no zip archive, as a Keras file is. Train again")
    check_memory(path.stat().st_size, f"what {path} holds")
    try:
        with _no_more_weights_than(check(path)):
            model = keras.saving.load_model(path, safe_mode=True)
        _check_features(model)
        return model
    except Exception as error:  # Keras, HDF5 and zipfile raise whatever the broken part raises
        # Keras wraps the error of a part in those of all around it.
        cause = (str(error).rpartition("Exception encountered: ")[2].strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged or was not written by keras_vae: {cause[:300]}") from error


def _check_features(model):
    # What only copies, pads or repeats has no weights.
    for layer in model._flatten_layers():
        outputs = keras.tree.flatten(layer.output) if getattr(layer, "_inbound_nodes", None) else ()
        for output in outputs:
            if (size := math.prod(d or 1 for d in output.shape)) > _MAX_FEATURES:
                raise ValueError(f"{layer.name} must give up to {_MAX_FEATURES} numbers an example. Received: {size}")


def check(path: pathlib.Path) -> int:
    """Returns how many numbers the weights of a `.keras` file are.

    Raises:
      Exception: if it holds what `load` does not read; `ValueError` for all but damage that zipfile and HDF5 find.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(names) != len(_MEMBERS) or set(names) != _MEMBERS:
            raise ValueError(f"a Keras file must hold {', '.join(sorted(_MEMBERS))}. Received: {sorted(names)[:5]}")
        for member in members:
            # Keras stores; what unpacks to more than the file is a bomb.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"{member.filename} must be stored, not compressed")
            if member.file_size > (path.stat().st_size if member.filename.endswith(".h5") else _MAX_CONFIG_BYTES):
                raise ValueError(f"{member.filename} is too large. Received: {member.file_size} bytes")
        check_parts(archive.read("config.json"))
        return count_weights(archive.read("model.weights.h5"))


def check_parts(text: bytes) -> None:
    """Raises `ValueError` if a configuration names anything but parts of Keras and registered classes."""
    try:
        left = [(json.loads(text, parse_constant=_no_constant), 0)]
    except RecursionError:
        raise ValueError("config.json is nested too deeply") from None
    count = 0
    while left:
        value, depth = left.pop()
        if isinstance(value, dict) and "class_name" in value:
            count, depth = count + 1, depth + 1
            if depth > _MAX_DEPTH or count > _MAX_PARTS:
                raise ValueError(f"a model must have up to {_MAX_PARTS} parts, up to {_MAX_DEPTH} inside each other")
            _check_part(value)
        if isinstance(value, dict | list):
            left += [(item, depth) for item in (value.values() if isinstance(value, dict) else value)]


def _no_constant(text):
    raise ValueError(f"config.json must have finite numbers. Received: {text}")


def _check_part(part):
    names = [part.get(name) for name in ("module", "class_name", "registered_name")]
    if not all(isinstance(name, str | None) for name in names):
        raise ValueError(f"a part of a model must have names. Received: {names}"[:300])
    module, name, registered = names
    inner = part.get("config")
    layers = inner.get("layers") if name == "Sequential" and isinstance(inner, dict) else ()
    if isinstance(layers, list) and len(layers) > _MAX_LAYERS:
        raise ValueError(f"a Sequential must have up to {_MAX_LAYERS} layers. Received: {len(layers)}")
    if name in _MARKS or keras.saving.get_registered_object(registered or name) is not None:
        return
    if not _is_part_of_keras(module or "", name):
        raise ValueError(f"a part of a model must be one of Keras or registered. Received: {module}.{name}")


def _is_part_of_keras(module, name):
    if name == "function":
        return module == "builtins"  # of a fixed list, by name
    if module.startswith("keras.src.ops."):
        return True  # Keras takes only its operations there
    if (module, name) in _BY_PLACE:
        return True
    if module == "keras":
        return name in _FROM_KERAS
    place = module.removeprefix("keras.")
    if place == module or place not in _MODULES or name in _NO_LAYERS:
        return False
    return isinstance(getattr(operator.attrgetter(place)(keras), name, None), type)


def count_weights(content: bytes) -> int:
    """Returns how many numbers the arrays of an HDF5 file are.

    Raises:
      Exception: what h5py raises of a damaged file; `ValueError` if the arrays are not all in it, as plain numbers.
    """
    with h5py.File(io.BytesIO(content), "r") as file:
        # A visit ends with the first value that is not None; an error in it would not come through.
        if link := file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else (name, link)):
            raise ValueError(f"the weights must not have links. Received: {link[0]} is a {type(link[1]).__name__}")
        items = []
        file.visititems(lambda _, item: items.append(item))
        arrays = [item for item in items if isinstance(item, h5py.Dataset)]
        for array in arrays:
            # HDF5 has no bfloat16: Keras writes its two bytes, and says so beside them.
            is_number = array.dtype.kind in "biuf" or (
                array.dtype == "V2" and array.attrs.get("dtype") in ("bfloat16", b"bfloat16")
            )
            if not is_number or array.external or array.is_virtual or array.chunks:
                raise ValueError(f"the weights must be plain arrays of numbers. Received: {array.name}, {array.dtype}")
        size = sum(array.nbytes for array in arrays)
        if size > len(content):
            raise ValueError(f"the weights must be in the file. Received: {size} bytes in a file of {len(content)}")
        return sum(math.prod(array.shape) for array in arrays)


@contextlib.contextmanager
def _no_more_weights_than(count: int):
    """Within this context a layer of this thread that makes a weight beyond the first `count` numbers fails."""
    with _one_at_a_time:
        add_weight, thread, made = keras.layers.Layer.add_weight, threading.get_ident(), 0

        @functools.wraps(add_weight)
        def counted(self, shape=None, *args, **kwargs):
            nonlocal made
            if threading.get_ident() == thread:
                dimensions = shape if isinstance(shape, list | tuple) else [shape]
                made += math.prod(abs(d) for d in dimensions if isinstance(d, int))
                if made > count:
                    raise ValueError(f"{self.name} must not have more weights than the file. Received: shape={shape}")
            return add_weight(self, shape, *args, **kwargs)

        keras.layers.Layer.add_weight = counted
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = add_weight
