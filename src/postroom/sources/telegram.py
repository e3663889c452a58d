"""Telegram Desktop's export in JSON: result.json of the whole account (`chats.list`), or of one chat.

* Rows of the type message are messages, service is Telegram's own, unsupported is skipped (it says nothing).
* Numbers of users, groups and channels overlap, so a chat is its kind and number, and a message's id is its
  chat and number. In a chat of two each side numbers the messages for itself: exports of both participants
  are different sources, or these messages count twice.
* The time is `date_unixtime`; older exports only have `date`, without an offset, which is taken for UTC.
* Spaces: chats with a person, a bot or oneself are direct, others are groups.
* Bots: nothing marks them but a chat of the type bot_chat, where the other side is one.
* Files: a photo or file, whether it is in the export or not; stickers are none. Video: video_file and
  video_message; audio: voice_message and audio_file; an animation is neither.
"""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Record, Skipped, joined
from postroom.sources.archive import Archive
from postroom.sources.json_stream import JsonStream
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, from_list, guarded
from postroom.sources.times import from_decimal, from_iso
from postroom.sources.trouble import FAULTS, Unfit, Unreadable

NAME = "telegram"
EXPECTED = (
    'an export of Telegram Desktop in JSON: result.json with "chats", or that of one chat with "type", "id" '
    'and "messages".'
)
_DIRECT = {"personal_chat", "bot_chat", "saved_messages", "replies", "verification_codes"}
_GROUP = "private_group"
_CHANNELS = {"private_supergroup", "public_supergroup", "private_channel", "public_channel"}
_MEDIA = {
    "video_file": "video",
    "video_message": "video",
    "voice_message": "audio",
    "audio_file": "audio",
    "animation": "animation",
}
_KINDS = ("user", "chat", "channel")


class _Message(msgspec.Struct):
    id: int
    type: str
    date: str | None = None
    date_unixtime: str | None = None
    from_id: str | int | None = None
    actor_id: str | int | None = None
    photo: str | None = None
    photo_file_size: int | None = None
    file: str | None = None
    file_size: int | None = None
    file_name: str | None = None
    media_type: str | None = None
    mime_type: str | None = None


class _Chat(msgspec.Struct, frozen=True):
    """A chat of the export: its type, and its number among those of its kind."""

    type: str
    id: int


_MESSAGE = Form(_Message)
_TEXT = msgspec.json.Decoder(str).decode
_NUMBER = msgspec.json.Decoder(int).decode


class _Head(msgspec.Struct):
    """What is known of a chat so far."""

    type: str | None = None
    id: int | None = None

    def learn(self, key: str, json: JsonStream) -> None:
        if key == "type":
            self.type = _TEXT(json.raw())
        elif key == "id":
            self.id = _NUMBER(json.raw())

    def chat(self) -> _Chat | None:
        return None if self.type is None or self.id is None else _Chat(self.type, self.id)


Take = Callable[[int, str, JsonStream], Iterator[Record]]


def fits(archive: Archive) -> bool:
    """Whether some file is an export of an account or of a chat."""
    return any(_fits(archive, name) for name in archive.texts)


def _fits(archive: Archive, name: str) -> bool:
    try:
        with archive.open(name) as member:
            seen = set()
            for key in JsonStream(member.read).properties():
                seen.add(key)
                if key in {"chats", "left_chats"} or seen >= {"type", "id", "messages"}:
                    return True
    except (Unreadable, *FAULTS):
        pass
    return False


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all chats."""
    for name in archive.texts:
        if _fits(archive, name):
            yield from guarded(name, _read(archive, name, source))


def _read(archive: Archive, name: str, source: str) -> Iterator[Record]:
    heads: dict[int, _Head] = {}

    def take(number: int, key: str, json: JsonStream) -> Iterator[Record]:
        head = heads.setdefault(number, _Head())
        head.learn(key, json)
        if key == "messages":
            chat = head.chat() or _look_ahead(archive, name, number)
            yield from from_list(json, _MESSAGE, partial(_message, source, chat), f"{name}: chat {number}")
        heads.pop(number - 1, None)

    return _walk(archive, name, take)


def _look_ahead(archive: Archive, name: str, wanted: int) -> _Chat:
    """A chat whose type or number stands behind its messages."""
    head = _Head()

    def take(number: int, key: str, json: JsonStream) -> Iterator[Record]:
        if number == wanted:
            head.learn(key, json)
        return iter(())

    for _ in _walk(archive, name, take):
        pass
    chat = head.chat()
    if chat is None:
        raise Unfit("has a chat without type or id")
    return chat


def _walk(archive: Archive, name: str, take: Take) -> Iterator[Record]:
    """Stops at each key of each chat; a chat's number is counted from 1 on, that of a single chat is 0."""
    number = 0
    with archive.open(name) as member:
        json = JsonStream(member.read)
        for key in json.properties():
            if key not in {"chats", "left_chats"}:
                yield from take(0, key, json)
                continue
            for inner in json.properties():
                if inner == "list":
                    for _ in json.entries():
                        number += 1
                        for part in json.properties():
                            yield from take(number, part, json)


def _message(source: str, chat: _Chat, message: _Message) -> Converted:
    if message.type == "unsupported":
        return Skipped("message of an unknown kind")
    space = space_of(chat.type, chat.id)
    system = message.type != "message"
    person = _person(message.actor_id if message.from_id is None else message.from_id)
    if not person and not system:
        if chat.type not in _CHANNELS:
            raise Unfit("has no from_id")
        person = space  # what a channel posts in its own name
    files = _files(message) if message.photo or message.file else NO_FILES
    return Activity(
        source,
        joined(space, str(message.id)),
        _time(message),
        person,
        space,
        chat.type in _DIRECT,
        Client.UNKNOWN,
        *files,
        by_bot=chat.type == "bot_chat" and person == space,
        system=system,
    )


def space_of(chat_type: str, number: int) -> str:
    """The space of a chat; written as exports write senders, so a bot and the chat with it have one id."""
    if chat_type in _CHANNELS:
        return f"channel{number}"
    return f"chat{number}" if chat_type == _GROUP else f"user{number}"


def _person(sender: str | int | None) -> str:
    """A sender; older exports write a number, whose upper half is its kind."""
    if isinstance(sender, int):
        kind, number = sender >> 32, sender & 0xFFFFFFFF
        return f"{_KINDS[kind]}{number}" if 0 <= kind < len(_KINDS) else f"peer{sender}"
    return sender or ""


def _time(message: _Message) -> int:
    if message.date_unixtime is not None:
        return from_decimal(message.date_unixtime)
    if message.date is None:
        raise Unfit("has no date")
    return from_iso(message.date, assume_utc=True)


def _files(message: _Message) -> Counted:
    files = Files()
    if message.photo:
        files.add(message.photo_file_size, "image")
    if message.file and message.media_type != "sticker":
        kind = _MEDIA.get(message.media_type or "") or message.mime_type
        files.add(message.file_size, kind, message.file_name)
    return files.counted()
