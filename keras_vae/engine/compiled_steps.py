"""How the steps of a model are compiled: many in one graph, with XLA or without it, as their number makes it worth."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from keras_vae.engine.block_steps import accept_blocks, gains_from_fused_layers, gains_from_xla
from keras_vae.engine.keras_compat import BuiltBefore

# With fewer steps than this, XLA takes more seconds to compile than it saves.
MIN_STEPS_FOR_XLA = 2000
# The same of a network of convolutions, in which some layers are compiled, each by itself.
MIN_STEPS_FOR_FUSED_LAYERS = 200


class CompiledSteps(BuiltBefore):
    """A `keras.Model` whose compiled training and test steps are chosen for each call of `fit` and `evaluate`."""

    train_function: Any
    test_function: Any
    under_strategy: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._auto_jit = True
        self._fuses_layers = False
        self._functions: dict[tuple, tuple] = {}
        self._steps_of_fits = 0
        self._first_epoch: Callable[[], int] | None = None

    def renew_steps(self) -> None:
        """Makes Keras trace the compiled steps anew, after an attribute that they have read was changed."""
        self._functions = {}
        for name in ("train", "test"):
            if getattr(self, f"{name}_function") is not None:
                getattr(self, f"make_{name}_function")(force=True)

    def make_train_function(self, force: bool = False) -> Callable:
        if self.train_function is None or force:
            super().make_train_function(force=True)
            train = accept_blocks(self, self.train_function, self.train_step, self._fuses_layers)

            def train_function(iterator):
                # The first epoch is settled here, as the step counts `train_steps` while the data set reads it.
                if self._first_epoch is not None:
                    self._first_epoch()
                    self._first_epoch = None
                return train(iterator)

            self.train_function = train_function
        return self.train_function

    def make_test_function(self, force: bool = False) -> Callable:
        if self.test_function is None or force:
            super().make_test_function(force=True)
            self.test_function = accept_blocks(self, self.test_function, self.test_step)
        return self.test_function

    @contextlib.contextmanager
    def _blocks(self, size: int, num_steps: int | None, trains: bool = False) -> Iterator[None]:
        """Within this context an execution of Keras is `size` steps, and XLA is on if the steps are worth it.

        Args:
          size: steps in an execution.
          num_steps: number of all steps; None, if nobody knows it, is taken for many.
          trains: whether they are steps of a `fit`. Those of the fits before count too: one of many short ones is
            compiled like a long one.
        """
        before = self._execution
        jit_compile, fuses_layers = self.jit_compile, False
        if self._auto_jit and not self.run_eagerly and not self.under_strategy:
            count = math.inf if num_steps is None else num_steps + trains * self._steps_of_fits
            jit_compile = count >= MIN_STEPS_FOR_XLA and gains_from_xla(self)
            fuses_layers = trains and count >= MIN_STEPS_FOR_FUSED_LAYERS and gains_from_fused_layers(self)
        try:
            self._set_execution(size, jit_compile, fuses_layers)
            yield
            self._steps_of_fits += trains * (num_steps or 0)
        finally:
            self._set_execution(*before)

    @property
    def _execution(self):
        return self.steps_per_execution, self.jit_compile, self._fuses_layers

    def _set_execution(self, steps_per_execution, jit_compile, fuses_layers):
        # The traced functions of each setting are kept, so that a second `fit` need not compile again.
        self._functions[self._execution] = self.train_function, self.test_function
        self.steps_per_execution, self.jit_compile = steps_per_execution, jit_compile
        self._fuses_layers = fuses_layers
        self.train_function, self.test_function = self._functions.get(self._execution, (None, None))
