"""The settings of a run that say what its data are, and where its results go."""

import dataclasses
import re

from keras_vae.runs.options import MOST, option

_SIZE = re.compile("[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})?")
_MAX_PIXELS = 65_535


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The part of `Config` that is about data and folders."""

    dataset: str = option(
        "mnist",
        "'mnist' and 'sentences' (ship with the package), 'sprites' (drawn, factors known), 'digits' (scikit-learn's), "
        "a folder of images (sub-folders are labels; train/, test/ and validation/ are splits), a folder of IDX files, "
        "an .npy or .npz file of images, series or vectors, a .txt (one text a line), .csv or .jsonl file of texts or "
        "a folder of them, or a tensorflow-datasets name",
    )
    data_kind: str = option(
        "auto",
        "what the arrays of an .npy or .npz file are: 'vectors' (count, values), 'series' (count, time) or (count, "
        "time, channels), 'images' (count, height, width) or (count, height, width, channels); 'auto' takes two "
        "dimensions for vectors, and more for images",
        choices=("auto", "images", "series", "vectors"),
    )
    data_dir: str = option("", "folder of prepared tensorflow-datasets; empty: ~/tensorflow_datasets")
    cache_dir: str = option(
        "",
        "folder that keeps the images of a folder, or of a prepared data set, decoded on the disk, from where they are "
        "read a batch at a time; empty: from 256 MiB on, in ~/.cache/keras_vae",
    )
    image_size: str = option(
        "",
        "HEIGHTxWIDTH, or one number for both, to which a folder of images is brought: cut in the middle, resized; "
        "empty: as they are",
    )
    on_bad_image: str = option(
        "stop", "what to do about images in a folder that cannot be read", choices=("stop", "skip")
    )
    background: str = option(
        "white",
        "color that images of a folder with an alpha channel or a transparent color are laid on: a name of CSS or "
        "#RRGGBB",
    )
    binarization: str = option(
        "auto",
        "how gray images become binary: a fresh Bernoulli draw at each presentation, one fixed draw, a threshold at "
        "0.5, or not; 'auto' is 'dynamic' for mnist with likelihood=bernoulli and 'none' otherwise",
        choices=("auto", "dynamic", "static", "threshold", "none"),
    )
    dequantization: str = option(
        "auto",
        "'uniform' adds noise as wide as one level to 8-bit images, so that a density on them bounds the probability "
        "of the 8-bit image; 'auto' does so for likelihoods that are densities (gaussian, laplace, "
        "continuous_bernoulli) if images are 8-bit and not binarized",
        choices=("auto", "uniform", "none"),
    )
    test_fraction: float = option(
        1 / 6, "part of the data kept for the test where they have no test set", low=0, high=1, open_ends=True
    )
    test_images: int = option(
        0,
        "how many examples of the test set are measured, the first of them, since a likelihood takes hours on many; "
        "0: all",
        low=0,
        high=MOST,
    )
    validation_fraction: float = option(
        1 / 12, "part of the training set kept for validation", low=0, high=1, open_ends=True
    )
    run_dir: str = option(
        "", "folder for the results: a new one, or that of a run to go on with; empty: runs/<dataset>-<time>"
    )

    def size(self) -> tuple[int, int] | None:
        """Returns `image_size` as (height, width), or None if it is empty."""
        numbers = [int(number) for number in self.image_size.split("x") if number]
        return (numbers[0], numbers[-1]) if numbers else None

    def check_data(self) -> None:
        """Raises `ValueError` if a setting of the data, each of the right kind, cannot be meant."""
        if self.image_size and not (_SIZE.fullmatch(self.image_size) and max(self.size() or (0,)) <= _MAX_PIXELS):
            raise ValueError(
                f"`image_size` must be HEIGHTxWIDTH or one number, in pixels, each from 1 to {_MAX_PIXELS:,}. "
                f"Received: {self.image_size!r}"
            )
