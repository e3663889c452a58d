"""Which form an answer has."""

import pytest

from postroom.domain.errors import NotAcceptable
from postroom.http.accept import CSV, JSON, chosen

BOTH = (JSON, CSV)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        b"",
        b"*/*",
        b"application/json",
        b"APPLICATION/JSON",
        b"application/*",
        b"application/json, text/csv",
        b"text/csv, application/json",
        b"text/csv;q=0.5, */*",
        b"text/html,application/xhtml+xml,*/*;q=0.8",
        b"text/csv;q=0, */*;q=0.1",
        b"application/json;q=banana",
        b"application/json; charset=utf-8",
    ],
)
def test_json_unless_something_else_is_wanted_more(accept: bytes | None) -> None:
    """The first form is taken where others are not preferred to it."""
    assert chosen(accept, BOTH) == JSON
    assert chosen(accept, (JSON,)) == JSON


@pytest.mark.parametrize(
    "accept",
    [
        b"text/csv",
        b"Text/CSV; header=present",
        b"text/*",
        b"application/json;q=0.5, text/csv",
        b"text/csv , x",
    ],
)
def test_a_table_where_it_is_wanted(accept: bytes) -> None:
    """It goes by quality, and the most specific range that a form is in."""
    assert chosen(accept, BOTH) == CSV


@pytest.mark.parametrize(
    "accept", [b"text/html", b"application/json; q = 0", b"*/*;q=0.000", b"garbage", b"*/json"]
)
def test_neither(accept: bytes) -> None:
    """What excludes every form is refused with all that there are."""
    with pytest.raises(NotAcceptable, match="application/json or text/csv"):
        chosen(accept, BOTH)


def test_a_specific_range_comes_before_a_general_one() -> None:
    """Whoever excludes JSON by name does not get it for a wildcard's sake."""
    assert chosen(b"application/json;q=0, */*", BOTH) == CSV
    with pytest.raises(NotAcceptable, match=r"application/json$"):
        chosen(b"application/json;q=0, */*", (JSON,))
