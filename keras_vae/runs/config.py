"""The settings of a run: one frozen dataclass, whose fields stand in three files, and its checks.

`data_settings.py`, `model_settings.py` and `training_settings.py` hold the settings. These files import no library that
is slow to import, so that `train.py --help` and a wrong flag answer at once.
"""

import dataclasses
from typing import Any

from keras_vae.runs import options
from keras_vae.runs.data_settings import DataSettings
from keras_vae.runs.model_settings import ModelSettings
from keras_vae.runs.training_settings import TrainingSettings


# A dataclass takes the fields of its bases from the last to the first: data, model, training.
@dataclasses.dataclass(frozen=True)
class Config(TrainingSettings, ModelSettings, DataSettings):
    """Settings of a run; a value that is not allowed raises `ValueError` that names the field."""

    def __post_init__(self) -> None:
        for name in FIELDS:
            check(name, getattr(self, name))
        self.check_data()
        self.check_model()
        factorizes = self.objective in ("free_bits", "beta_tcvae")
        if self.upper_latent_dims and (
            factorizes or self.objective == "dreg" or self.kl_estimator == "path_derivative"
        ):
            raise ValueError(
                "`upper_latent_dims` needs another objective than free_bits, beta_tcvae and dreg, and another "
                f"kl_estimator than path_derivative. Received: objective={self.objective!r}, "
                f"kl_estimator={self.kl_estimator!r}"
            )
        if self.strategy == "multi_worker" and not self.run_dir:
            raise ValueError("`run_dir` must be given with strategy=multi_worker, the same for all. Received: ''")

    def without_effect(self) -> list[str]:
        """Returns a sentence for each setting that is not at its default and has no effect with the other settings."""
        fields = {field.name: field for field in dataclasses.fields(self)}
        sentences = []
        for name, field in fields.items():
            value, (other, values) = getattr(self, name), field.metadata["acts_with"] or (name, ())
            found, default = getattr(self, other), fields[other].default
            idle = found not in values if values else found == default
            if value != field.default and idle:
                needed = " or ".join(f"{other}={needed}" for needed in values) or f"{other} other than {default}"
                sentences.append(f"{name}={value} does nothing with {other}={found}: it acts with {needed}")
        return sentences

    def to_dict(self) -> dict:
        """Returns the settings as plain values, for config.json."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, settings: dict) -> "Config":
        """Returns the settings of `to_dict`.

        Raises:
          TypeError: if there is a name that is no setting.
          ValueError: if a value is not allowed.
        """
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
        return cls(**values)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def check(name: str, value: Any) -> None:
    """Raises `ValueError` unless the field of `Config` with that name may have the value, apart from other fields."""
    options.check(FIELDS[name], value)
