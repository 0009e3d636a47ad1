"""The table of faults names tests that exist."""

import ast
import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parents[1]
TEXT = (TESTS.parent / "docs" / "robustness.md").read_text(encoding="utf-8")


def test_every_fault_names_a_test_that_exists():
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT)
    assert len(named) > 40
    known = {
        (path.name, node.name)
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert set(named) - known == set()
    rows = [
        line for line in TEXT.split("## Fuzzed files")[0].splitlines() if re.match(r"\| (?!---|fault|in the)", line)
    ]
    assert [line for line in rows if "::test_" not in line and not line.endswith("| the same |")] == []


def test_the_fuzzed_files_are_those_of_the_command():
    import fuzz_loaders

    rows = re.findall(r"^\| ([\w .]+) \| (\d+) \| (\d+) \| (\d+) \| 0 \|", TEXT, re.MULTILINE)
    assert tuple(row[0] for row in rows) == fuzz_loaders.KINDS
    assert all(int(count) == int(refused) + int(read) for _, count, refused, read in rows)
