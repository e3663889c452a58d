"""Tables that a spreadsheet reads."""

import csv
from io import StringIO

import pytest

from postroom.http.csv import record, table


def read(text: bytes) -> list[list[str]]:
    """As the standard library reads it."""
    return list(csv.reader(StringIO(text.decode(), newline=""), strict=True))


def test_columns_become_rows() -> None:
    """Names first; marks are words of JSON; lines end as in RFC 4180."""
    found = table(
        {"date": ["2020-08-01", "2020-08-02"], "sharing.totalFilesShared": [1, 0], "complete": [True, False]}
    )
    assert read(found) == [
        ["date", "sharing.totalFilesShared", "complete"],
        ["2020-08-01", "1", "true"],
        ["2020-08-02", "0", "false"],
    ]
    assert found.count(b"\r\n") == found.count(b"\n") == 3


@pytest.mark.parametrize("name", ["a,b", 'say "a"', '"', "a\r\nb", " a ", "é"])
def test_names_are_quoted_where_they_must_be(name: str) -> None:
    """A source may be called anything; what is read is its name."""
    assert read(table({"source": [name, "slack"], "value": [1, 2]})) == [
        ["source", "value"],
        [name, "1"],
        ["slack", "2"],
    ]


def test_a_record_is_one_row() -> None:
    """What is inside has the name of what it is in before its own; nothing is an empty cell."""
    found = record({"startDate": "2020-08-01", "peak": {"date": None, "value": 0}, "stickiness": 0.5})
    assert read(found) == [
        ["startDate", "peak.date", "peak.value", "stickiness"],
        ["2020-08-01", "", "0", "0.5"],
    ]
