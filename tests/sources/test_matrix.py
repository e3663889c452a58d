"""Matrix: what is a message among events, redactions, and which rooms are direct."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Deletion
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import activities, damaged, deletions, folder, lines, only, records, skipped, text
from tests.sources.samples import AT

HELLO = {"msgtype": "m.text", "body": "hello"}
EVENT = samples.matrix_event("$1", "@ann:x", HELLO)


def one(tmp_path: Path, event: Any) -> Activity:
    """The only activity of a room with one event."""
    return only(
        records("matrix", folder(tmp_path, {"a.json": text({"room_name": "R", "messages": [event]})}))
    )


def kind(name: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event of another type."""
    return {**samples.matrix_event("$2", "@ann:x", content, name), **more}


def test_a_message(tmp_path: Path) -> None:
    """A message has its event's id, its room and its sender."""
    assert one(tmp_path, EVENT) == Activity("matrix", "$1", AT, "@ann:x", "!r:x", True)


@pytest.mark.parametrize(
    "data",
    [
        text({"messages": [EVENT]}),
        text({"chunk": [EVENT], "start": "s", "end": "e"}),
        text({"events": [EVENT]}),
        text([EVENT]),
        lines(EVENT),
    ],
)
def test_outlines(data: bytes, tmp_path: Path) -> None:
    """Element's export, answers of the API, transactions, lists and lines say the same."""
    assert only(records("matrix", folder(tmp_path, {"a.json": data}))).message_id == "$1"


def test_synapse_s_export_of_a_user(tmp_path: Path) -> None:
    """Its events are in files without an ending."""
    files = {"rooms/!r:x/events": lines(EVENT), "user_data/profile": b"{}"}
    assert only(records("matrix", folder(tmp_path, files))).message_id == "$1"


@pytest.mark.parametrize(
    "name", ["m.room.encrypted", "m.sticker", "m.poll.start", "org.matrix.msc3381.poll.start"]
)
def test_other_messages(name: str, tmp_path: Path) -> None:
    """What is encrypted is a message, whose files nobody knows; so are stickers and polls."""
    sent = one(tmp_path, kind(name, {"algorithm": "m.megolm.v1.aes-sha2"}))
    assert (sent.files, sent.system) == (0, False)


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (kind("m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$1"}}), "reaction"),
        (kind("m.room.message", {**HELLO, "m.relates_to": {"rel_type": "m.replace"}}), "edit"),
        (kind("m.room.encrypted", {"m.relates_to": {"rel_type": "m.replace"}}), "edit"),
        (kind("m.room.topic", {"topic": "x"}, state_key=""), "state of the room"),
        (kind("m.room.member", {"membership": "join"}, state_key="@ann:x"), "state of the room"),
        (kind("m.poll.response", {}), "answer to a poll"),
        (kind("m.call.invite", {}), "event that is no message"),
        (kind("m.room.redaction", {}), "redaction of an unknown event"),
    ],
)
def test_what_is_no_message(event: dict[str, Any], rule: str, tmp_path: Path) -> None:
    """Edits, reactions, state and calls are skipped."""
    found = records("matrix", folder(tmp_path, {"a.json": text([EVENT, event])}))
    assert skipped(found) == [rule]
    assert len(activities(found)) == 1


@pytest.mark.parametrize("where", [{"redacts": "$1"}, {"content": {"redacts": "$1"}}])
def test_a_redaction(where: dict[str, Any], tmp_path: Path) -> None:
    """A redaction is a deletion; from room version 11 on it names the event in its content."""
    event = {**kind("m.room.redaction", {}), **where}
    found = records("matrix", folder(tmp_path, {"a.json": text([EVENT, event])}))
    assert deletions(found) == [Deletion("matrix", "$1", AT)]


def test_a_redacted_message(tmp_path: Path) -> None:
    """What was redacted has no content, but was sent."""
    unsigned = {"redacted_because": {"origin_server_ts": AT + 5, "type": "m.room.redaction"}}
    found = records(
        "matrix", folder(tmp_path, {"a.json": text([{**EVENT, "content": {}, "unsigned": unsigned}])})
    )
    assert [sent.message_id for sent in activities(found)] == ["$1"]
    assert deletions(found) == [Deletion("matrix", "$1", AT + 5)]


def test_replies_and_threads_are_messages(tmp_path: Path) -> None:
    """Only one kind of relation replaces a message."""
    content = {**HELLO, "m.relates_to": {"rel_type": "m.thread", "event_id": "$0", "m.in_reply_to": {}}}
    assert one(tmp_path, kind("m.room.message", content)).message_id == "$2"


def test_bots(tmp_path: Path) -> None:
    """m.notice is for what bots send."""
    assert one(tmp_path, kind("m.room.message", {"msgtype": "m.notice", "body": "x"})).by_bot


def members(*people: str, **content: Any) -> list[dict[str, Any]]:
    """Events by which people came into the room."""
    content = {"membership": "join", **content}
    return [{**kind("m.room.member", content), "sender": name, "state_key": name} for name in people]


@pytest.mark.parametrize(
    ("others", "direct"),
    [
        ([], True),
        (members("@ben:x"), True),
        (members("@ben:x", "@cat:x"), False),
        ([samples.matrix_event("$3", "@ben:x", HELLO), samples.matrix_event("$4", "@cat:x", HELLO)], False),
        (members("@ben:x", "@cat:x", is_direct=True), True),
    ],
)
def test_direct_rooms(others: list[Any], direct: bool, tmp_path: Path) -> None:
    """A room is direct when it was made so, or when two people are seen in it, wherever in the export."""
    found = activities(records("matrix", folder(tmp_path, {"a.json": text([EVENT, *others])})))
    assert {sent.direct for sent in found} == {direct}


@pytest.mark.parametrize(
    ("content", "video", "audio"),
    [
        ({"msgtype": "m.video"}, True, False),
        ({"msgtype": "m.audio", "org.matrix.msc3245.voice": {}}, False, True),
        ({"msgtype": "m.image"}, False, False),
        ({"msgtype": "m.file", "info": {"mimetype": "video/mp4", "size": 1000}}, True, False),
        ({"msgtype": "m.file", "body": "a.mp3"}, False, True),
    ],
)
def test_files(content: dict[str, Any], video: bool, audio: bool, tmp_path: Path) -> None:
    """A file is told by its msgtype; its size may be missing."""
    known = {"info": {"size": 1000}, "body": "a", **content}
    sent = one(tmp_path, kind("m.room.message", known))
    size = 1000 if "size" in known["info"] else 0
    assert (sent.files, sent.file_bytes, sent.video, sent.audio) == (1, size, video, audio)


def test_an_event_without_its_room(tmp_path: Path) -> None:
    """An event that does not say where it was is reported."""
    lost = {name: value for name, value in EVENT.items() if name != "room_id"}
    found = records("matrix", folder(tmp_path, {"a.json": text([EVENT, lost])}))
    assert [record.place for record in damaged(found)] == ["a.json: record 2"]


def test_what_are_no_rooms_of_matrix(tmp_path: Path) -> None:
    """Other JSON is refused."""
    with pytest.raises(Refused, match="rooms of Matrix"):
        records("matrix", folder(tmp_path, {"a.json": text({"messages": [{"id": 1}]})}))
