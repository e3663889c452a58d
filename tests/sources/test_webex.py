"""Webex: items of /messages, events, and files that are URLs."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Deletion, Skipped
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import activities, damaged, folder, lines, only, records, text
from tests.sources.samples import AT, ISO

MESSAGE = samples.webex_message("m1", "group")


def one(tmp_path: Path, message: Any) -> Activity:
    """The only activity of a file with one message."""
    return only(records("webex", folder(tmp_path, {"a.json": text([message])})))


def event(kind: str, resource: str = "messages", **more: Any) -> dict[str, Any]:
    """An item of /events."""
    created = f"{ISO}.500Z"
    return {"id": "e1", "resource": resource, "type": kind, "created": created, "data": MESSAGE, **more}


def test_a_message(tmp_path: Path) -> None:
    """A message has its own id, its room and its person."""
    assert one(tmp_path, MESSAGE) == Activity("webex", "m1", AT, "p1", "r1", False)


@pytest.mark.parametrize("data", [text([MESSAGE]), text({"items": [MESSAGE]}), lines(MESSAGE)])
def test_outlines(data: bytes, tmp_path: Path) -> None:
    """A list, an answer of the API, and a message on each line say the same."""
    assert only(records("webex", folder(tmp_path, {"a.json": data}))).message_id == "m1"


def test_a_direct_message(tmp_path: Path) -> None:
    """roomType tells a direct space from a group."""
    assert one(tmp_path, {**MESSAGE, "roomType": "direct"}).direct


def test_events(tmp_path: Path) -> None:
    """A created message is one, a deleted one is a deletion, an edit changes nothing, the rest is skipped."""
    events = [event("created"), event("updated"), event("deleted"), event("created", "memberships")]
    assert records("webex", folder(tmp_path, {"a.json": text({"items": events})})) == [
        Activity("webex", "m1", AT, "p1", "r1", False),
        Skipped("edit"),
        Deletion("webex", "m1", AT + 500),
        Skipped("event of something else"),
    ]


def test_kept_webhooks(tmp_path: Path) -> None:
    """A webhook names in `event` what an event names in `type`."""
    call = {"id": "w1", "name": "hook", "resource": "messages", "event": "created", "data": MESSAGE}
    assert only(records("webex", folder(tmp_path, {"a.jsonl": lines(call)}))).message_id == "m1"


@pytest.mark.parametrize("address", ["helper@webex.bot", "helper@sparkbot.io"])
def test_bots(address: str, tmp_path: Path) -> None:
    """Bots have addresses of their own."""
    assert one(tmp_path, {**MESSAGE, "personEmail": address}).by_bot


def test_files(tmp_path: Path) -> None:
    """Files are URLs: their sizes are unknown, and their kinds are where no name tells them."""
    files = ["https://files.invalid/contents/1", "https://files.invalid/a.mp4?x=1"]
    sent = one(tmp_path, {**MESSAGE, "files": files})
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (2, 0, 2)
    assert (sent.video, sent.audio) == (True, False)


@pytest.mark.parametrize("key", ["personId", "roomId", "created", "roomType"])
def test_a_message_that_says_too_little(key: str, tmp_path: Path) -> None:
    """A message without sender, space, time or kind of space is reported."""
    short = {name: value for name, value in MESSAGE.items() if name != key}
    found = records("webex", folder(tmp_path, {"a.json": text([MESSAGE, short])}))
    assert [record.place for record in damaged(found)] == ["a.json: record 2"]
    assert len(activities(found)) == 1


def test_what_are_no_messages_of_webex(tmp_path: Path) -> None:
    """Rooms are no messages."""
    with pytest.raises(Refused, match="messages of Webex"):
        records("webex", folder(tmp_path, {"a.json": text({"items": [{"id": "r1", "title": "Room"}]})}))
