"""Damaged files for the tests of the readers."""

import functools
import json
import operator
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Of tests that load a whole model; FUZZ_EXAMPLES=1000 for a thorough search.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
# The same examples in every run; a slow machine is no failure.
FUZZ = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damaged(draw, content: bytes):
    """Draws what may become of a file: cut off, with other bytes in some places, or with bytes put in."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["cut", "change", "insert"]))
        # Mostly near the start, where the headers are.
        place = draw(st.integers(0, min(len(content), 128)) | st.integers(0, len(content)))
        if kind == "cut":
            del content[place:]
        elif kind == "change":
            new = draw(st.binary(min_size=1, max_size=8))
            content[place : place + len(new)] = new
        else:
            content[place:place] = draw(st.binary(min_size=1, max_size=40))
    return bytes(content)


def outcome(read, *arguments):
    """Returns what a reader returns and None, or None and the text of its `ValueError`: nothing else may be raised."""
    try:
        return read(*arguments), None
    except ValueError as error:
        return None, str(error)


# What a number, a name or a part of a configuration may be turned into.
HOSTILE = (None, True, -1, 0, 1.5, 10**9, 2**31, 10**30, "", "x", "../../x", "__lambda__", [], [10**9], {}, 1e308, [[]])


def places(tree, at=()):
    """Returns the path to everything inside a JSON value, keys and indices."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in items for place in ((*at, key), *places(value, (*at, key)))]


def replaced(tree, place, value):
    """Returns a JSON value with another one at a place; `...` takes away what is there."""
    tree = json.loads(json.dumps(tree))
    parent = functools.reduce(operator.getitem, place[:-1], tree)
    if value is ...:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return tree


@st.composite
def altered(draw, tree):
    """Draws what may become of a JSON value: parts of it changed, gone, or put elsewhere."""
    for _ in range(draw(st.integers(1, 2))):
        if not (where := places(tree)):
            return tree
        place, other = (draw(st.sampled_from(where)) for _ in range(2))
        part = functools.reduce(operator.getitem, other, tree)
        tree = replaced(tree, place, draw(st.sampled_from([..., part, *HOSTILE]) | st.integers() | st.text()))
    return tree
