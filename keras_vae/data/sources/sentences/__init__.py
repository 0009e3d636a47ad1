"""The source "sentences", which is shipped with the package (README.md and LICENSE beside this file)."""

import pathlib

from keras_vae.data.sources import texts

FOLDER = pathlib.Path(__file__).parent


def read(folder: pathlib.Path = FOLDER) -> texts.Texts:
    """Returns short English sentences: 41,813 for training, 2,000 for validation and 4,000 for the test.

    They are the usage examples of WordNet 3.0 (Princeton University, 2006).

    Raises:
      ValueError: if a file is missing or damaged.
    """
    train, validation, test = (texts.read_lines(folder / f"{name}.txt.gz") for name in ("train", "validation", "test"))
    return texts.Texts(train, validation, test, "sentences of WordNet 3.0 as shipped with keras_vae")
