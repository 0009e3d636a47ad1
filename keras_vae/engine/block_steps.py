"""Many training or test steps for each call into one compiled graph.

A block of batches runs as one loop inside one graph; under a distribution strategy each replica takes its rows, step by
step. The logs of a block are those of its last step, as with Keras's `steps_per_execution`.
"""

import contextlib
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_vae.data.drawing import drawn
from keras_vae.data.steps import Block
from keras_vae.engine.fused_layers import fused_layers
from keras_vae.engine.keras_compat import layers_of
from keras_vae.engine.precision import precision_of
from keras_vae.utils.devices import cpu_multiplies_bfloat16, has_gpu

MAX_BLOCK_STEPS = 64
MAX_BLOCK_BYTES = 2**25


def block_size(batch_bytes: int, num_steps: int) -> int:
    """Returns how many steps make a block: within limits of steps and bytes, the number with the least padding."""
    most = _most_steps(batch_bytes, num_steps)
    return min(range(max(1, most // 2), most + 1), key=lambda size: (-num_steps % size, -size))


def block_size_without_padding(batch_bytes: int, *num_steps: int) -> int:
    """Returns how many steps make a block: within limits of steps and bytes, the most that divide all `num_steps`."""
    common = math.gcd(*num_steps)
    return next(size for size in range(_most_steps(batch_bytes, common), 0, -1) if common % size == 0)


def bytes_ahead(batch_bytes: int, num_steps: int) -> int:
    """Returns about how many bytes the blocks take that are made, wait and are in use at one time."""
    return 4 * batch_bytes * _most_steps(batch_bytes, num_steps)


def _most_steps(batch_bytes, num_steps):
    return max(1, min(MAX_BLOCK_STEPS, MAX_BLOCK_BYTES // batch_bytes, num_steps))


def returns_metrics(step_function: Callable) -> Callable:
    """Marks a step that returns the metrics of the model, so that a block computes them only once."""
    step_function.returns_metrics = True  # type: ignore[attr-defined]
    return step_function


def is_own_step(step_function: Callable) -> bool:
    """Whether a step is the package's own, which `returns_metrics` marks, and not one of a subclass."""
    return getattr(step_function, "returns_metrics", False)


def accept_blocks(
    model: keras.Model, keras_function: Callable, step_function: Callable, fuses_layers: bool = False
) -> Callable:
    """Returns a train or test function for Keras that also accepts iterators over blocks and over replicas.

    Args:
      model: the model that is trained or tested.
      keras_function: the function that Keras made for all other iterators, iterator -> logs.
      step_function: `train_step` or `test_step` of the model.
      fuses_layers: whether activations and narrow convolutions in blocks are compiled, each by itself.
    """
    run_block = tf.function(_block_runner(model, step_function, fuses_layers), jit_compile=model.jit_compile)
    run_replicas = _replica_runner(model, step_function)
    if not model.run_eagerly:
        run_replicas = tf.function(run_replicas)

    def function(iterator):
        if isinstance(getattr(iterator, "element_spec", None), Block):
            return run_block(next(iterator))
        if isinstance(iterator, tf.distribute.DistributedIterator):
            return run_replicas(iterator)
        if isinstance(iterator, tf.data.Iterator) and model.steps_per_execution == 1:
            # Keras asks for the batch inside its graph, where the counters of a step and the weights of its averages
            # wait for no batch: at the end of a stream of unknown length they would count a batch more.
            return keras_function(iter([next(iterator)]))
        return keras_function(iterator)

    return function


def _block_runner(model, step_function, fuses_layers):
    # One function of XLA draws large examples many times as fast as a dozen operations.
    draw = tf.function(drawn, autograph=False, jit_compile=True) if fuses_layers else drawn

    @tf.autograph.experimental.do_not_convert
    def run(block):
        def step(i):
            x, *rest = tf.nest.map_structure(lambda stacked: stacked[i], block.batches)
            with fused_layers(model) if fuses_layers else contextlib.nullcontext():
                return step_function((tf.cast(draw(x), model.event_dtype), *rest))

        if is_own_step(step_function):
            tf.while_loop(lambda i: i < block.count, lambda i: (step(i), i + 1)[1:], (tf.constant(0),))
            return model.get_metrics_result()
        # The loop carries the logs and must know their structure before it runs. Tracing the step tells it, and the
        # loop then calls the traced step, so that it is traced only once.
        traced = tf.function(step, autograph=False).get_concrete_function(tf.TensorSpec((), tf.int32))
        before = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), traced.structured_outputs)
        return tf.while_loop(lambda i, _: i < block.count, lambda i, _: (i + 1, traced(i)), (tf.constant(0), before))[1]

    return run


def _replica_runner(model, step_function):
    strategy = model.distribute_strategy

    def step(batch):
        # Nothing of a step may run if there is no batch, not even that which does not need its values.
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            return step_function(batch)

    @tf.autograph.experimental.do_not_convert
    def run(iterator):
        for _ in range(model.steps_per_execution):
            logs = strategy.run(step, args=(next(iterator),))
        # With several workers Keras would average the logs over an axis, but scalars have none.
        return tf.nest.map_structure(
            lambda value: tf.reduce_mean(tf.stack(strategy.experimental_local_results(value)), axis=0), logs
        )

    return run


def has_convolutions(model: keras.Model) -> bool:
    """Whether a layer of `model` is a convolution."""
    return any("Conv" in type(layer).__name__ for layer in layers_of(model))


def gains_from_xla(model: keras.Model) -> bool:
    """Whether XLA makes `model` faster.

    On CPUs it is many times slower than TensorFlow with convolutions, and only TensorFlow's own kernels use the
    instructions that a CPU may have for products in bfloat16. With recurrent layers it is a quarter slower. Texts would
    all have the longest length, as XLA knows no shape that changes from batch to batch.
    """
    layers = layers_of(model)
    if any(isinstance(layer, keras.layers.RNN) or getattr(layer, "has_lengths", False) for layer in layers):
        return False
    on_amx = precision_of(model) == "bfloat16" and cpu_multiplies_bfloat16()
    return has_gpu() or not (has_convolutions(model) or on_amx)


def gains_from_fused_layers(model: keras.Model) -> bool:
    """Whether `fused_layers` makes `model` faster: one with convolutions that is not compiled as a whole."""
    return has_convolutions(model) and not gains_from_xla(model)
