"""`fit` and `evaluate`, many steps for each call into one compiled graph.

Keras's own loop dispatches each step from Python and takes each batch from `tf.data`, which for a small model takes
longer than the arithmetic. Data are therefore fed in blocks of steps, each one loop inside one graph.
"""

import functools
import weakref
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_vae.engine.block_steps import block_size, block_size_without_padding, is_own_step
from keras_vae.engine.compiled_steps import CompiledSteps
from keras_vae.engine.feeds import make_feed, make_validation_feed
from keras_vae.engine.fit_arguments import acts_on_batches, check_counts, check_fit, num_training_examples
from keras_vae.engine.inputs import checked_examples, inputs_of
from keras_vae.engine.keras_compat import EVALUATION_WITHIN_FIT, adapter_of, restored_epoch
from keras_vae.engine.losses_of_calls import adds_losses
from keras_vae.engine.stream_blocks import in_blocks, stream_block_size
from keras_vae.engine.streams import (
    batch_rows,
    check_end,
    checked_stream,
    is_endless,
    is_stream,
    one_error,
    stream_of_inputs,
)
from keras_vae.engine.threads import Turn, one_at_a_time
from keras_vae.utils.arguments import checked


class ArrayModel(CompiledSteps):
    """A `keras.Model` whose `fit` and `evaluate` take arrays and `Examples` in blocks.

    A subclass implements `train_step`, `test_step` and `check_data(examples, name)`, where `name` is what y is called
    in errors, and sets `seed`, `event_shape`, `event_dtype` (the type of x) and `condition_dim`. `train_steps`
    counts the training steps. Unlike the optimizer's counter it is kept when the model is compiled anew, and it is
    saved with the model, so that the order and the draws of the data continue where they were.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = {"initializer": "zeros", "dtype": "int64", "trainable": False, "aggregation": "only_first_replica"}
        self.train_steps = self.add_weight(name="train_steps", shape=(), **options)
        self.under_strategy = tf.distribute.has_strategy()
        self._auto_blocks = True
        self.turn = Turn()

    @checked
    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str = "adam",
        jit_compile: bool | Literal["auto"] = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
          optimizer: Keras optimizer or its name.
          jit_compile: True, False or "auto". "auto" uses XLA if there are enough steps, those of earlier fits included,
            to pay for the compilation and no convolutions, with which it compiles silu and gelu alone. A stream of
            unknown length is taken to have enough.
          **kwargs: further arguments of `keras.Model.compile`, apart from `loss` and `metrics`, which the model has of
            its own. Without `steps_per_execution`, `fit` takes up to 64 steps at once and then calls Keras's callbacks.
            If one of your own callbacks has a method for batches, it takes each step by itself.

        Raises:
          ValueError: if `loss` or `metrics` are given.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(f"`{name}` must not be given: the model computes its own (see its docstring)")
        check_counts(steps_per_execution=kwargs.get("steps_per_execution"))
        self._auto_blocks = kwargs.get("steps_per_execution") is None
        self._auto_jit = jit_compile == "auto"
        self._functions = {}
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        # The optimizer is built before the first step is traced, because a trace that fails in the middle would leave
        # only some of its variables behind.
        self.optimizer.build(self.trainable_variables)
        # The attribute must not be called `_compile_config`: Keras has one of that name, and writes HDF5 files from it.
        self._compile_arguments = keras.saving.serialize_keras_object(
            {"optimizer": self.optimizer, "jit_compile": jit_compile, **kwargs}
        )

    def get_compile_config(self) -> dict[str, Any]:
        return self._compile_arguments if self.compiled else {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    @one_at_a_time
    @one_error
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Literal["auto", 0, 1, 2] = "auto",
        callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model; the arguments are those of `keras.Model.fit`, and `x` may be `keras_vae.data.Examples`.

        The loss is the mean over a batch weighted by `sample_weight`. `y` is the condition of each example; a model
        without condition ignores it.

        Raises:
          ValueError: if arrays have the wrong shape or hold values outside the support of the likelihood.
        """
        if x is None:
            raise ValueError("`x` must be arrays, `Examples` or a data set. Received: x=None")
        if kwargs.get("class_weight") is not None:
            raise ValueError("`class_weight` must not be given: there are no classes; use `sample_weight`")
        options = dict(epochs=epochs, verbose=verbose, callbacks=callbacks, initial_epoch=initial_epoch, **kwargs)
        sizes = dict(batch_size=batch_size, validation_batch_size=validation_batch_size)
        check_fit(validation_split, {**options, **sizes})
        if is_stream(x):
            if validation_split and validation_data is None:
                raise ValueError(
                    "`validation_split` must be 0 for data that are not in memory: pass `validation_data`. "
                    f"Received: validation_split={validation_split!r} and x of type {type(x).__name__}"
                )
            stream = checked_stream(self, x, y, sample_weight, shuffle)
            return self._fit_stream(stream, x, validation_data, shuffle, sizes, options)
        examples = checked_examples(self, x, y, sample_weight)
        if validation_data is None and validation_split:
            cut = num_training_examples(len(examples), validation_split)
            examples, validation_data = examples[:cut], examples[cut:]
        return self._fit_examples(examples, validation_data, shuffle, sizes, options)

    def _fit_stream(self, stream, given, validation_data, shuffle, sizes, options):
        steps = options.get("steps_per_epoch")
        check_end("steps_per_epoch", stream, steps)
        stream, size = self._adapted_stream(stream, given, steps, options)
        # Where steps are not stacked, an execution is what the user chose for it.
        execution, length = max(size, self.steps_per_execution), steps or stream.num_batches
        if validation_data is not None:
            limit = options.get("validation_steps")
            batch_size = sizes["validation_batch_size"] or sizes["batch_size"] or 32
            validation_data, all_steps = make_validation_feed(self, validation_data, batch_size, size, limit)
            if size == 1 and all_steps != limit and not self.under_strategy:
                # The data set is cut to its length, because with `steps_per_execution` Keras would run past
                # `validation_steps`.
                validation_data, all_steps = validation_data.take(all_steps), None
            options = {**options, "validation_steps": all_steps}
        feed = in_blocks(stream, size, self.condition_dim is not None)
        with self._blocks(execution, None if length is None else length * options["epochs"], trains=True):
            return super().fit(feed, validation_data=validation_data, shuffle=shuffle, **sizes, **options)

    def _fit_examples(self, examples, validation_data, shuffle, sizes, options):
        batch_size = min(sizes["batch_size"] or 32, len(examples))
        all_steps = -(-len(examples) // batch_size)
        steps = options.get("steps_per_epoch") or all_steps
        size = self._block_size(examples, batch_size, all_steps, steps, options)

        model = weakref.ref(self)  # TensorFlow never frees the function of a data set, nor what it refers to

        @functools.cache
        def first():
            # A second `fit` continues where the first one ended, with new orders and draws.
            begun = int(keras.ops.convert_to_numpy(model().train_steps)) // all_steps
            return max(restored_epoch(model()) or options["initial_epoch"], begun)

        self._first_epoch = first
        train, _ = make_feed(self, examples, batch_size, size, shuffle, first)
        if validation_data is not None:
            rows, limit = sizes["validation_batch_size"] or batch_size, options.get("validation_steps")
            feed = make_validation_feed(self, validation_data, rows, size, limit)
            validation_data, options["validation_steps"] = feed
        options["steps_per_epoch"] = steps
        # All epochs count, not only those that are left, so that a training that continues after an interruption is
        # compiled like one that was not interrupted, and has the same numbers.
        with self._blocks(size, steps * options["epochs"], trains=True):
            return super().fit(train, validation_data=validation_data, shuffle=False, **options)

    @one_at_a_time
    @one_error
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Literal["auto", 0, 1, 2] = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Evaluates the model; the arguments are those of `keras.Model.evaluate`, and `x` may be `Examples`."""
        check_counts(batch_size=batch_size, steps=steps)
        options = dict(verbose=verbose, **kwargs)
        if EVALUATION_WITHIN_FIT in kwargs:  # Keras's `fit` calls this for validation, with data checked already
            return super().evaluate(x, y, batch_size=batch_size, sample_weight=sample_weight, steps=steps, **options)
        if is_stream(x):
            feed = checked_stream(self, x, y, sample_weight)
            check_end("steps", feed, steps)
            feed, size = self._adapted_stream(feed, x, steps, kwargs)
            with self._blocks(max(size, self.steps_per_execution), steps or feed.num_batches):
                feed = in_blocks(feed, size, self.condition_dim is not None)
                return super().evaluate(feed, batch_size=batch_size, steps=steps, **options)
        examples = checked_examples(self, x, y, sample_weight)
        batch_size = min(batch_size or 32, len(examples))
        all_steps = -(-len(examples) // batch_size)
        size = self._block_size(examples, batch_size, all_steps, steps or all_steps, kwargs)
        feed, _ = make_feed(self, examples, batch_size, size, shuffle=False)
        with self._blocks(size, steps or all_steps):
            return super().evaluate(feed, steps=steps or all_steps, **options)

    @one_at_a_time
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Takes one step on a batch; the arguments are those of `keras.Model.train_on_batch`."""
        if class_weight is not None:
            raise ValueError("`class_weight` must not be given: there are no classes; use `sample_weight`")
        examples = checked_examples(self, x, y, sample_weight, is_batch=True)
        x = examples.numpy(int(keras.ops.convert_to_numpy(self.train_steps)))
        return super().train_on_batch(x, examples.labels, examples.weights, return_dict=return_dict)

    @one_at_a_time
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Evaluates one batch; the arguments are those of `keras.Model.test_on_batch`."""
        examples = checked_examples(self, x, y, sample_weight, is_batch=True)
        return super().test_on_batch(examples.numpy(), examples.labels, examples.weights, return_dict=return_dict)

    @one_error
    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Predicts; the arguments are those of `keras.Model.predict`, and `x` may be `Examples`.

        A conditional model takes a pair `[x, condition]`, or `Examples` with labels.
        """
        check_counts(batch_size=kwargs.get("batch_size"), steps=kwargs.get("steps"))
        return super().predict(stream_of_inputs(self, x) if is_stream(x) else inputs_of(self, x), **kwargs)

    def _block_size(self, examples, batch_size, all_steps, steps, options):
        size = self._fixed_block_size(options)
        batch_bytes = 4 * batch_size * int(np.prod(examples.event_shape))
        if steps == all_steps:
            return size or block_size(batch_bytes, steps)
        # The last block before the end of the data is only filled up where an epoch ends too.
        return 1 if size else block_size_without_padding(batch_bytes, steps, all_steps)

    def _adapted_stream(self, stream, given, steps, options):
        """Returns what Keras reads a checked stream with, and the number of its batches in a block."""
        adapter = adapter_of(stream)
        # A step of the user's own gets the batches as they come, whatever they are made of.
        if not (is_own_step(self.train_step) and is_own_step(self.test_step)):
            return adapter, 1
        size = self._fixed_block_size(options)
        if size is None:
            size = stream_block_size(adapter, batch_rows(given), self.event_shape, steps, is_endless(stream))
        return adapter, size

    def _fixed_block_size(self, options):
        """Returns the number of steps in an execution if it cannot be chosen freely, or None."""
        one_by_one = self.run_eagerly or self.under_strategy or adds_losses(self)
        if one_by_one or options.get("validation_steps") or keras.config.max_steps_per_epoch():
            return 1
        if not self._auto_blocks:
            return self.steps_per_execution
        return 1 if acts_on_batches(options.get("callbacks")) else None
