"""Rocket.Chat: MongoDB's ways to write times, what is removed or hidden, and which files are thumbnails."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Deletion, Skipped
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import Files, activities, damaged, deletions, folder, lines, only, records, text
from tests.sources.samples import AT

ANN, BEN = "aaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbb"
MESSAGE = samples.rocketchat_message("m1", "r1", ANN)


def export(*messages: Any, **collections: Any) -> Files:
    """Collections with these messages."""
    more = {f"rocketchat_{name}.json": lines(*rows) for name, rows in collections.items()}
    return {"rocketchat_message.json": lines(*messages), **more}


def one(tmp_path: Path, message: Any, **collections: Any) -> Activity:
    """The only activity of an export with one message."""
    return only(records("rocketchat", folder(tmp_path, export(message, **collections))))


def test_a_message(tmp_path: Path) -> None:
    """A message has its own id, its room and its sender."""
    assert one(tmp_path, MESSAGE) == Activity("rocketchat", "m1", AT, ANN, "r1", False)


@pytest.mark.parametrize(
    "ts",
    [
        {"$date": "2023-11-14T22:13:20.000Z"},
        {"$date": "2023-11-14T23:13:20.000+0100"},
        {"$date": AT},
        {"$date": {"$numberLong": str(AT)}},
        "2023-11-14T22:13:20.000Z",
    ],
)
def test_times(ts: Any, tmp_path: Path) -> None:
    """A time may be in plain, relaxed or canonical JSON of MongoDB, old or new, or as the API writes it."""
    assert one(tmp_path, {**MESSAGE, "ts": ts}).at == AT


@pytest.mark.parametrize(
    "ts", [{"$date": {"$numberLong": "x"}}, {"$date": "2023-11-14T22:13:20"}, {}, "soon"]
)
def test_times_that_are_none(ts: Any, tmp_path: Path) -> None:
    """A time that cannot be read, or has no offset, is reported."""
    found = records("rocketchat", folder(tmp_path, export(MESSAGE, {**MESSAGE, "ts": ts})))
    assert [record.place for record in damaged(found)] == ["rocketchat_message.json: line 2"]


@pytest.mark.parametrize("kind", ["uj", "ul", "au", "room_changed_topic", "videoconf", "discussion-created"])
def test_rocket_chat_s_own_messages(kind: str, tmp_path: Path) -> None:
    """`t` makes a message Rocket.Chat's own."""
    assert one(tmp_path, {**MESSAGE, "t": kind}).system


def test_encrypted_messages_are_people_s(tmp_path: Path) -> None:
    """`t` is e2e for what a person sent encrypted."""
    assert not one(tmp_path, {**MESSAGE, "t": "e2e"}).system


def test_a_removed_message(tmp_path: Path) -> None:
    """`t` is rm for what was removed, at the time of its last edit; it was sent all the same."""
    message = {**MESSAGE, "t": "rm", "editedAt": {"$date": "2023-11-14T22:14:00.000Z"}}
    found = records("rocketchat", folder(tmp_path, export(message)))
    assert [(sent.person, sent.system) for sent in activities(found)] == [(ANN, False)]
    assert deletions(found) == [Deletion("rocketchat", "m1", AT + 40_000)]


def test_a_hidden_message_was_removed(tmp_path: Path) -> None:
    """Where removed messages are kept but not shown, they are hidden."""
    found = records("rocketchat", folder(tmp_path, export({**MESSAGE, "_hidden": True})))
    assert len(activities(found)) == 1
    assert deletions(found) == [Deletion("rocketchat", "m1")]


def test_a_copy_of_an_edited_message_is_skipped(tmp_path: Path) -> None:
    """The copy that is kept of what was edited or removed is hidden, and names its message as parent."""
    message = {**MESSAGE, "_id": "m2", "_hidden": True, "parent": "m1"}
    found = records("rocketchat", folder(tmp_path, export(message)))
    assert found == [Skipped("copy kept of an edited message")]


def test_an_edit_changes_nothing(tmp_path: Path) -> None:
    """A message that was edited counts when it was sent."""
    assert one(tmp_path, {**MESSAGE, "editedAt": {"$date": "2024-01-01T00:00:00Z"}}).at == AT


