"""What the signatures of public functions say of their types."""

import ast

import pytest
from helpers import ROOT

FILES = [*ROOT.glob("keras_vae/**/*.py"), *ROOT.glob("export/**/*.py"), ROOT / "train.py"]


def public_functions(body, in_class=False):
    """Yields (function, whether its first argument is the object or class) for the public functions of a module."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, in_class=True)
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name.startswith("__")):
            is_static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
            yield node, in_class and not is_static


def arguments(function, is_bound):
    """Returns the arguments of a function without `self` and `cls`, `*args` and `**kwargs` included."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    return [*positional[is_bound:], *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]


def unannotated(source):
    """Returns how many public arguments and returns a source has, and the names of those without annotation."""
    count, missing = 0, []
    for function, is_bound in public_functions(ast.parse(source).body):
        found = {argument.arg: argument.annotation for argument in arguments(function, is_bound)}
        found["the value it returns"] = function.returns
        count += len(found)
        missing += [f"{function.name}: {name}" for name, annotation in found.items() if annotation is None]
    return count, missing


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x, *, y: int = 0) -> None: ...", (3, ["f: x"])),
        ("class A:\n    def f(self, x: int, **kwargs): ...", (3, ["f: kwargs", "f: the value it returns"])),
        ("class A:\n    def __init__(self): ...", (1, ["__init__: the value it returns"])),
        ("class A:\n    @staticmethod\n    def f(x) -> int: ...", (2, ["f: x"])),
        ("def _f(x): ...\nclass _A:\n    def f(self, x): ...", (0, [])),
    ],
)
def test_the_search_finds_what_is_not_annotated(source, expected):
    assert unannotated(source) == expected


def test_all_public_arguments_and_returns_are_annotated():
    found = {str(path.relative_to(ROOT)): unannotated(path.read_text(encoding="utf-8")) for path in FILES}
    assert sum(count for count, _ in found.values()) > 1000
    missing = [f"{path}, {name}" for path, (_, names) in found.items() for name in names]
    # At least 90% is what the project promises; all of them is what it has.
    assert missing == []
