"""Rocket.Chat's collections as mongoexport writes them: messages, and better rooms, uploads and users too.

* A message with `t` is Rocket.Chat's own, except e2e (encrypted, of a person) and rm (of a person,
  removed).
* Removed messages: `rm`; or `_hidden` without a parent, where removed ones are kept but not shown. They
  were sent all the same. `_hidden` with a parent is a copy that was made when a message was edited or
  removed.
* Times and sizes may be in MongoDB's plain, relaxed or canonical JSON.
* Spaces: a room of type d with at most two users is direct, others are groups. Without its room, a message
  is direct when its room's id is made of the sender's and another's.
* Bots: a `bot` that is set (integrations), users of type bot or app, and rocket.cat.
* Files: `files`, or the older `file`; a picture's thumbnail stands there too and is not counted. Sizes are
  the message's own, else those of the uploads. Call recordings are known by their file's name only.

In memory: all rooms, uploads, and users that are bots.
"""

import re
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Deletion, Id, Record, Skipped
from postroom.sources.archive import Archive
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, outline, records, unreadable, without_messages
from postroom.sources.times import from_iso, from_ms
from postroom.sources.trouble import Unfit

NAME = "rocketchat"
EXPECTED = (
    "collections of Rocket.Chat from mongoexport: a folder or zip with rocketchat_message.json and, where "
    "there are such, rocketchat_room.json, rocketchat_uploads.json and users.json; or the first alone."
)
_ROOMS = re.compile(r"(?i)(?:.*/)?(?:rocketchat_)?rooms?\.jsonl?")
_UPLOADS = re.compile(r"(?i)(?:.*/)?(?:rocketchat_)?uploads?\.jsonl?")
_USERS = re.compile(r"(?i)(?:.*/)?(?:rocketchat_)?users?\.jsonl?")
_KEYS = ("_id", "rid", "ts", "u")
_ROCKET_CAT = "rocket.cat"


class _Number(msgspec.Struct):
    int32: str | None = msgspec.field(default=None, name="$numberInt")
    int64: str | None = msgspec.field(default=None, name="$numberLong")
    double: str | None = msgspec.field(default=None, name="$numberDouble")


class _Date(msgspec.Struct):
    date: str | int | _Number = msgspec.field(name="$date")


Number = int | float | _Number | None
Time = str | int | _Date


class _Reference(msgspec.Struct):
    id: Id = msgspec.field(name="_id")


class _File(msgspec.Struct):
    id: str | None = msgspec.field(default=None, name="_id")
    name: str | None = None
    type: str | None = None
    size: Number = None
    type_group: str | None = msgspec.field(default=None, name="typeGroup")


class Room(msgspec.Struct):
    """A room, and its users where it is a direct one."""

    id: str = msgspec.field(name="_id")
    t: str | None = None
    uids: list[str] | None = None


