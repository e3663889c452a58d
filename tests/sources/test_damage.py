"""Whatever is wrong with an export, its reader says so and goes on; nothing else is ever raised."""

import gzip
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.domain.activity import Activity, Damaged, Deletion, Record, Skipped
from postroom.sources.records import ENOUGH_LOOKED_AT, LOOKED_AT, MOST_LOOKED_AT
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import activities, damaged, folder, packed, records, tarred, text, zipped
from tests.sources.samples import AT, SAMPLES

PLATFORMS = pytest.mark.parametrize("platform", SAMPLES)
SIZES = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
CHANGES = st.tuples(
    st.sampled_from(["replace", "insert", "cut", "truncate"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=6)
    | st.sampled_from([b'"', b"{", b"}", b"[", b"]", b"\n", b"\\", b"null", b"9" * 400]),
)


def changed(data: bytes, change: tuple[str, float, bytes]) -> bytes:
    """The data with something wrong at a place in it, which is given as a part of its length."""
    how, where, junk = change
    at = int(where * len(data))
    match how:
        case "replace":
            return data[:at] + junk + data[at + len(junk) :]
        case "insert":
            return data[:at] + junk + data[at:]
        case "cut":
            return data[:at] + data[at + 30 :]
        case _:
            return data[:at]


def read(platform: str, path: Path) -> list[Record]:
    """What the reader tells; nothing when it refuses the export."""
    try:
        found = records(platform, path)
    except Refused:
        return []
    assert {type(record) for record in found} <= {Activity, Deletion, Skipped, Damaged}
    return found


@PLATFORMS
def test_every_packing_reads_alike(platform: str, tmp_path: Path) -> None:
    """A folder, a zip, a tar and gzipped files tell the same records in the same order, without damage."""
    told = {way: records(platform, path) for way, path in packed(tmp_path, SAMPLES[platform]()).items()}
    assert not damaged(told["folder"])
    assert told["folder"]
    assert {way for way, found in told.items() if found != told["folder"]} == set()


@PLATFORMS
@SIZES
@given(data=st.data())
def test_damage_in_a_file(platform: str, data: st.DataObject) -> None:
    """Damage anywhere in a member costs what it hits: the reader raises nothing, or refuses the whole."""
    files = dict(SAMPLES[platform]())
    name = data.draw(st.sampled_from(sorted(files)))
    files[name] = changed(files[name], data.draw(CHANGES))
    with tempfile.TemporaryDirectory() as place:
        read(platform, folder(Path(place), files))


@PLATFORMS
@SIZES
@given(change=CHANGES, tar=st.booleans())
def test_damage_in_an_archive(platform: str, change: tuple[str, float, bytes], tar: bool) -> None:
    """Damage anywhere in a zip or a packed tar raises nothing, or the whole is refused."""
    files = SAMPLES[platform]()
    with tempfile.TemporaryDirectory() as place:
        path = tarred(Path(place, "a.tar.gz"), files) if tar else zipped(Path(place, "a.zip"), files)
        path.write_bytes(changed(path.read_bytes(), change))
        read(platform, path)


HITS = {
    "slack": ("general/2023-11-14.json", b'"hello"', "record 1"),
    "zulip": ("messages-000001.json", b'"text"', "record 1"),
    "mattermost": ("import.jsonl", b'"hello"', "line 3"),
    "rocketchat": ("rocketchat_message.json", b'"hello"', "line 1"),
    "teams": ("teams/t1/messages_t1.json", b'"html"', ""),
    "webex": ("space.json", b'"hello"', "record 1"),
    "matrix": ("export.json", b'"hello"', "record 1"),
    "discord": ("Guild - general [1].json", b'"hello"', "record 1"),
    "telegram": ("result.json", b'"hello "', "chat 1: record 1"),
    "ndjson": ("activities.ndjson", b'"p1"', "line 1"),
}


@PLATFORMS
def test_damage_costs_one_record(platform: str, tmp_path: Path) -> None:
    """A record with a string that does not end is reported with its place, and all others are there."""
    name, text, place = HITS[platform]
    files = dict(SAMPLES[platform]())
    whole = records(platform, folder(tmp_path / "whole", files))
    files[name] = files[name].replace(text, text[:-1], 1)
    found = records(platform, folder(tmp_path / "damaged", files))
    assert [record.place for record in damaged(found)] == [f"{name}: {place}" if place else name]
    lost = 2 if platform == "mattermost" else 1  # a reply is inside its post
    assert [record for record in found if not isinstance(record, Damaged)] == without(whole, found, lost)


def without(whole: list[Record], found: list[Record], lost: int) -> list[Record]:
    """The records of the undamaged export, except so many as were lost where the first Damaged is."""
    at = next(at for at, record in enumerate(found) if isinstance(record, Damaged))
    return whole[:at] + whole[at + lost :]


BEGINNINGS = {
    "ndjson": samples.ndjson_activity("m1"),
    "webex": samples.webex_message("m1", "group"),
    "teams": samples.teams_message("1700000000000", "u1", {"ChatId": "19:a@thread.v2"}),
    "matrix": samples.matrix_event("$1", "@ann:x", {"msgtype": "m.text", "body": "hello"}),
    "rocketchat": samples.rocketchat_message("m1", "r", "u"),
    "mattermost": {"type": "post", "post": {"team": "t", "channel": "c", "user": "ann", "create_at": AT}},
}
"""Of each platform whose exports may be lines, or a list, a message."""


@pytest.mark.parametrize("platform", BEGINNINGS)
def test_no_json_at_the_beginning(platform: str, tmp_path: Path) -> None:
    """Lines that are bad only there are taken, and what is bad is told with its numbers."""
    data = b"hello\n" * 25 + json.dumps(BEGINNINGS[platform]).encode()
    check_damage(records(platform, folder(tmp_path, {"a.json": data})))


@pytest.mark.parametrize(
    "platform", sorted(BEGINNINGS.keys() - {"mattermost"})
)  # which has lines of many types
@pytest.mark.parametrize(("joint", "form"), [(b"\n", b"%b\n"), (b",\n", b"[\n%b\n]")])
def test_no_messages_at_the_beginning(platform: str, joint: bytes, form: bytes, tmp_path: Path) -> None:
    """So is JSON that is something else, on lines and in a list."""
    data = form % joint.join([b'{"version": 1}'] * 25 + [json.dumps(BEGINNINGS[platform]).encode()])
    check_damage(records(platform, folder(tmp_path, {"a.json": data})))


def check_damage(found: list[Record]) -> None:
    """The first 25 records are told as damaged, and one is there."""
    assert len(activities(found)) == 1
    assert [int(each.place.rpartition(" ")[2]) for each in damaged(found)] == list(range(1, 26))


@pytest.mark.parametrize("platform", BEGINNINGS)
def test_the_beginning_is_not_endless(platform: str, tmp_path: Path) -> None:
    """What begins with so many records of something else is no export, whatever comes after."""
    bad, good = b'{"version": 1}\n', json.dumps(BEGINNINGS[platform]).encode()
    taken = folder(tmp_path / "taken", {"a.json": bad * (MOST_LOOKED_AT - 1) + good})
    assert len(activities(records(platform, taken))) == 1
    with pytest.raises(Refused):
        records(platform, folder(tmp_path / "many", {"a.json": bad * MOST_LOOKED_AT + good}))
    long = b'{"version": "' + b"1" * (ENOUGH_LOOKED_AT // 2) + b'"}\n'
    with pytest.raises(Refused):
        records(platform, folder(tmp_path / "long", {"a.json": long * LOOKED_AT + good}))


@pytest.mark.parametrize(
    ("platform", "lost"),
    [("webex", "created"), ("teams", "CreatedDateTime"), ("matrix", "type"), ("rocketchat", "ts")],
)
def test_a_file_without_a_whole_message(platform: str, lost: str, tmp_path: Path) -> None:
    """A file whose records all lack what a message must have is told beside others, not passed over."""
    good = BEGINNINGS[platform]
    bad = {key: value for key, value in good.items() if key != lost}
    other = {"id": "x", "name": "something else"}
    files = {"a.json": text([good]), "b.json": text([bad, bad]), "c.json": text([other])}
    found = records(platform, folder(tmp_path, files))
    assert len(activities(found)) == 1
    assert damaged(found) == [Damaged("b.json", "has no record with all that a message must have; left out")]


def test_a_file_of_mattermost_that_is_no_json(tmp_path: Path) -> None:
    """It is told, unless it is one of the files in posts."""
    files = dict(SAMPLES["mattermost"]())
    found = records("mattermost", folder(tmp_path, {**files, "more.jsonl": b"\0" * 50, "data/x.json": b"\0"}))
    assert [each.place for each in damaged(found)] == ["more.jsonl"]


def test_the_rest_of_a_list_on_one_line_is_lost_and_that_is_said(tmp_path: Path) -> None:
    """Where records do not begin lines, nothing tells where the next one begins after a broken string."""
    data = b'[{"message_id": "1", "at": 2}, {"message_id": "2\n}, {"message_id": "3"}]'
    first, second = damaged(records("ndjson", folder(tmp_path, {"a.json": data})))
    assert first == Damaged("a.json: line 1", "Expected `int` >= 631152000000 - at `$.at`")
    assert second.place == "a.json: line 2"
    assert second.detail.endswith("; the rest of the list was left out")


def test_a_truncated_tar_tells_what_it_still_has(tmp_path: Path) -> None:
    """The messages before the place where a packed tar was cut off are there, and the cut is reported."""
    files = SAMPLES["zulip"]()
    order = ["realm.json", "attachment.json", "messages-000001.json", "messages-000002.json"]
    path = tarred(tmp_path / "a.tar", {name: files[name] for name in order})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"messages-000002.json") + 600])
    found = records("zulip", path)
    assert [record.message_id for record in activities(found)] == ["101", "102"]
    assert [record.place for record in damaged(found)][-1] == "messages-000002.json: record 1"


