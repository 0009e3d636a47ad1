"""The notebooks of the site are valid, and hold the code of the guides."""

import importlib.util
import re

import pytest
from helpers import ROOT

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupytext")

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
SPEC = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
notebooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(notebooks)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_has_the_code_of_its_guide(guide):
    book = notebooks.notebook(guide)
    nbformat.validate(nbformat.reads(nbformat.writes(book), as_version=4))
    first, *cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert "%pip install" in first.source
    blocks = re.findall(r"^```python\n(.*?)^```$", guide.read_text(encoding="utf-8"), re.M | re.S)
    assert [cell.source for cell in cells] == [block.strip("\n") for block in blocks]
    assert len(blocks) > 3


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_notebook_stands_alone(guide):
    book = notebooks.notebook(guide)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            targets = re.findall(r"\]\(([^)]+)\)", cell.source)
            assert all(re.match(r"https?://|attachment:|\w+\.ipynb$", target) for target in targets), targets
            attached = {target.removeprefix("attachment:") for target in targets if target.startswith("attachment:")}
            assert attached == set(cell.get("attachments", {}))


def test_what_a_guide_prints_is_the_output_of_the_cell(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\nText.\n\n```sh\ntrain\n```\n")
    _, title, cell, text = notebooks.notebook(page).cells
    assert title.source == "# A page"
    assert [output.text for output in cell.outputs] == ["1\n"]
    assert "```console\ntrain\n```" in text.source