@pytest.mark.parametrize(
    ("room", "direct"),
    [
        ({"t": "c"}, False),
        ({"t": "p"}, False),
        ({"t": "d", "uids": [ANN, BEN]}, True),
        ({"t": "d", "uids": [ANN]}, True),
        ({"t": "d", "uids": [ANN, BEN, "c"]}, False),
        ({"t": "d"}, True),
        ({"t": "l"}, False),
    ],
)
def test_rooms(room: dict[str, Any], direct: bool, tmp_path: Path) -> None:
    """A room of type d with two users is direct; with more it is a group."""
    assert one(tmp_path, MESSAGE, room=[{"_id": "r1", **room}]).direct is direct


@pytest.mark.parametrize(("rid", "direct"), [(ANN + BEN, True), (BEN + ANN, True), ("GENERAL", False)])
def test_a_room_that_is_not_listed(rid: str, direct: bool, tmp_path: Path) -> None:
    """Without its room, a message is direct when the room's id is made of two users'."""
    assert one(tmp_path, {**MESSAGE, "rid": rid}).direct is direct


@pytest.mark.parametrize(
    ("message", "users"),
    [
        ({"bot": {"i": "integration"}}, []),
        ({"u": {"_id": "rocket.cat"}}, []),
        ({}, [{"_id": ANN, "type": "bot"}]),
        ({}, [{"_id": ANN, "type": "app"}]),
    ],
)
def test_bots(message: dict[str, Any], users: list[Any], tmp_path: Path) -> None:
    """Integrations, the built-in bot, and users of type bot or app are bots."""
    assert one(tmp_path, {**MESSAGE, **message}, users=users or [{"_id": BEN, "type": "user"}]).by_bot


@pytest.mark.parametrize("bot", [None, False])
def test_people_that_are_marked_as_no_bots(bot: Any, tmp_path: Path) -> None:
    """A `bot` that is null or false makes nobody one."""
    assert not one(tmp_path, {**MESSAGE, "bot": bot}).by_bot


def test_files_without_thumbnails(tmp_path: Path) -> None:
    """A picture's thumbnail stands beside it and was not shared."""
    files = [
        {"_id": "f1", "name": "a.png", "type": "image/png", "size": 100},
        {"_id": "f2", "name": "thumb-a.png", "type": "image/png", "size": 10},
        {"_id": "f3", "name": "b", "type": "video/mp4", "size": {"$numberInt": "20"}},
        {"_id": "f4", "name": "b", "type": "image/png", "size": 1, "typeGroup": "thumb"},
    ]
    sent = one(tmp_path, {**MESSAGE, "file": files[0], "files": files})
    assert (sent.files, sent.file_bytes, sent.video) == (2, 120, True)


def test_sizes_from_the_uploads(tmp_path: Path) -> None:
    """Where the message does not say a file's size, the uploads do, or nobody does."""
    message = {**MESSAGE, "files": [{"_id": "f1", "type": "audio/ogg"}, {"_id": "f2"}]}
    sent = one(
        tmp_path, message, uploads=[{"_id": "f1", "size": {"$numberLong": "100"}, "type": "audio/ogg"}]
    )
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size, sent.audio) == (2, 100, 1, True)


def test_an_array_of_documents(tmp_path: Path) -> None:
    """mongoexport --jsonArray writes one list."""
    files = {
        "rocketchat_messages.json": text([MESSAGE]),
        "rocketchat_rooms.json": text([{"_id": "r1", "t": "d"}]),
    }
    assert only(records("rocketchat", folder(tmp_path, files))).direct


def test_a_file_alone(tmp_path: Path) -> None:
    """The messages alone will do, under any name."""
    path = folder(tmp_path, {"dump": lines(MESSAGE)}) / "dump"
    assert only(records("rocketchat", path)).message_id == "m1"


def test_what_is_no_export_of_rocket_chat(tmp_path: Path) -> None:
    """Documents of something else are refused."""
    with pytest.raises(Refused, match="collections of Rocket"):
        records("rocketchat", folder(tmp_path, {"rocketchat_room.json": lines({"_id": "r1", "t": "d"})}))
