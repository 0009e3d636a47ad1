"""Damaged files for the tests of the readers."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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
