"""`Dataset`: training, validation and test examples, and what is known of them."""

import dataclasses

import numpy as np

from keras_vae.data.examples import Examples
from keras_vae.data.tokenizer import Tokenizer
from keras_vae.utils.arguments import checked


@checked
@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three disjoint sets of examples.

    Attributes:
      name: the name, folder or file that was loaded.
      train: examples to fit; with dynamic binarization each presentation is a fresh draw.
      validation: examples to choose settings by, cut from the training set if the source has none; one fixed draw if
        binarized.
      test: examples to measure with once, at the end; one fixed draw if binarized.
      binarization: "dynamic", "static", "threshold" or "none"; always "none" for data that are no images.
      dequantization: "uniform" or "none".
      factor_names: names of the generating factors in `Examples.factors`, empty if they are not known.
      categorical_factors: indices of those factors whose values have no order.
      class_names: name of each label, empty if labels have no names.
      source: where the examples come from.
      tokenizer: what has made tokens of texts, None for all other data.
      test_left_out: number of examples that were cut off the end of the test set, 0 if it is whole.
      manifest: a text that changes when the files of the source change; empty if comparing the examples is enough.
    """

    name: str
    train: Examples
    validation: Examples
    test: Examples
    binarization: str
    dequantization: str = "none"
    factor_names: tuple[str, ...] = ()
    categorical_factors: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    source: str = ""
    manifest: str = ""
    test_left_out: int = 0
    tokenizer: Tokenizer | None = None

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example, for example (height, width, channels) or (values,)."""
        return self.train.event_shape

    @property
    def kind(self) -> str:
        """What the examples are: "texts", or as `Examples.kind` "vectors", "series" or "images"."""
        return "texts" if self.tokenizer is not None else self.train.kind

    def describe(self) -> dict:
        """Returns source, shape, range, counts, classes and kind of presentation, as plain values for a JSON file."""
        low, high = self.train.limits()
        labels = self.train.labels
        return {
            "name": self.name,
            "source": self.source,
            "shape": list(self.event_shape),
            "range": [float(low), float(high)],
            "binarization": self.binarization,
            "dequantization": self.dequantization,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "classes": None if labels is None else len(self.class_names) or len(np.unique(labels)),
            "class_names": list(self.class_names) or None,
            "factors": list(self.factor_names),
            **({"test_left_out": self.test_left_out} if self.test_left_out else {}),
            **self._describe_texts(),
        }

    def _describe_texts(self):
        if self.tokenizer is None:
            return {}
        return {"tokens": self.tokenizer.tokens, "vocabulary": len(self.tokenizer.vocabulary)}
