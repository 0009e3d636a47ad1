"""Brings pages of the root and notebooks of the guides into the site, and fits pages of the repository into it."""

import importlib.util
import pathlib
import posixpath
import re

import nbformat
from mkdocs.structure.files import File

DOCS = pathlib.Path(__file__).resolve().parent
# Page of the site -> file in the root of the repository, its one home.
PAGES = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
LINK = re.compile(r"(!?\[[^]]+\])\(([^)#]+)\)")
INDENT = re.compile(r"^  (?! )", re.M)
_SPEC = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
notebooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(notebooks)


def on_config(config):
    """Puts the pages of docs that the navigation does not name at the end of its last section."""
    named = re.findall(r"[\w/]+\.md", str(config.nav))
    section = next(iter(config.nav[-1].values()))
    section.extend(sorted({path.name for path in DOCS.glob("*.md")}.difference(named)))
    return config


def on_files(files, config):
    """Adds the files of the root, and each guide as a notebook."""
    for page, source in PAGES.items():
        text = (DOCS.parent / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for guide in sorted(DOCS.glob("guides/*.md")):
        text = nbformat.writes(notebooks.notebook(guide))
        files.append(File.generated(config, f"guides/{guide.stem}.ipynb", content=text))
    return files


def on_page_markdown(markdown, page, **_):
    """Adapts the pages at the top of the site, which are read in the repository too, and links guides to notebooks."""
    uri = page.file.src_uri
    if uri.startswith("guides/"):
        title, _, rest = markdown.partition("\n")
        name = pathlib.PurePosixPath(uri).with_suffix(".ipynb").name
        return f"{title}\n\n[This page as a notebook]({name}), for Jupyter or Colab.\n{rest}"
    return markdown if "/" in uri else adapted(markdown, "" if uri in PAGES else "docs")


def adapted(text: str, folder: str) -> str:
    """Returns the text of a page in a folder of the repository as one at the top of the site.

    Links lead to the page of the site, or become their text where what they lead to is not part of it.
    """
    here = {source: page for page, source in PAGES.items()}

    def link(match):
        label, target = match.groups()
        if "://" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = here.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        return f"{label}({inside})" if inside else label[1:-1]

    # Python-Markdown wants four spaces before what belongs to an item of a list, and an empty line after its code.
    text = INDENT.sub("    ", LINK.sub(link, text))
    return text.replace("    ```\n- ", "    ```\n\n- ")
