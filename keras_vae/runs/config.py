"""The settings of a run: one frozen dataclass, whose fields stand in four files, and its checks.

`data_settings.py`, `model_settings.py`, `text_settings.py` and `training_settings.py` hold the settings. These files
import no library that is slow to import, so that `train.py --help` and a wrong flag answer at once.
"""

import dataclasses
from typing import Any, Self

from keras_vae.runs import options
from keras_vae.runs.data_settings import DataSettings
from keras_vae.runs.model_settings import ModelSettings
from keras_vae.runs.text_settings import NOT_FOR_TEXTS, TextSettings
from keras_vae.runs.training_settings import TrainingSettings


# A dataclass takes the fields of its bases from the last to the first: data, model, texts, training.
@dataclasses.dataclass(frozen=True)
class Config(TrainingSettings, TextSettings, ModelSettings, DataSettings):
    """Settings of a run; a value that is not allowed raises `ValueError` that names the field."""

    def __post_init__(self) -> None:
        for name in FIELDS:
            check(name, getattr(self, name))
        self.check_data()
        self.check_model()
        self.check_training()
        self.check_texts()
        factorizes = self.objective == "beta_tcvae" or (self.objective, self.free_bits_of) == ("free_bits", "dimension")
        if self.upper_latent_dims and (
            factorizes or self.objective == "dreg" or self.kl_estimator == "path_derivative"
        ):
            raise ValueError(
                "`upper_latent_dims` needs another objective than beta_tcvae, dreg, and free_bits with "
                "free_bits_of=dimension, and another kl_estimator than path_derivative. Received: "
                f"objective={self.objective!r}, kl_estimator={self.kl_estimator!r}"
            )
        if self.baseline and (self.conditional or self.without_z):
            raise ValueError(
                "`baseline` must be False for a model that is conditional or has no z. Received: baseline=True, "
                f"conditional={self.conditional}, without_z={self.without_z}"
            )
        if self.strategy == "multi_worker" and not self.run_dir:
            raise ValueError("`run_dir` must be given with strategy=multi_worker, the same for all. Received: ''")

    def without_effect(self) -> list[str]:
        """Returns a sentence for each setting that is not at its default and has no effect with the other settings."""
        return [
            f"{field.name}={getattr(self, field.name)} does nothing with {now}: it acts with {needed}"
            for field in dataclasses.fields(self)
            for now, needed in self._idle(field)
        ]

    def check_kind(self, are_texts: bool) -> None:
        """Raises `ValueError` if a setting for data of another kind is not at its default."""
        kind = "texts" if are_texts else "data that are no texts"
        for name in NOT_FOR_TEXTS if are_texts else [field.name for field in dataclasses.fields(TextSettings)]:
            value, default = getattr(self, name), FIELDS[name].default
            if value != default:
                raise ValueError(
                    f"`{name}` must be left at its default, {default!r}, for {kind}. "
                    f"Received: {name}={value!r} for {self.dataset!r}"
                )

    def model_without_z(self, run_dir: str) -> Self:
        """Returns the settings of the same model with z fixed at 0, trained as long in the folder `run_dir`.

        Its log likelihood is exact. Settings that are there for the sake of z are at their defaults.
        """
        of_z = ("posterior", "prior", "upper_latent_dims", "objective", "kl_estimator", "word_dropout", "baseline")
        plain: dict[str, Any] = {name: FIELDS[name].default for name in of_z}
        plain |= {"without_z": True, "run_dir": run_dir, "export": False, "strategy": "none"}
        config = dataclasses.replace(self, **plain, num_importance_samples=1)
        idle: dict[str, Any] = {field.name: field.default for field in FIELDS.values() if any(config._idle(field))}
        return dataclasses.replace(config, **idle)

    def _idle(self, field):
        """Yields the settings that keep a field from having an effect, and those with which it would have one."""
        pairs = [(FIELDS[name], values) for name, values in field.metadata["acts_with"]]
        if not pairs or getattr(self, field.name) == field.default or any(self._acts(*pair) for pair in pairs):
            return
        now = " and ".join(f"{other.name}={getattr(self, other.name)}" for other, _ in pairs)
        needed = [
            [f"{other.name}={value}" for value in values] or [f"{other.name} other than {other.default}"]
            for other, values in pairs
        ]
        yield now, " or ".join(text for texts in needed for text in texts)

    def _acts(self, other, values):
        found = getattr(self, other.name)
        return found in values if values else found != other.default

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
