"""Bijectors whose inverse and log determinant are computed together."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow_probability import bijectors as tfb


class DensityFirst(tfb.Bijector):
    """A map u -> z of vectors whose inverse and log determinant come from one pass of its networks.

    TFP asks for the inverse and for its log determinant one after the other. Computed apart they would run the
    networks twice, and their gradients too, which no compiler takes together again.

    Args:
      forward: function u `(..., size)` -> z of the same shape.
      inverse: function z -> (u, log |det du/dz|), the latter of shape `(...,)`.
    """

    def __init__(self, forward: Callable, inverse: Callable, name: str = "density_first") -> None:
        parameters = dict(locals())
        self._forward_function, self._inverse_function = forward, inverse
        self._last: tuple[Any, Any] = (None, None)
        super().__init__(forward_min_event_ndims=1, parameters=parameters, name=name)

    def _forward(self, u):
        return self._forward_function(u)

    def _inverse(self, z):
        return self._inverse_of(z)[0]

    def _inverse_log_det_jacobian(self, z):
        return self._inverse_of(z)[1]

    def _inverse_of(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self._last[0] is not z:
            self._last = (z, self._inverse_function(z))
        return self._last[1]
