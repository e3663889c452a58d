"""Daily totals over HTTP: for clients of both kinds, in any range, and what is behind them."""

import ast
import csv
import json
from io import StringIO
from typing import Any, Final

import msgspec
import pytest

from postroom.domain.activity import Deletion
from tests.acceptance.chat import DAILY, MIB, READS, ROOT, Chat, day, said
from tests.acceptance.client import Answer
from tests.acceptance.client import Client as Http
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization

pytestmark = [pytest.mark.anyio, ON_BOTH]

NUMBERS: Final = (
    "dailyActiveUsers",
    "totalMessagesSent",
    "deskTopMessagesSent",
    "mobileMessagesSent",
    "totalActiveSpaces",
    "groupActiveSpaces",
    "one2oneActiveSpaces",
    "video",
    "sharing.totalFilesShared",
    "sharing.fileShareSize",
    "recording",
    "audio",
    "otherClientMessagesSent",
    "unknownClientMessagesSent",
    "sharing.filesOfUnknownSize",
)


# --- two kinds of clients ---


async def test_a_script_that_indexes_lists(chat: Chat) -> None:
    """It walks over the dates and takes each metric's entry of that day."""
    answer = await chat.http.get(f"{DAILY}?from={day(3)}&to={day(1)}")
    assert (answer["startDate"], answer["endDate"]) == (day(3), day(1))
    metrics = answer["metrics"]
    by_date = {date: n for n, date in enumerate(metrics["dates"])}
    assert list(by_date) == [day(3), day(2), day(1)]

    def values(name: str) -> list[int]:
        outer, _, inner = name.partition(".")
        found = metrics[outer][inner] if inner else metrics[outer]
        return [found[by_date[date]] for date in by_date]

    assert {name: values(name) for name in NUMBERS} == {
        "dailyActiveUsers": [3, 0, 1],
        "totalMessagesSent": [4, 0, 2],
        "deskTopMessagesSent": [1, 0, 2],
        "mobileMessagesSent": [1, 0, 0],
        "totalActiveSpaces": [3, 0, 1],
        "groupActiveSpaces": [2, 0, 1],
        "one2oneActiveSpaces": [1, 0, 0],
        "video": [1, 0, 0],
        "sharing.totalFilesShared": [3, 0, 0],
        "sharing.fileShareSize": [MIB, 0, 0],
        "recording": [0, 0, 1],
        "audio": [0, 0, 1],
        "otherClientMessagesSent": [1, 0, 0],
        "unknownClientMessagesSent": [1, 0, 0],
        "sharing.filesOfUnknownSize": [1, 0, 0],
    }
    assert metrics["complete"] == [True, False, True]


class StringSharing(msgspec.Struct):
    """As the published schema has it."""

    totalFilesShared: str  # noqa: N815
    fileShareSize: str  # noqa: N815


class StringMetrics(msgspec.Struct):
    """As the published schema has it: every list is a string."""

    dates: str
    dailyActiveUsers: str  # noqa: N815
    totalMessagesSent: str  # noqa: N815
    deskTopMessagesSent: str  # noqa: N815
    mobileMessagesSent: str  # noqa: N815
    totalActiveSpaces: str  # noqa: N815
    groupActiveSpaces: str  # noqa: N815
    one2oneActiveSpaces: str  # noqa: N815
    video: str
    sharing: StringSharing
    recording: str
    audio: str


class StringTotals(msgspec.Struct):
    """As the published schema has it."""

    startDate: str  # noqa: N815
    endDate: str  # noqa: N815
    metrics: StringMetrics


async def test_a_model_that_takes_only_strings(chat: Chat) -> None:
    """Every documented metric is one, written as the documents write it, and holds the same numbers."""
    span = f"from={day(3)}&to={day(1)}"
    raw = (await chat.http.call("GET", f"{DAILY}?{span}&encoding=string")).raw
    found = msgspec.json.decode(raw, type=StringTotals)
    assert found.metrics.dates == f"['{day(3)}', '{day(2)}', '{day(1)}']"
    assert found.metrics.totalMessagesSent == "[4, 0, 2]"
    assert found.metrics.sharing.fileShareSize == f"[{MIB}, 0, 0]"
    assert found.metrics.video == "[1, 0, 0]"
    lists = await chat.totals(span)
    strings = json.loads(raw)["metrics"]
    assert json.loads(strings.pop("complete")) == lists.pop("complete")
    assert read(strings) == lists
    assert list(strings) == list(lists)
    with pytest.raises(msgspec.ValidationError):  # lists are what such a model rejects
        msgspec.json.decode((await chat.http.call("GET", f"{DAILY}?{span}")).raw, type=StringTotals)


def read(strings: Any) -> Any:
    """The lists in the strings."""
    if isinstance(strings, dict):
        return {name: read(each) for name, each in strings.items()}
    return ast.literal_eval(strings)


