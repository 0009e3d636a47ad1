"""Every name of Keras that the package uses and Keras does not document, in one file.

Such a name may go in any release. Each one here says why it is used and in which versions of Keras it was seen: 3.12.0,
the lowest of the package's range, and 3.15.1. The rest of the package uses the names of this file, and a test finds
one that does not. The tests also run on the lowest version.

Three things that Keras does not document stay where they are, since they are methods that a class overrides:

- `make_train_function` and `make_test_function` of `engine.array_model.ArrayModel` return a function that takes blocks
  too. Keras calls them at the start of `fit` and `evaluate` and keeps the result in `train_function` and
  `test_function` (3.12.0, 3.15.1).
- `save_spec` of `engine.keras_files.KerasFiles` is asked for by `tf.lite.TFLiteConverter.from_keras_model`, which was
  written for the models of Keras 2 (TensorFlow 2.21).
- `runs.bounded_building` puts functions of its own around `Layer.__new__`, `Layer.__call__`, `Layer.add_weight`,
  `Metric.__init__` and `Sequential.from_config` while it loads a file. All of them can be called by a user, but only
  `keras.saving.load_model` shows which of them Keras itself calls (3.12.0, 3.15.1).
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

# `DataAdapter` is the base class of what `fit` reads batches from. `fit` takes an object of it as it is, so that a
# stream that has been wrapped once is not wrapped again (3.12.0, 3.15.1).
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from keras_vae.engine.python_batches import common_spec, python_dataset

# `fit` calls `evaluate` with this argument, and with an iterator that it keeps from epoch to epoch; a user's call has
# none (3.12.0, 3.15.1).
EVALUATION_WITHIN_FIT = "_use_cached_eval_dataset"

# Files name an operation by this module and its class, and Keras looks such a name up among its operations alone
# (3.12.0, 3.15.1).
OPERATIONS = "keras.src.ops."

# Files name these two classes by the modules that define them, and not by those that export them (3.12.0, 3.15.1).
SAVED_BY_PLACE = frozenset({("keras.src.models.functional", "Functional"), ("keras.random", "SeedGenerator")})

# Keras puts these words before the error of a layer inside another one, once for each level (3.12.0, 3.15.1).
ERROR_OF_A_CALL = "Exception encountered: "


def layers_of(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a model or layer and all layers inside it, each one before those inside it.

    `keras.Model.layers` has the direct ones only. Seen as `_flatten_layers` in 3.12.0 and 3.15.1.
    """
    return list(model._flatten_layers())


def direct_layers_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers that are attributes of a layer, without those inside them.

    A `keras.layers.Layer` has no public list of them. Seen as `_flatten_layers` in 3.12.0 and 3.15.1.
    """
    return list(layer._flatten_layers(include_self=False, recursive=False))


def outputs_of(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """Returns the symbolic outputs of a layer, none if it has no place in a graph.

    `layer.output` raises an error for a layer without one. Seen as `_inbound_nodes` in 3.12.0 and 3.15.1.
    """
    return keras.tree.flatten(layer.output) if getattr(layer, "_inbound_nodes", None) else []


def is_of_keras(cls: type) -> bool:
    """Whether Keras itself defines a class: its modules are under `keras.src` (3.12.0, 3.15.1)."""
    return cls.__module__.startswith("keras.")


def loss_tracker(model: keras.Model) -> keras.metrics.Mean:
    """Returns the metric "loss" that `compile` makes; `fit` resets and reports it.

    A second metric of that name would be reported twice. Seen as `_loss_tracker` in 3.12.0 and 3.15.1.
    """
    return model._loss_tracker


def restored_epoch(model: keras.Model) -> int:
    """Returns the epoch that `keras.callbacks.BackupAndRestore` has restored, 0 if it has not.

    The callback tells nobody but `fit`. Seen as `_initial_epoch` in 3.12.0 and 3.15.1.
    """
    return model._initial_epoch or 0


def averages_of(optimizer: keras.optimizers.Optimizer) -> list[tuple[keras.Variable, keras.Variable]]:
    """Returns each weight with the average that an optimizer of `use_ema=True` keeps of it; none for other optimizers.

    Keras shows the averages only at the end of `fit`, when they replace the weights. Seen as `_trainable_variables` and
    `_model_variables_moving_average`, in the optimizer inside of a `LossScaleOptimizer`, in 3.12.0 and 3.15.1.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(optimizer, "use_ema", False):
        return []
    pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    return [(weight, average) for weight, average in pairs if average is not None]


