"""What a reader of data returns, and how it becomes training, validation and test set."""

from typing import NamedTuple

import numpy as np

from keras_vae.data.images import Images


class Splits(NamedTuple):
    """The examples of a source.

    Attributes:
      train: examples to fit, and to cut from what is missing below.
      test: examples to measure with; None if the source has no split.
      validation: examples to choose by; None if the source has none.
      class_names: name of each label, empty where the labels have none.
      source: where the examples come from, one line for a report.
      ordered: keep the order of the examples: the test set is cut off their start, the validation set off their end.
        Otherwise they may be sorted by class, and are shuffled.
      manifest: what tells the files of the source from changed ones, the same on every machine; empty where the
        examples themselves tell.
    """

    train: Images
    test: Images | None = None
    validation: Images | None = None
    class_names: tuple[str, ...] = ()
    source: str = ""
    ordered: bool = False
    manifest: str = ""


def divide(
    splits: Splits, test_fraction: float, validation_fraction: float, seed: int, name: str
) -> tuple[Images, Images, Images]:
    """Returns disjoint training, validation and test sets; what the source does not split is cut from its training set.

    Args:
      splits: the source.
      test_fraction: part of all examples that becomes the test set, between 0 and 1.
      validation_fraction: part of the remaining ones that becomes the validation set, between 0 and 1.
      seed: seed of the shuffling.
      name: of the source, for errors.

    Raises:
      ValueError: if nothing would be left to train on.
    """
    train, test, validation = splits.train, splits.test, splits.validation
    if not splits.ordered:
        train, test, validation = (_shuffled(part, (seed, i)) for i, part in enumerate((train, test, validation)))
    if test is None:
        cut = _count(len(train), "test_fraction", test_fraction, f"examples of {name!r}")
        test, train = train[:cut], train[cut:]
    if validation is None:
        cut = _count(len(train), "validation_fraction", validation_fraction, f"training examples of {name!r}")
        train, validation = train[:-cut], train[-cut:]
    return train, validation, test


def _shuffled(images, seed):
    return None if images is None else images[np.random.default_rng(seed).permutation(len(images))]


def _count(length, argument, fraction, examples):
    """Returns how many of `length` a fraction is, at least 1, or raises if none would be left."""
    count = max(1, round(length * fraction))
    if count >= length:
        raise ValueError(
            f"`{argument}` must leave at least 1 of {length} {examples}. Received: {argument}={fraction!r}"
        )
    return count