class _User(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    type: str | None = None


class Message(msgspec.Struct):
    """A message as Rocket.Chat keeps it."""

    id: Id = msgspec.field(name="_id")
    rid: Id
    ts: Time
    u: _Reference
    t: str | None = None
    bot: msgspec.Raw = msgspec.Raw(b"null")
    hidden: bool | None = msgspec.field(default=None, name="_hidden")
    parent: str | None = None
    edited_at: Time | None = msgspec.field(default=None, name="editedAt")
    file: _File | None = None
    files: list[_File | None] | None = None


_MESSAGE, _ROOM, _UPLOAD, _USER = Form(Message), Form(Room), Form(_File), Form(_User)


class House:
    """What the messages refer to."""

    def __init__(self) -> None:
        self.direct: dict[str, bool] = {}
        self.uploads: dict[str, Number] = {}
        self.bots = {_ROCKET_CAT}

    def room(self, room: Room) -> Converted:
        """Learn of a room."""
        self.direct[room.id] = room.t == "d" and len(room.uids or ()) <= 2
        return ()

    def upload(self, upload: _File) -> Converted:
        """Learn of a file's size."""
        if upload.id is not None:
            self.uploads[upload.id] = upload.size
        return ()

    def user(self, user: _User) -> Converted:
        """Learn of a user who may be a bot."""
        if user.type in {"bot", "app"}:
            self.bots.add(user.id)
        return ()

    def is_direct(self, room: str, user: str) -> bool:
        """Whether a room in which this user writes is a direct one."""
        known = self.direct.get(room)
        if known is not None:
            return known
        return is_named_after(room, user)

    def is_bot(self, user: str, bot: msgspec.Raw) -> bool:
        """Whether a message of this user, with this `bot`, is a bot's."""
        return user in self.bots or bytes(bot) not in {b"null", b"false"}


def is_named_after(room: str, user: str) -> bool:
    """Whether the room's id is made of this user's and another's: it is then theirs alone."""
    return room != user and len(user) > 8 and (room.startswith(user) or room.endswith(user))


def fits(archive: Archive) -> bool:
    """Whether some file holds messages."""
    outlines = (outline(archive, name) for name in archive.texts if not _is_lookup(name))
    return any(found is not None and found.has(*_KEYS) for found in outlines)


def _is_lookup(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (_ROOMS, _UPLOADS, _USERS))


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages, after what they refer to."""
    house = House()
    yield from _lookups(archive, house)
    for name in archive.texts:
        found = outline(archive, name)
        if found is None:
            yield unreadable(name)
        elif found.has(*_KEYS) and not _is_lookup(name):
            yield from records(archive, name, found, _MESSAGE, partial(_message, source, house))
        elif found.has("rid", "msg"):
            yield without_messages(name)


def _lookups(archive: Archive, house: House) -> Iterator[Record]:
    for name in archive.texts:
        found = outline(archive, name)
        if found is None:
            continue
        if _ROOMS.fullmatch(name):
            yield from records(archive, name, found, _ROOM, house.room)
        elif _UPLOADS.fullmatch(name):
            yield from records(archive, name, found, _UPLOAD, house.upload)
        elif _USERS.fullmatch(name):
            yield from records(archive, name, found, _USER, house.user)


def _message(source: str, house: House, message: Message) -> Converted:
    if message.hidden and message.parent:
        return Skipped("copy kept of an edited message")
    activity = sent(source, house, message)
    if message.t != "rm" and not message.hidden:
        return activity
    removed = time_of(message.edited_at) if message.t == "rm" and message.edited_at is not None else None
    return activity, Deletion(source, message.id, removed)


def sent(source: str, house: House, message: Message) -> Activity:
    """The message as an activity."""
    user = message.u.id
    files = _files(house, message) if message.files or message.file else NO_FILES
    return Activity(
        source,
        message.id,
        time_of(message.ts),
        user,
        message.rid,
        house.is_direct(message.rid, user),
        Client.UNKNOWN,
        *files,
        by_bot=house.is_bot(user, message.bot),
        system=bool(message.t) and message.t not in {"e2e", "rm"},
    )


def _files(house: House, message: Message) -> Counted:
    files = Files()
    for at, file in enumerate(message.files or [message.file]):
        if file is None or (at and _is_thumbnail(file)):
            continue
        size = file.size if file.size is not None else house.uploads.get(file.id or "")
        files.add(_number(size), file.type, file.name)
    return files.counted()


def _is_thumbnail(file: _File) -> bool:
    return file.type_group == "thumb" or (file.name or "").startswith("thumb-")


def _number(value: Number) -> int | float | None:
    if not isinstance(value, _Number):
        return value
    text = value.int32 or value.int64 or value.double or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def time_of(value: Time) -> int:
    """A time in ms."""
    date = value.date if isinstance(value, _Date) else value
    if isinstance(date, str):
        return from_iso(date)
    number = _number(date)
    if number is None:
        raise Unfit("has no time")
    return from_ms(number)
