"""Our own format: strict, with complaints that say what to mend, and where."""

import gzip
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.activity import LATEST, Activity, Client, Damaged, Deletion
from postroom.sources.ndjson import LONGEST_LINE, Rejected, numbered
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import activities, damaged, folder, lines, only, records, text, zipped
from tests.sources.samples import AT

ACTIVITY = samples.ndjson_activity("m1")
SENT = Activity("acme", "m1", AT, "p1", "s1", False)

IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
ACTIVITIES = st.builds(
    Activity,
    source=st.text("abc", min_size=1, max_size=5),
    message_id=IDS,
    at=st.integers(631_152_000_000, LATEST - 1),
    person=IDS,
    space=IDS,
    direct=st.booleans(),
    client=st.sampled_from(Client),
    files=st.just(3),
    file_bytes=st.integers(0, 1 << 42),
    files_of_unknown_size=st.integers(0, 2),
    video=st.booleans(),
    audio=st.booleans(),
    recording=st.booleans(),
    by_bot=st.booleans(),
    system=st.booleans(),
)


def told(data: bytes, by_line: bool = False) -> list[Activity | Deletion | Rejected]:
    """What text in this format says, for the source acme."""
    return list(numbered(io.BytesIO(data).read, "acme", by_line=by_line))


def test_what_is_required() -> None:
    """An activity needs an id, a time, a person, a space and its kind; its source may be that of all."""
    assert told(lines(ACTIVITY)) == [SENT]


def test_everything_that_an_activity_can_say() -> None:
    """Every field of an activity is one of a line."""
    more = {
        "source": "zulip",
        "client": "mobile",
        "files": 3,
        "file_bytes": 5,
        "files_of_unknown_size": 1,
        **dict.fromkeys(("direct", "video", "audio", "recording", "by_bot", "system"), True),
    }
    expected = Activity(
        "zulip", "m1", AT, "p1", "s1", True, Client.MOBILE, 3, 5, 1, True, True, True, True, True
    )
    assert told(lines({**ACTIVITY, **more})) == [expected]


@given(st.lists(ACTIVITIES, max_size=5), st.booleans())
def test_the_json_of_an_activity_is_that_activity(sent: list[Activity], array: bool) -> None:
    """An object with the fields of an activity says the same when it is read, by line and in an array."""
    objects = [msgspec.structs.asdict(one) for one in sent]
    data = msgspec.json.encode(objects) if array else b"\n".join(map(msgspec.json.encode, objects))
    assert told(data) == sent


@pytest.mark.parametrize("name", ["desktop", "mobile", "other", "unknown"])
def test_clients(name: str) -> None:
    """A client has a name, or its number."""
    by_number = Client[name.upper()].value
    assert told(lines({**ACTIVITY, "client": name})) == told(lines({**ACTIVITY, "client": by_number}))


def test_deletions() -> None:
    """A line may say that a message was deleted, and when; or tell one that was sent, and deleted."""
    data = lines(
        ACTIVITY,
        {"deleted": True, "message_id": "m1"},
        {"message_id": "m2", "deleted": True, "at": AT, "source": "zulip"},
        {**ACTIVITY, "deleted": True},
        {**ACTIVITY, "deleted": False},
    )
    deleted = [Deletion("acme", "m1"), Deletion("zulip", "m2", AT), Deletion("acme", "m1", sent=SENT)]
    assert told(data) == [SENT, *deleted, SENT]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"at": "now"}, "Expected `int`, got `str` - at `$.at`"),
        ({"at": 1_700_000_000}, "Expected `int` >= 631152000000 - at `$.at`"),
        ({"at": 1_700_000_000_000_000}, "Expected `int` <= 4102444799999 - at `$.at`"),
        ({"at": 1_700_000_000_000.5}, "Expected `int`, got `float` - at `$.at`"),
        ({"direct": 1}, "Expected `bool`, got `int` - at `$.direct`"),
        ({"person": ""}, "Expected `str` of length >= 1 - at `$.person`"),
        ({"person": None}, "Expected `str`, got `null` - at `$.person`"),
        ({"space": "x" * 1001}, "Expected `str` of length <= 1000 - at `$.space`"),
        ({"client": "phone"}, "Invalid enum value 'phone' - at `$.client`"),
        ({"client": 4}, "Invalid enum value 4 - at `$.client`"),
        ({"files": -1}, "Expected `int` >= 0 - at `$.files`"),
        ({"files": 10**30}, "Expected `int` <= 10000 - at `$.files`"),
        ({"file_size": 1}, "Object contains unknown field `file_size`"),
        ({"files": 1, "files_of_unknown_size": 2}, "files_of_unknown_size must not be more than files"),
        ({"source": " a "}, "source: must not be empty, or begin or end with space"),
        ({"source": "a\0b"}, "source: must not contain control characters"),
        ({"deleted": True, "source": "a\nb"}, "source: must not contain control characters"),
        ({"file_bytes": 1}, "file_bytes must be 0 without files of known size"),
        (
            {"files": 1, "files_of_unknown_size": 1, "file_bytes": 1},
            "file_bytes must be 0 without files of known size",
        ),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_complaints(change: dict[str, Any], detail: str, array: bool) -> None:
    """A line that is wrong is told with what is wrong; those around it are taken."""
    rows = [ACTIVITY, {**ACTIVITY, **change}, ACTIVITY]
    assert told(text(rows) if array else lines(*rows)) == [SENT, Rejected(2, detail), SENT]


