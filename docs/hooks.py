"""Brings README.md and its companions into the site, which so have one home: the root of the repository."""

import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {
    "readme.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
LINK = re.compile(r"(?<!!)\[([^]]+)\]\(([^)#]+)\)")
INDENT = re.compile(r"^  (?! )", re.M)


def adapted(text: str) -> str:
    """Returns the text of a page of the root as one of the site: links lead there, or become their text."""
    here = {source: page for page, source in PAGES.items()}

    def link(match):
        label, target = match.groups()
        if target.startswith("http"):
            return match[0]
        if target.startswith("docs/"):
            return f"[{label}]({target.removeprefix('docs/')})"
        return f"[{label}]({here[target]})" if target in here else label

    # Python-Markdown wants four spaces before what belongs to an item of a list, and an empty line after its code.
    text = INDENT.sub("    ", LINK.sub(link, text).replace("](docs/", "]("))
    return text.replace("    ```\n- ", "    ```\n\n- ")


def on_files(files, config):
    """Adds the pages to the files of the site."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=adapted(text)))
    return files
