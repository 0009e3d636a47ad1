"""The exported page of vectors and of series in headless Chromium: it plots what Python says."""

import numpy as np
import pytest
from client_models import export_files, prepared_folder
from client_pages import drive, served
from helpers import make_vae

import keras_vae as kv
from export import webpage

prepared_folder()
HEIGHT, WIDTH = 168, 240
# Bars and lines have 0x1f of red, and their edges have more. The line at 0 has 0xcc.
MOST_RED = 150


@pytest.fixture(scope="module", params=[(6,), (12, 1)])
def visited(request, tmp_path_factory):
    """A model of vectors or of series, and what its page shows."""
    folder = tmp_path_factory.mktemp("plots")
    vae = make_vae(request.param, likelihood=kv.likelihoods.Gaussian(request.param))
    x = np.random.default_rng(0).normal(1.0, 2.0, (100, *request.param)).astype(np.float32)
    vae.adapt(x)
    vae.fit(x, epochs=5, verbose=0)
    model = export_files(vae, folder / "export")
    package = prepared_folder() / "node_modules" / "@litertjs" / "core"
    with served(webpage.write_site(model.folder, folder / "site", package)) as url:
        return model, drive("visit", url)


def test_the_page_works_as_it_does_for_pictures(visited):
    _, visit = visited
    assert visit["console"] == []
    assert visit["elsewhere"] == []
    assert visit["overflow"] == {width: {"excess": 0, "elements": []} for width in ("phone", "desk")}
    assert visit["unusable"] == {"nameless": [], "small": []}
    assert visit["resetPixels"] == visit["chosen"]["pixels"] != visit["changed"]["pixels"]
    assert all(file["name"].endswith(".png") for file in visit["downloads"].values())


def test_the_plot_shows_the_values_of_python(visited):
    model, visit = visited
    (mean,), _ = model.samples([12])
    low, high = float(mean.min()), float(mean.max())
    is_bars = mean.ndim == 2
    if is_bars:
        low, high = min(low, 0.0), max(high, 0.0)
    assert visit["note"] == f"Each plot shows values from {shown(low)} to {shown(high)}, over the index of the value."
    blue = np.array(visit["chosen"]["pixels"]).reshape(HEIGHT, WIDTH) < MOST_RED
    values = mean[2].ravel()
    y = HEIGHT * (0.05 + 0.9 * (high - values) / (high - low))
    base = HEIGHT * (0.05 + 0.9 * (high - np.clip(0.0, low, high)) / (high - low))
    for index, height in enumerate(y):
        # The x of a value lies between two columns, and the lines begin and end there.
        x = round((index + 0.5) / len(values) * WIDTH)
        column = blue[:, x - 1 : x + 1].any(axis=1)
        if is_bars:
            # A bar ends within a pixel, which is then of a lighter blue.
            assert column.sum() == pytest.approx(abs(height - base), abs=2.0)
        else:
            # The line is two pixels wide and may be steep.
            assert column[max(0, int(height) - 6) : int(height) + 7].any()


def shown(value):
    """Returns a number as JavaScript's toPrecision(3) writes it."""
    return f"{value:#.3g}".rstrip(".")