async def test_the_request_decides_then_the_key_then_the_server(
    start: Make, organization: Organization
) -> None:
    """How lists are shown to a client that can send no parameter is set for its key, or for all."""
    server = start({"analytics_encoding": "string"})
    async with Http(server.url, organization.key) as http:
        assert await shown(http) is str
        assert await shown(http, "?encoding=array") is list
        made = (await http.post("/api_keys", name="lists", scopes=READS, encoding="array"))["api_key"]
        async with Http(server.url, made) as lists:
            assert await shown(lists) is list
            assert await shown(lists, "?encoding=string") is str
        found = next(k for k in (await http.get("/api_keys"))["api_keys"] if k["name"] == "lists")
        assert found["encoding"] == "array"
        async with Http(server.url, made) as changed:
            for encoding, kind in (("string", str), ("array", list), (None, str)):
                answer = await http.put(f"/api_keys/{found['id']}", encoding=encoding)
                assert answer["api_key"]["encoding"] == encoding
                assert await shown(changed) is kind


async def shown(http: Http, query: str = "") -> type:
    """What the answer's lists are."""
    metrics = (await http.get(f"{DAILY}{query}"))["metrics"]
    (kind,) = {type(each) for each in (*metrics.values(), *metrics["sharing"].values())} - {dict}
    return kind


# --- ranges and rules ---


async def test_ranges(chat: Chat) -> None:
    """Dates and times, with the documented defaults; never later than yesterday."""
    for query, dates in (
        ("", [1]),
        (f"to={day(3)}", [3]),
        (f"from={day(2)}", [2, 1]),
        (f"from={day(2)}&to={day(2)}", [2]),
        (f"from={day(2)}&to={day(-400)}", [2, 1]),
        (f"to={day(0)}", [1]),
        (f"from={day(3)}T00:00:00.000Z&to={day(3)}T23:59:59.999Z", [3]),
        (f"from={day(3)}T22:00:00-03:00&to={day(1)}T01:00:00%2B02:00", [2]),
        (f"from={day(2)}T01:00:00+02:00&to={day(2)}", [3, 2]),
        (f"from={day(2)}&until={day(2)}", [2, 1]),
    ):
        assert (await chat.totals(query))["dates"] == [day(back) for back in dates], query


async def test_rules_are_chosen(chat: Chat) -> None:
    """Bots, what was deleted, and one source; what the platform says itself is never counted."""
    span = f"from={day(3)}&to={day(1)}"
    for query, messages in (
        ("", [4, 0, 2]),
        ("&bots=include", [5, 0, 2]),
        ("&bots=exclude&deleted=include", [4, 0, 2]),
        ("&deleted=exclude", [4, 0, 1]),
        ("&source=zulip", [1, 0, 0]),
        ("&source=slack&bots=include&deleted=exclude", [4, 0, 1]),
    ):
        assert (await chat.totals(span + query))["totalMessagesSent"] == messages, query


async def test_late_facts_change_what_was_answered(chat: Chat) -> None:
    """The next answer has them, wherever they were taken in; also a day that was long answered as zero."""
    span = f"from={day(3)}&to={day(1)}"
    for expected in ([4, 0, 2], [4, 0, 2], [4, 1, 2]):
        if expected[1]:
            await chat.take(said(100, 2))
        assert (await chat.totals(span))["totalMessagesSent"] == expected
    await chat.take(Deletion("slack", "m100"))
    assert (await chat.totals(span + "&deleted=exclude"))["totalMessagesSent"] == [4, 0, 1]


async def test_other_organizations_are_not_counted(chat: Chat, client: Http) -> None:
    """Nor are their sources known."""
    assert (await client.get(DAILY))["metrics"]["totalMessagesSent"] == [0]
    assert "no activity" in (await client.call("GET", f"{DAILY}?source=slack")).problem(400)


# --- summary, explanation, tables ---


async def test_a_summary(chat: Chat) -> None:
    """People and spaces are counted once; the averages are over all days of the range."""
    answer = await chat.http.get(f"{ROOT}/summary?from={day(3)}")
    assert (answer["startDate"], answer["endDate"]) == (day(3), day(1))
    assert answer["summary"] == {
        "activeUsers": 4,
        "averageDailyActiveUsers": 1.3333,
        "stickiness": 0.3333,
        "totalMessagesSent": 6,
        "activeSpaces": 3,
        "groupActiveSpaces": 2,
        "one2oneActiveSpaces": 1,
        "totalFilesShared": 3,
        "fileShareSize": MIB,
        "filesOfUnknownSize": 1,
        "peakMessages": {"date": day(3), "value": 4},
        "peakActiveUsers": {"date": day(3), "value": 3},
        "complete": False,
    }
    nothing = (await chat.http.get(f"{ROOT}/summary?to={day(2)}"))["summary"]
    assert nothing["peakMessages"] == nothing["peakActiveUsers"] == {"date": None, "value": 0}


