"""Custom gradients in graphs: TensorFlow keeps each for the life of the process, and its whole graph with it.

When a function with a `tf.custom_gradient` is traced, TensorFlow registers the gradient under a name of its own, and
never removes it. The gradient refers to tensors of the graph, so that some 10 MB of graphs would stay of each model
that was trained and dropped. Not only this package has custom gradients: `tf.nn.silu` is one, and so is the sum over
replicas in each step of Keras's optimizers.
"""

import functools
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.framework import ops

# TensorFlow does not document the list and has no function that removes a name (2.21). Without the list the steps work
# as well, but their graphs stay in memory.
_REGISTERED: dict = getattr(ops.gradient_registry, "_registry", {})


def forgets_custom_gradients(step: Callable) -> Callable:
    """Decorates a step whose graph nobody differentiates from outside: at its end the gradients are not needed.

    What a step differentiates itself, in a `tf.GradientTape` of its own, has been differentiated by then.
    """

    @functools.wraps(step)
    def call(*args, **kwargs):
        results = step(*args, **kwargs)
        if not tf.executing_eagerly():
            for operation in tf.compat.v1.get_default_graph().get_operations():
                # A custom gradient is that of an `IdentityN` from all arguments and results to the same.
                if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
                    _REGISTERED.pop(operation.get_attr("_gradient_op_type").decode(), None)
        return results

    return call
