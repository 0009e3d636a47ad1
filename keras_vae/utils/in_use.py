"""Objects whose arguments stay as they are once a model uses them."""

import inspect


class InUse:
    """Base of schedules and objectives, which a compiled step reads once: a later change would be passed over."""

    _in_use = False

    def mark_in_use(self):
        """Has the arguments of this object, and of the objects in it, stay as they are; returns the object."""
        for part in vars(self).values():
            if isinstance(part, InUse):
                part.mark_in_use()
        self._in_use = True
        return self

    def __setattr__(self, name, value):
        if self._in_use and name in inspect.signature(type(self)).parameters:
            raise AttributeError(
                f"`{name}` of {type(self).__name__} must not be changed while a model uses it: "
                "give the model another one, as in `model.kl_weight = 0.5`"
            )
        super().__setattr__(name, value)