ORDER = ["realm.json", "attachment.json", "messages-000001.json", "messages-000002.json"]


def cut(path: Path, keep: float) -> Path:
    """A packed tar of Zulip's sample, larger than what is read at once, of which so much is kept."""
    files = dict(SAMPLES["zulip"]())
    rows = json.loads(files["messages-000002.json"])["zerver_message"]
    many = [{**rows[0], "id": 1000 + at, "content": os.urandom(200).hex()} for at in range(3000)]
    files["messages-000002.json"] = json.dumps({"zerver_message": many}).encode()
    tarred(path, {name: files[name] for name in ORDER})
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    return path


def test_a_packed_tar_that_was_cut_short(tmp_path: Path) -> None:
    """Nothing that can be unpacked is lost, and both the archive's damage and its place are told."""
    found = records("zulip", cut(tmp_path / "a.tar.gz", 0.5))
    second = [sent for sent in activities(found) if int(sent.message_id) >= 1000]
    assert 1400 < len(second) < 1600
    assert damaged(found) == [
        Damaged("a.tar.gz", "ends too early; what comes after was left out"),
        Damaged(
            f"messages-000002.json: record {len(second) + 1}",
            "ends too early; the rest of the list was left out",
        ),
    ]


@pytest.mark.parametrize("begin", [b"[\n", b'{"messages": [\n'])
def test_a_file_that_is_cut_behind_its_first_bracket(tmp_path: Path, begin: bytes) -> None:
    """It is told, though none of its records can be seen."""
    path = folder(tmp_path, {"good.json": SAMPLES["matrix"]()["export.json"]})
    (path / "bad.json.gz").write_bytes(gzip.compress(begin + b" " * 200_000)[:-150])
    assert [each.place for each in damaged(records("matrix", path))] == ["bad.json"]


def test_a_packed_tar_without_what_it_needs(tmp_path: Path) -> None:
    """Where it was cut off before any messages, the refusal says that it is damaged."""
    with pytest.raises(Refused, match=r"It is damaged.*a\.tar\.gz ends too early.*realm\.json"):
        records("zulip", cut(tmp_path / "a.tar.gz", 0.0005))


def test_an_unreadable_zip_member_is_skipped(tmp_path: Path) -> None:
    """A member whose bytes were changed is reported; the members after it are read."""
    path = zipped(tmp_path / "a.zip", SAMPLES["slack"]())
    data = path.read_bytes()
    at = data.index(b"D1/2023-11-14.json") + len("D1/2023-11-14.json")
    path.write_bytes(data[:at] + b"\xff" * 20 + data[at + 20 :])
    found = records("slack", path)
    assert [record.place for record in damaged(found)] == ["D1/2023-11-14.json: record 1"]
    assert {record.space for record in activities(found)} == {"C1"}