async def test_an_explanation(chat: Chat) -> None:
    """The number by source, and what each rule left out of it."""
    answer = await chat.http.get(f"{ROOT}/explain?date={day(3)}&metric=totalMessagesSent")
    left = {"deleted": 0, "bots": 0, "system": 0}
    assert answer == {
        "date": day(3),
        "metric": "totalMessagesSent",
        "value": 4,
        "sources": [
            {"source": "slack", "value": 3, "leftOut": left | {"bots": 1, "system": 1}, "duplicates": 0},
            {"source": "zulip", "value": 1, "leftOut": left, "duplicates": 0},
        ],
        "complete": True,
    }
    answer = await chat.http.get(f"{ROOT}/explain?date={day(1)}&metric=audio&deleted=exclude")
    assert answer["value"] == 1
    answer = await chat.http.get(f"{ROOT}/explain?deleted=exclude&source=slack")
    (behind,) = answer["sources"]
    assert behind == {"source": "slack", "value": 1, "leftOut": left | {"deleted": 1}, "duplicates": 1}


async def test_tables(chat: Chat) -> None:
    """As CSV for who prefers it: the JSON's names, one row for each day, the same values."""
    span = f"from={day(3)}&to={day(1)}"
    header, *rows = table(await chat.http.call("GET", f"{DAILY}?{span}", headers={"Accept": "text/csv"}))
    assert header == ["date", *NUMBERS, "complete"]
    lists = await chat.totals(span)
    flat = {**lists, **{f"sharing.{name}": each for name, each in lists["sharing"].items()}}
    columns = [lists["dates"], *(flat[name] for name in NUMBERS), lists["complete"]]
    words = {True: "true", False: "false"}
    expected = [
        [words.get(v) if isinstance(v, bool) else str(v) for v in row] for row in zip(*columns, strict=True)
    ]
    assert rows == expected
    header, row = table(await chat.http.call("GET", f"{ROOT}/summary?{span}", headers={"Accept": "text/csv"}))
    found = dict(zip(header, row, strict=True))
    assert (found["startDate"], found["activeUsers"], found["peakMessages.date"]) == (day(3), "4", day(3))


async def test_a_table_of_an_explanation(chat: Chat) -> None:
    """A row for each source, with the JSON's names and values; names of sources may have commas."""
    asked = f"{ROOT}/explain?date={day(3)}"
    await chat.take(msgspec.structs.replace(said(200, 3), source='a, "b"'))
    answer = await chat.http.get(asked)
    header, *rows = table(await chat.http.call("GET", asked, headers={"Accept": "text/csv"}))
    left = ("deleted", "bots", "system")
    assert header == [
        "date", "metric", "source", "value", *(f"leftOut.{name}" for name in left), "duplicates", "complete",
    ]  # fmt: skip
    assert len(rows) == len(answer["sources"]) == 3
    assert rows == [
        [
            day(3), "totalMessagesSent", each["source"], str(each["value"]),
            *(str(each["leftOut"][name]) for name in left), str(each["duplicates"]),
            "true" if answer["complete"] else "false",
        ]
        for each in answer["sources"]
    ]  # fmt: skip
    nothing = await chat.http.call("GET", f"{ROOT}/explain?date=2001-01-01", headers={"Accept": "text/csv"})
    assert table(nothing) == [header]


def table(answer: Answer) -> list[list[str]]:
    """The rows of an answer that must be CSV."""
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv")
    return list(csv.reader(StringIO(answer.raw.decode(), newline=""), strict=True))


# --- how it is asked ---


async def test_with_and_without_the_prefix_by_either_header(chat: Chat) -> None:
    """`/v1` may be left out, a key sent as a bearer token; HEAD and `pretty` work as everywhere."""
    bearer = {"Authorization": f"Bearer {chat.http.key}"}
    plain = (await chat.http.raw("GET", DAILY, bearer)).ok()
    assert plain == (await chat.http.raw("GET", DAILY.removeprefix("/v1"), bearer)).ok()
    head = await chat.http.raw("HEAD", DAILY, bearer)
    assert (head.status, head.raw) == (200, b"")
    indented = await chat.http.raw("GET", f"{DAILY}?pretty", bearer)
    assert indented.ok() == plain
    assert indented.raw.startswith(b'{\n  "startDate"')


async def test_each_request_has_an_id(chat: Chat) -> None:
    """In the header of every answer, also of one that was given before."""
    answers = [await chat.http.call("GET", DAILY) for _ in range(3)]
    answers += [await chat.http.call("GET", f"{DAILY}?from=x") for _ in range(2)]
    assert len({answer.headers["trackingId"] for answer in answers}) == 5
