"""Matrix: the JSON of a room that Element exports, or events in JSON, as a list or one on each line.

Lists stand in `messages` (Element), `chunk` (the API), `events` (an application service), or alone; lines
also in the files rooms/../events of Synapse's export of a user.

* m.room.message, m.sticker, a poll's start and m.room.encrypted are messages; what is encrypted hides its
  files.
* An edit (m.replace) is skipped, also when it is encrypted, as are reactions, state and everything else.
* m.room.redaction is a deletion. A redacted message is there without its content: sent, and deleted.
* m.notice is what bots send. Nothing else marks a bot, and nothing names the client.
* An export does not tell which rooms are direct. A room is when an invitation says so (`is_direct`), or
  when no more than two people are seen in it, as senders or members.
* Files: m.image, m.file, m.audio, m.video, with the size in `info`; kind by msgtype, else by `mimetype`.

In memory: up to three people of each room.
"""

import collections
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Deletion, Id, Record, Skipped
from postroom.sources.archive import Archive
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, outline, records, unreadable, without_messages
from postroom.sources.times import from_ms

NAME = "matrix"
EXPECTED = (
    "rooms of Matrix: the JSON that Element exports, or events in JSON (a list, `chunk`, `events`, or one on "
    "each line)."
)
_LISTS = ("messages", "chunk", "events")
_KEYS = ("type", "event_id", "sender", "origin_server_ts")
_MESSAGES = {
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
}
TOLD = {*_MESSAGES, "m.room.redaction"}
"""Types of events that say that something was sent or deleted."""
_FILES = {"m.image": "image", "m.file": "", "m.audio": "audio", "m.video": "video"}
_RULES = {
    "m.reaction": "reaction",
    "m.poll.response": "answer to a poll",
    "org.matrix.msc3381.poll.response": "answer to a poll",
}
_ENOUGH = 3


class _Info(msgspec.Struct):
    size: int | float | None = None
    mimetype: str | None = None


class _Relation(msgspec.Struct):
    rel_type: str | None = None


class Content(msgspec.Struct):
    """Of an event, what matters here."""

    msgtype: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"")
    filename: str | None = None
    info: _Info | None = None
    relates_to: _Relation | None = msgspec.field(default=None, name="m.relates_to")
    redacts: str | None = None
    membership: str | None = None
    is_direct: bool | None = None


class _Redaction(msgspec.Struct):
    origin_server_ts: int | None = None


class _Before(msgspec.Struct):
    membership: str | None = None


class _Unsigned(msgspec.Struct):
    redacted_because: _Redaction | None = None
    prev_content: _Before | None = None
    replaces_state: str | None = None


class Event(msgspec.Struct):
    """An event of a room, as a homeserver has it."""

    type: str
    event_id: Id
    sender: Id
    origin_server_ts: int
    room_id: Id
    content: Content | None = None
    state_key: str | None = None
    redacts: str | None = None
    unsigned: _Unsigned | None = None


class _Seen(msgspec.Struct):
    """The first few people of a room, and whether it was made as a direct one."""

    people: list[str]
    direct: bool = False

    def add(self, person: str) -> None:
        if len(self.people) < _ENOUGH and person not in self.people:
            self.people.append(person)


Rooms = dict[str, _Seen]
_EVENT = Form(Event)


def fits(archive: Archive) -> bool:
    """Whether some file has events."""
    outlines = (outline(archive, name, _LISTS) for name in archive.texts)
    return any(found is not None and found.has(*_KEYS) for found in outlines)


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all rooms; each file is read twice, first for who is in its rooms."""
    rooms: Rooms = {}
    for name in archive.texts:
        found = outline(archive, name, _LISTS)
        if found is not None and found.has(*_KEYS):
            collections.deque(records(archive, name, found, _EVENT, partial(_look, rooms)), 0)
    for name in archive.texts:
        found = outline(archive, name, _LISTS)
        if found is None:
            yield unreadable(name)
        elif found.has(*_KEYS):
            yield from records(archive, name, found, _EVENT, partial(_event, source, rooms))
        elif found.has("event_id"):
            yield without_messages(name)


def _look(rooms: Rooms, event: Event) -> Converted:
    seen = rooms.get(event.room_id)
    if seen is None:
        seen = rooms[event.room_id] = _Seen([])
    seen.add(event.sender)
    if event.type == "m.room.member" and event.state_key is not None:
        seen.add(event.state_key)
        seen.direct = seen.direct or (event.content is not None and event.content.is_direct is True)
    return ()


def _event(source: str, rooms: Rooms, event: Event) -> Converted:
    seen = rooms.get(event.room_id) or _Seen([])
    return record(source, event, seen.direct or len(seen.people) < _ENOUGH)


def record(source: str, event: Event, direct: bool) -> Converted:
    """What an event tells, of a room that is a direct one or not."""
    content, at = event.content or Content(), from_ms(event.origin_server_ts)
    if event.type == "m.room.redaction":
        gone = event.redacts or content.redacts
        return Deletion(source, gone, at) if gone else Skipped("redaction of an unknown event", at)
    if event.type not in _MESSAGES or event.state_key is not None:
        return Skipped(_rule(event), at)
    if content.relates_to is not None and content.relates_to.rel_type == "m.replace":
        return Skipped("edit", at)
    sent = _sent(source, event, content, direct)
    because = event.unsigned.redacted_because if event.unsigned else None
    if because is None:
        return sent
    gone_at = because.origin_server_ts
    return sent, Deletion(source, event.event_id, None if gone_at is None else from_ms(gone_at))


def _rule(event: Event) -> str:
    if event.state_key is not None:
        return "state of the room"
    return _RULES.get(event.type, "event that is no message")


def _sent(source: str, event: Event, content: Content, direct: bool) -> Activity:
    files = _files(content) if content.msgtype in _FILES else NO_FILES
    return Activity(
        source,
        event.event_id,
        from_ms(event.origin_server_ts),
        event.sender,
        event.room_id,
        direct,
        Client.UNKNOWN,
        *files,
        by_bot=content.msgtype == "m.notice",
    )


def _files(content: Content) -> Counted:
    files = Files()
    info = content.info or _Info()
    kind = _FILES[content.msgtype or ""]
    files.add(info.size, kind or info.mimetype, content.filename or _text(content.body))
    return files.counted()


def _text(raw: msgspec.Raw) -> str:
    """The `body`, which is a file's name in older events."""
    try:
        return msgspec.json.decode(bytes(raw), type=str)
    except msgspec.MsgspecError:
        return ""