def drop_evaluation_iterator(model: keras.Model) -> None:
    """Makes a model forget the validation data of a `fit` that has ended with an error.

    Keras forgets them only at the end of a `fit` that succeeds. Seen as `_eval_epoch_iterator` in 3.12.0 and 3.15.1.
    """
    model._eval_epoch_iterator = None


def has_no_end(stream: Any) -> bool:
    """Whether a stream is a `keras.utils.PyDataset` without a number of batches (`num_batches`: 3.12.0, 3.15.1)."""
    return isinstance(stream, PyDatasetAdapter) and stream.num_batches is None


def add_layer(model: keras.Sequential, layer: keras.layers.Layer, build: bool) -> None:
    """Adds a layer to a `Sequential`, which is built at once only where `build` says so.

    Keras builds the whole model for each layer that is added. Seen as the argument `rebuild` of `Sequential.add` in
    3.12.0 and 3.15.1.
    """
    model.add(layer, rebuild=build)


class PassedPyDataset(PyDatasetAdapter):
    """A `keras.utils.PyDataset` for `fit` whose batches go through a function.

    Keras may make batches in other processes, but calls the function in the one that trains. A `PyDataset` around
    another one would lose its workers. Seen as `_standardize_batch` in 3.12.0 and 3.15.1.

    Args:
      batches: the data set.
      function: batch -> `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
      shuffle: whether the order of the batches changes from epoch to epoch.
    """

    def __init__(self, batches: keras.utils.PyDataset, function: Callable[[Any], tuple], shuffle: bool) -> None:
        super().__init__(batches, shuffle=shuffle)
        self._function = function

    def _standardize_batch(self, batch):
        return self._function(batch)

    @functools.cached_property
    def spec(self) -> Any:
        """The `tf.TensorSpec`s of a batch; the first two batches are made for it."""
        count = 2 if self.num_batches is None else min(2, self.num_batches)
        return common_spec([self._function(self.py_dataset[i]) for i in range(count)])

    def get_tf_dataset(self) -> tf.data.Dataset:
        return python_dataset(self.get_numpy_iterator, self.spec)


class PassedGenerator(GeneratorDataAdapter):
    """A generator of batches for `fit`. Seen as `GeneratorDataAdapter` in 3.12.0 and 3.15.1.

    Attributes:
      spec: the `tf.TensorSpec`s of a batch, those of the first two.
    """

    def __init__(self, batches: Iterator) -> None:
        first = list(itertools.islice(batches, 2))
        super().__init__(itertools.chain(first, batches))
        self.spec = common_spec(first)

    def get_tf_dataset(self) -> tf.data.Dataset:
        return python_dataset(self.get_numpy_iterator, self.spec)


def adapter_of(stream: Any) -> DataAdapter:
    """Returns what `fit` reads a stream with, `num_batches` among its attributes: None for an unknown number.

    Only `fit` itself makes one. Seen as `get_data_adapter` in 3.12.0 and 3.15.1.
    """
    return get_data_adapter(stream)


class MappedAdapter(DataAdapter):
    """A stream that `fit` reads in another form, as blocks of its batches.

    Keras still counts the batches of the stream itself. Seen as `DataAdapter` in 3.12.0 and 3.15.1.

    Args:
      adapter: what the stream is read with.
      make_dataset: function that returns the `tf.data.Dataset` in the other form.
    """

    def __init__(self, adapter: DataAdapter, make_dataset: Callable[[], tf.data.Dataset]) -> None:
        super().__init__()
        self._adapter, self._make_dataset = adapter, make_dataset
        self.on_epoch_begin, self.on_epoch_end = adapter.on_epoch_begin, adapter.on_epoch_end

    def get_tf_dataset(self) -> tf.data.Dataset:
        return self._make_dataset()

    @property
    def num_batches(self) -> int | None:
        return self._adapter.num_batches


class BuiltBefore(keras.Model):
    """Base of a model that is built, with its optimizer, before `fit` sees the first batch.

    Keras would build it by a symbolic call on that batch. Under a strategy it would take the mean of the batch over
    all workers first, and fail. Seen as `_maybe_symbolic_build` in 3.12.0 and 3.15.1.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        pass
