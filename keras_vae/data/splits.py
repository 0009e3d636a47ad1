"""What the reader of a source returns, and how `divide` makes training, validation and test sets of it."""

from typing import NamedTuple

import numpy as np

from keras_vae.data.examples import Examples


class Splits(NamedTuple):
    """The examples of a source.

    Attributes:
      train: examples to fit; the splits that are None below are cut from them.
      test: examples to measure with; None if the source has no such split.
      validation: examples to choose settings by; None if the source has no such split.
      class_names: name of each label, empty if labels have no names.
      source: where the examples come from, one line for a report: "arrays in data/x.npy". The word "in" comes before a
        path and nowhere else, because a card that others see leaves out what stands behind it.
      ordered: whether to keep the order of the examples: the test set is then cut off their start, the validation set
        off their end. Otherwise the examples are shuffled first, because they may be sorted by class.
      manifest: a text that changes when the files of the source change, and is the same on every machine; empty if
        comparing the examples is enough.
    """

    train: Examples
    test: Examples | None = None
    validation: Examples | None = None
    class_names: tuple[str, ...] = ()
    source: str = ""
    ordered: bool = False
    manifest: str = ""


def divide(
    splits: Splits, test_fraction: float, validation_fraction: float, seed: int, name: str
) -> tuple[Examples, Examples, Examples]:
    """Returns disjoint training, validation and test sets; what the source does not split is cut from its training set.

    Args:
      splits: the source.
      test_fraction: share of all examples that becomes the test set, between 0 and 1.
      validation_fraction: share of the remaining ones that becomes the validation set, between 0 and 1.
      seed: seed of the shuffling.
      name: name of the source, for errors.

    Raises:
      ValueError: if there are too few examples, or a fraction leaves nothing to train on.
    """
    train, test, validation = splits.train, splits.test, splits.validation
    needed = 1 + (test is None) + (validation is None)
    if len(train) < needed:
        raise ValueError(
            f"{name!r} must hold at least {needed} examples that are not in splits of their own: one to train on"
            f"{', one to choose settings by' if validation is None else ''}"
            f"{', one to measure with' if test is None else ''}. Received: {len(train)}"
        )
    if not splits.ordered:
        train, test, validation = (_shuffled(part, (seed, i)) for i, part in enumerate((train, test, validation)))
    if test is None:
        cut = _count(len(train), "test_fraction", test_fraction, f"examples of {name!r}")
        test, train = train[:cut], train[cut:]
    if validation is None:
        cut = _count(len(train), "validation_fraction", validation_fraction, f"training examples of {name!r}")
        train, validation = train[:-cut], train[-cut:]
    return train, validation, test


def _shuffled(examples, seed):
    return None if examples is None else examples[np.random.default_rng(seed).permutation(len(examples))]


def _count(length, argument, fraction, examples):
    """Returns how many of `length` examples a fraction is, at least 1; raises if none of them would be left."""
    count = max(1, round(length * fraction))
    if count >= length:
        raise ValueError(
            f"`{argument}` must leave at least 1 of {length} {examples}. Received: {argument}={fraction!r}"
        )
    return count
