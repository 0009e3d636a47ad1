"""The guides run, print and draw what their pages say; the reference of the documentation names every public name."""

import importlib.util
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

import keras_vae as kv

SPEC = importlib.util.spec_from_file_location("run_guides", ROOT / "docs" / "run.py")
runner = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(runner)


# The page that users begin with.
QUICK = ("README",)


@pytest.mark.parametrize(
    "guide",
    [pytest.param(path, marks=[] if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in runner.GUIDES],
)
def test_a_guide_prints_and_draws_what_its_page_says(guide):
    # In a process of its own: a guide registers classes and rules as a user does.
    command = [sys.executable, str(ROOT / "docs" / "run.py"), guide.stem]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    assert re.fullmatch(rf"{guide.name}: \d+ s\s*", result.stdout)


PAGE = """# A page

```python
value = 2.0
```

Text.

```python
print(f"value {value:.1f}")
```

```text
value 2.0
```

```py
raise ValueError("only shown")
```
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2.0\n```\n\nText", "2.1\n```\n\nText", []),  # within 10%
        ("2.0\n```\n\nText", "2.3\n```\n\nText", ["page.md:10: expected 'value 2.0', printed 'value 2.3'"]),
        ("print(f", "str(f", ["page.md:10: expected 1 lines, printed ''"]),
        ("Text.", "![a](a.png)", ["there is no picture a.png"]),
        ("value 2.0\n", "value 2.0\nmore\n", ["page.md:10: expected 2 lines, printed 'value 2.0\\n'"]),
    ],
)
def test_a_page_that_says_something_else_is_found(tmp_path, monkeypatch, old, new, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(PAGE.replace(old, new))
    assert runner.run(tmp_path / "page.md") == expected


def test_an_error_names_its_line_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(PAGE.replace("value = 2.0", "value = 1 / 0"))
    with pytest.raises(ZeroDivisionError) as error:
        runner.run(tmp_path / "page.md")
    assert error.traceback[-1].lineno + 1 == PAGE[: PAGE.index("value = ")].count("\n") + 1


def test_writing_makes_the_page_say_what_the_program_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("value = 2.0", "value = 3.0"))
    assert len(runner.run(page)) == 1
    runner.run(page, write=True)
    assert page.read_text() == PAGE.replace("2.0", "3.0")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("ELBO -100.0 nats", "ELBO -109.0 nats", True),
        ("ELBO -100.0 nats", "ELBO -111.0 nats", False),
        ("ELBO  -99.9 nats", "ELBO -100.1 nats", True),
        ("0.01", "0.05", True),
        ("0.01", "-0.10", False),
        ("(16, 28, 28, 1)", "(16, 28, 28, 3)", False),
        ("True", "False", False),
    ],
)
def test_numbers_may_differ_a_little_and_words_not(expected, printed, same):
    assert (runner.differences(expected, printed) == []) is same


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "guides").glob("*.png")), ids=lambda path: path.stem)
def test_another_picture_is_found(tmp_path, monkeypatch, picture):
    shown = tmp_path / "docs"
    shown.mkdir()
    monkeypatch.chdir(tmp_path)
    (shown / "page.md").write_text("![a](a.png)")
    image = Image.open(picture).convert("RGB")
    image.save(shown / "a.png")

    def found(drawn):
        drawn.save("a.png")
        return runner.run(shown / "page.md")

    # As on another processor: a little lighter here and darker there.
    noise = np.random.default_rng(0).integers(-8, 9, (*image.size[::-1], 3))
    noisy = Image.fromarray(np.clip(np.asarray(image, int) + noise, 0, 255).astype(np.uint8))
    blank = Image.new("RGB", image.size, tuple(np.median(np.asarray(image), axis=(0, 1)).astype(int)))
    assert found(image) == found(noisy) == []
    assert "another picture" in found(blank)[0]
    assert "another picture" in found(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))[0]
    width, height = image.size
    assert f"({width}, {height}), and now ({width}, {height - 8})" in found(image.crop((0, 0, width, height - 8)))[0]


def test_the_reference_has_every_public_name():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    documented = set(re.findall(r"^::: ([\w.]+)$", text, re.M))
    # A room counts by what is in it; the public parts of these two have short names: `keras_vae.noise`.
    names = {f"keras_vae.{name}" for name in kv.__all__} - {"keras_vae.distributions", "keras_vae.integrations"}
    assert [name for name in names if not any(f"{found}.".startswith(f"{name}.") for found in documented)] == []
    assert {"keras_vae.measure.evaluate", "keras_vae.latent", "keras_vae.plotting", "export.exporter"} <= documented
    shown = {name.rpartition(".")[2] for name in documented}
    assert shown & {"ArrayModel", "check_data", "as_condition", "encode_batch"} == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "examples/README.md"])
def test_links_of_a_page_outside_of_the_site_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        assert (path.parent / name).exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", (path.parent / name).read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles}, target