@pytest.mark.parametrize("key", ["message_id", "at", "person", "space", "direct"])
def test_what_is_missing(key: str) -> None:
    """A complaint names the field that is missing."""
    short = {name: value for name, value in ACTIVITY.items() if name != key}
    assert told(lines(short)) == [Rejected(1, f"Object missing required field `{key}`")]


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b"{", "is not JSON"),
        (b"hello", "is not JSON"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b'{"message_id": "\xff"}', "is not text in UTF-8"),
        (b'{"x":' + b"[" * 50_000, "Object contains unknown field `x`"),
        (b'{"deleted": true}', "Object missing required field `message_id`"),
        (b'{"deleted": true, "message_id": "m", "x": 1}', "Object contains unknown field `x`"),
        (b'{"message_id":"' + b"x" * LONGEST_LINE + b'"}', "is longer than 1048576 bytes"),
    ],
)
def test_lines_that_are_no_activity(line: bytes, detail: str) -> None:
    """Lines are numbered from 1 on, also empty ones, and a bad line spoils no other."""
    data = b"\xef\xbb\xbf" + lines(ACTIVITY) + b"\r\n \n" + line + b"\n" + lines(ACTIVITY)
    assert told(data) == [SENT, Rejected(4, detail), SENT]


@pytest.mark.parametrize("line", [b"[]", b"[1, 2]", b"[{", b'["'])
def test_lines_are_never_an_array(line: bytes) -> None:
    """Where it is said that there are lines, one that begins an array is a bad one like others."""
    bad, *good = told(line + b"\n" + lines(ACTIVITY), by_line=True)
    assert isinstance(bad, Rejected)
    assert bad.line == 1
    assert good == [SENT]


@pytest.mark.parametrize("more", [lines(ACTIVITY), b"]", text([ACTIVITY])])
def test_what_stands_behind_an_array(more: bytes) -> None:
    """Nothing is left out without a word."""
    assert told(text([ACTIVITY]) + b"\n") == [SENT]
    complaint = Rejected(2, "stands behind the end of the list; the rest was left out")
    assert told(text([ACTIVITY]) + more) == [SENT, complaint]


def test_a_last_line_without_its_end() -> None:
    """The last line need not end."""
    assert told(lines(ACTIVITY)[:-1]) == [SENT]


def test_nothing() -> None:
    """No text says nothing."""
    assert told(b"") == told(b"\n\n") == told(b"[]") == []


def test_files_as_they_come(tmp_path: Path) -> None:
    """A file, also gzipped, and all files of an archive are read."""
    data = lines(ACTIVITY)
    packed = folder(tmp_path, {"a": gzip.compress(data)}) / "a"
    assert only(records("ndjson", packed)).source == "ndjson"
    several = zipped(tmp_path / "a.zip", {"1.ndjson": data, "2.jsonl": data, "3.json": text([ACTIVITY])})
    assert len(activities(records("ndjson", several))) == 3


def test_places_of_damage(tmp_path: Path) -> None:
    """In an import, a bad line is told with its file."""
    path = folder(tmp_path, {"a.ndjson": lines(ACTIVITY, 1)})
    assert damaged(records("ndjson", path)) == [Damaged("a.ndjson: line 2", "Expected `object`, got `int`")]


def many(count: int) -> list[dict[str, Any]]:
    """Activities whose lines do not pack to almost nothing."""
    return [
        samples.ndjson_activity(f"m{number}") | {"space": f"{number * 2654435761 % 2**32:x}"}
        for number in range(count)
    ]


def test_a_gzip_that_ends_too_early(tmp_path: Path) -> None:
    """All lines that can be unpacked are taken, however short it is; the damage is told with its place."""
    for count in (50, 20_000):
        packed = gzip.compress(lines(*many(count)))
        path = folder(tmp_path / str(count), {"a.ndjson.gz": packed[: len(packed) // 2]}) / "a.ndjson.gz"
        *found, last = records("ndjson", path)
        assert count // 4 < len(found) < count
        assert [sent.message_id for sent in activities(found)] == [f"m{at}" for at in range(len(found))]
        place = f"ends too early after line {len(found)}"
        assert last == Damaged("a.ndjson", f"{place}; the rest was left out")


@pytest.mark.parametrize("form", [lambda rows: lines(*rows), lambda rows: lines(*rows)[:-1], text])
@pytest.mark.parametrize(
    ("end", "detail"), [(b"", "ends too early"), (b"x" * 8, "is damaged and cannot be unpacked any further")]
)
def test_a_gzip_without_its_end(form: Any, end: bytes, detail: str, tmp_path: Path) -> None:
    """Where only the eight bytes behind the data are missing or wrong, nothing is lost, and that is told."""
    packed = gzip.compress(form(many(3000)))[:-8] + end
    *found, last = records("ndjson", folder(tmp_path, {"a.json.gz": packed}))
    assert len(activities(found)) == len(found) == 3000
    where = "" if form is text else " after line 3000"
    assert last == Damaged("a.json", f"{detail}{where}; the rest was left out")


def test_a_damaged_gzip_of_something_else(tmp_path: Path) -> None:
    """It is refused, and the sentence says that it is damaged."""
    for number, data in enumerate((b"hello " * 100, lines(*[{"id": 1}] * 100), b"")):
        path = folder(tmp_path / str(number), {"a.ndjson.gz": gzip.compress(data)[:-9]})
        with pytest.raises(Refused, match=r"It is damaged.*ends too early.*lines of JSON"):
            records("ndjson", path)


def test_what_is_not_our_format(tmp_path: Path) -> None:
    """Other JSON is refused."""
    for number, data in enumerate((b"", b"[]", b"{}", lines({"id": 1}))):
        with pytest.raises(Refused, match="lines of JSON"):
            records("ndjson", folder(tmp_path / str(number), {"a.ndjson": data}))
