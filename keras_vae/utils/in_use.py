"""Objects whose arguments can no longer be changed once a model uses them."""

import inspect
from typing import Any, Self


class InUse:
    """Base of schedules and objectives: a compiled step reads their arguments once, so a later change is an error.

    Without the error the change would have no effect, and nobody would notice.
    """

    _in_use = False

    def mark_in_use(self) -> Self:
        """Forbids changes to the arguments of this object and of the objects in it; returns the object."""
        for part in vars(self).values():
            if isinstance(part, InUse):
                part.mark_in_use()
        self._in_use = True
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if self._in_use and name in inspect.signature(type(self)).parameters:
            raise AttributeError(
                f"`{name}` of {type(self).__name__} must not be changed while a model uses it: "
                "give the model another one, as in `model.kl_weight = 0.5`"
            )
        super().__setattr__(name, value)
