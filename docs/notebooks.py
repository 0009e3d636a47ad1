"""Writes the guides as notebooks: `python docs/notebooks.py FOLDER`.

A notebook has the text and the code of its guide, and what the guide says that the code prints. Its first cell installs
the package. The site offers each beside its guide (docs/hooks.py).
"""

import argparse
import base64
import importlib.util
import pathlib
import re

import jupytext
import nbformat

HERE = pathlib.Path(__file__).resolve().parent
_SPEC = importlib.util.spec_from_file_location("run_guides", HERE / "run.py")
guides = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(guides)

INSTALL = """# The package is a folder (a checkout), a wheel that you uploaded, or a `git+https://` address.
PACKAGE = "."
%pip install --quiet {PACKAGE}"""
LINK = re.compile(r"(?<!!)\[([^]]+)\]\((?!https?:)([^)]+)\)")


def notebook(guide: pathlib.Path) -> nbformat.NotebookNode:
    """Returns a guide as a notebook: its `python` blocks are cells, and the `text` blocks after them their outputs."""
    text = guide.read_text(encoding="utf-8")
    outputs = [block["output"] for block in guides.BLOCK.finditer(text)]
    text = guides.BLOCK.sub(lambda block: f"```python\n{block['code']}```\n", text)
    # jupytext makes cells of commands too, which would run a training; as `console` they are text.
    text = LINK.sub(_link, re.sub(r"^```sh$", "```console", text, flags=re.M))
    book = jupytext.reads(text, fmt="md")
    for cell in book.cells:
        if cell.cell_type == "code":
            printed = outputs.pop(0)
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []
        else:
            _attach(cell, guide.parent)
    book.cells.insert(0, nbformat.v4.new_code_cell(INSTALL, id="install"))
    for number, cell in enumerate(book.cells[1:]):
        cell.id = f"cell-{number}"  # without it each writing draws other ids
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return book


def _link(match):
    """Leads to the notebook of another guide; a link to another page of the site becomes its text."""
    label, target = match.groups()
    return f"[{label}]({target[:-3]}.ipynb)" if re.fullmatch(r"\w+\.md", target) else label


def _attach(cell, folder):
    """Puts the pictures that a cell shows into it."""
    for name in re.findall(r"!\[[^]]*\]\(([\w./-]+\.png)\)", cell.source):
        path = folder / name
        picture = base64.b64encode(path.read_bytes()).decode()
        cell.setdefault("attachments", {})[path.name] = {"image/png": picture}
        cell.source = cell.source.replace(f"]({name})", f"](attachment:{path.name})")


def main() -> None:
    """Writes the notebooks of all guides."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for guide in sorted(guides.FOLDER.glob("*.md")):
        nbformat.write(notebook(guide), folder / f"{guide.stem}.ipynb")


if __name__ == "__main__":
    main()
