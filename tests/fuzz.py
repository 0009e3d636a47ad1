"""Damaged files for the tests of the readers."""

import functools
import json
import operator
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Tests that load a whole model try this many examples. FUZZ_EXAMPLES=1000 makes a thorough search.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
# Every run tries the same examples, and has no deadline, so that a slow machine does not fail.
FUZZ = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damaged(draw, content: bytes):
    """Draws a damaged copy of a file: cut off, with bytes changed in some places, or with bytes inserted."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["cut", "change", "insert"]))
        # Most of the damage is near the start, where the headers are.
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
    """Returns the result of a reader and None, or None and the text of its `ValueError`; no other error may come."""
    try:
        return read(*arguments), None
    except ValueError as error:
        return None, str(error)


# A number, a name or a part of a configuration is replaced by one of these.
HOSTILE = (None, True, -1, 0, 1.5, 10**9, 2**31, 10**30, "", "x", "../../x", "__lambda__", [], [10**9], {}, 1e308, [[]])


def places(tree, at=()):
    """Returns the paths, made of keys and indices, to everything inside a JSON value."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in items for place in ((*at, key), *places(value, (*at, key)))]


def replaced(tree, place, value):
    """Returns a JSON value with another value at a place; `...` removes the old value."""
    tree = json.loads(json.dumps(tree))
    parent = functools.reduce(operator.getitem, place[:-1], tree)
    if value is ...:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return tree


@st.composite
def altered(draw, tree):
    """Draws a damaged copy of a JSON value: parts of it are changed, removed or moved."""
    for _ in range(draw(st.integers(1, 2))):
        if not (where := places(tree)):
            return tree
        place, other = (draw(st.sampled_from(where)) for _ in range(2))
        part = functools.reduce(operator.getitem, other, tree)
        tree = replaced(tree, place, draw(st.sampled_from([..., part, *HOSTILE]) | st.integers() | st.text()))
    return tree
