"""Runs the guides: `python docs/run.py [--write] [NAME ...]`, all of docs/guides and README.md without a name.

A guide is a Markdown page whose blocks marked `python` are one program, run from top to bottom in an empty folder. A
block marked `text` right after one of them is what that one prints, and a picture that the page shows is a file that
the program writes. A run is held against both; `--write` writes them instead. Blocks with other marks are only shown.
"""

import argparse
import contextlib
import io
import os
import pathlib
import re
import shutil
import tempfile
import time

import numpy as np
from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parent / "guides"
GUIDES = [*sorted(FOLDER.glob("*.md")), FOLDER.parent.parent / "README.md"]
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.M | re.S)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
PICTURE = re.compile(r"!\[[^]]*\]\(([\w-]+\.png)\)")


def differences(expected: str, printed: str) -> list[str]:
    """Returns the lines in which two outputs differ.

    Integers and words must be equal. Numbers with a decimal point may be 10% or 0.05 apart: training on another
    processor rounds otherwise.
    """
    pairs = list(zip(expected.splitlines(), printed.splitlines(), strict=False))
    wrong = [f"expected {a!r}, printed {b!r}" for a, b in pairs if not _same(a, b)]
    if len(expected.splitlines()) != len(printed.splitlines()):
        wrong.append(f"expected {len(expected.splitlines())} lines, printed {printed!r}")
    return wrong


def _same(a, b):
    # Columns are as wide as their numbers: runs of spaces count as one.
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (a, b)]
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=False)
    return words[0] == words[1] and all(
        abs(float(x) - float(y)) <= max(0.05, 0.1 * abs(float(x))) if "." in x else x == y for x, y in pairs
    )


def run(guide: pathlib.Path, write: bool = False) -> list[str]:
    """Runs one guide in the current folder, which must be empty; returns what is not as the page says."""
    text, wrong, end, page = guide.read_text(encoding="utf-8"), [], 0, []
    scope = {"__name__": guide.stem}
    for block in BLOCK.finditer(text):
        printed = io.StringIO()
        line = text.count("\n", 0, block.start("code"))
        # With the lines before it empty, errors and TensorFlow find the code where it stands in the page.
        code = compile("\n" * line + block["code"], str(guide), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        wrong += [
            f"{guide.name}:{line + 1}: {found}" for found in differences(block["output"] or "", printed.getvalue())
        ]
        output = f"\n```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
        page += [text[end : block.start()], f"```python\n{block['code']}```\n{output}"]
        end = block.end()
    pictures = PICTURE.findall(text)
    if write:
        guide.write_text("".join([*page, text[end:]]), encoding="utf-8")
        for name in pictures:
            shutil.copyfile(name, guide.parent / name)
        return []
    return wrong + [problem for name in pictures for problem in _other_picture(pathlib.Path(name), guide.parent / name)]


def _other_picture(drawn, shown):
    """Returns in what a drawn picture is not the one that is shown; empty if it is."""
    missing = [path for path in (drawn, shown) if not path.is_file()]
    if missing:
        return [f"there is no picture {missing[0]}"]
    images = [Image.open(path).convert("L") for path in (drawn, shown)]
    if images[0].size != images[1].size:
        return [f"{shown.name} has size {images[1].size}, and now {images[0].size}"]
    # Means of 8x8 pixels, and their distance as a part of the ink of the shown picture: lines on white have little.
    a, b = (np.asarray(image.reduce(8), np.float32) / 255 for image in images)
    distance, ink = np.abs(a - b).mean(), np.abs(b - np.median(b)).mean()
    if distance > 0.4 * ink + 0.005:
        return [f"{shown.name} is another picture than what is drawn now: {distance:.3f} apart, with ink of {ink:.3f}"]
    return []


def main() -> None:
    """Runs the guides that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    known = {guide.stem: guide for guide in GUIDES}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--write", action="store_true", help="write what is printed and drawn into the pages")
    options = parser.parse_args()
    failed = []
    for guide in [known[name] for name in options.names] or GUIDES:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            wrong = run(guide, options.write)
        print(f"{guide.name}: {time.perf_counter() - start:.0f} s", *wrong, sep="\n  ")
        failed += wrong
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
