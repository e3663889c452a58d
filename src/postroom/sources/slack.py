"""Slack's export: channels.json and others, and a folder for each channel with a file for each day.

* Messages of people have no subtype, or file_share, me_message or thread_broadcast. A `bot_id` that is not
  null, bot_message, and Slackbot and its answers (slackbot_response) make a bot's. Other subtypes are Slack's
  own messages (joins, topics, calls), except those in `_SKIPPED`, which repeat or change a message.
* The time is `ts`; the day in a file's name is the workspace's, not UTC.
* A message's id is its channel and `ts`. So a reply that was also sent to the channel, which stands in an
  export twice, is one message.
* Spaces: dms.json are direct; channels.json, groups.json, mpims.json and file_conversations.json are groups.
* A tombstone, or message_deleted, is a deletion; the latter may still carry the message.
* Files: `files`, or the older `file`. A file that was deleted, is hidden by a plan's limit, or is kept
  elsewhere, was shared as well, and has an unknown size. Clips (slack_video, slack_audio) are video and audio
  as Slack says, whatever their type.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Damaged, Deletion, Id, Record, Skipped, joined
from postroom.sources.archive import Archive
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, Outline, records
from postroom.sources.times import from_decimal
from postroom.sources.trouble import Unfit

NAME = "slack"
EXPECTED = (
    "a Slack export: a zip or folder with channels.json (or groups.json, mpims.json, dms.json), and a folder "
    "for each channel with files such as 2024-01-31.json."
)
_INDEXES = {
    "channels.json": False,
    "groups.json": False,
    "mpims.json": False,
    "dms.json": True,
    "file_conversations.json": False,
}
_DAY = re.compile(r"(?:(?P<above>.*)/)?(?P<folder>[^/]+)/\d{4}-\d{2}-\d{2}\.json")
_LIST = Outline(False)
_OF_BOTS = {"bot_message", "slackbot_response"}
_SENT = {None, "file_share", "me_message", "thread_broadcast", *_OF_BOTS}
_SKIPPED = {
    "message_changed": "edit",
    "message_replied": "notice of a reply",
    "reply_broadcast": "notice of a reply",
    "file_comment": "comment on a file",
}
_SLACKBOT = "USLACKBOT"
_CLIPS = {"slack_video": "video", "slack_audio": "audio"}
_GONE = {"tombstone", "hidden_by_limit", "external"}

_NULL = msgspec.Raw(b"null")

Scalar = str | int | float | bool | None


class _Channel(msgspec.Struct):
    id: Id
    name: str | None = None


class _File(msgspec.Struct):
    size: Scalar = None
    mimetype: str | None = None
    name: str | None = None
    mode: str | None = None
    subtype: str | None = None
    media_display_type: str | None = None
    user: str | None = None


class Message(msgspec.Struct):
    """A message as Slack has it, in an export and in an event."""

    ts: str
    type: str | None = None
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    files: list[_File | None] | None = None
    file: _File | None = None
    deleted_ts: str | None = None
    previous_message: msgspec.Raw = _NULL
    original: msgspec.Raw = _NULL


class Space(msgspec.Struct, frozen=True):
    """A channel or conversation of Slack: its id, and whether it is between two people."""

    id: str
    direct: bool


_CHANNEL = Form(_Channel)
_MESSAGE = Form(Message)


def message_id(channel: str, ts: str) -> str:
    """The id of the message of this channel and `ts`."""
    return joined(channel, ts)


def fits(archive: Archive) -> bool:
    """Whether there is a list of channels, and a file of a day in one's folder."""
    names = archive.texts
    return any(_base(name) in _INDEXES for name in names) and any(_DAY.fullmatch(name) for name in names)


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all channels, folder by folder."""
    spaces: dict[str, Space] = {}
    for name in archive.texts:
        if _base(name) in _INDEXES:
            yield from records(archive, name, _LIST, _CHANNEL, partial(_learn, spaces, name))
    unknown: set[str] = set()
    for name in archive.texts:
        found = _DAY.fullmatch(name)
        if found is None:
            continue
        folder = _key(found["above"] or "", found["folder"])
        if folder in spaces:
            yield from records(archive, name, _LIST, _MESSAGE, partial(record, source, spaces[folder]))
        elif folder not in unknown:
            unknown.add(folder)
            yield Damaged(
                name.rpartition("/")[0], "is in no list of channels, so its messages have no ids; left out"
            )


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _key(above: str, folder: str) -> str:
    """A channel's folder; a folder that was unpacked on a Mac spells accents in two characters."""
    return unicodedata.normalize("NFC", f"{above}/{folder}")


def _learn(spaces: dict[str, Space], index: str, channel: _Channel) -> Converted:
    above, _, kind = index.rpartition("/")
    space = Space(channel.id, _INDEXES[kind])
    spaces[_key(above, channel.name or channel.id)] = space
    return ()


def record(source: str, space: Space, message: Message) -> Converted:
    """What a message of this space tells."""
    if message.type not in {None, "message"}:
        return Skipped("not a message")
    if message.subtype in _SENT:
        return _sent(source, space, message)
    at = from_decimal(message.ts)
    if message.subtype == "tombstone":
        return Deletion(source, message_id(space.id, message.ts))
    if message.subtype == "message_deleted":
        return _deleted(source, space, message)
    if message.subtype in _SKIPPED:
        return Skipped(_SKIPPED[message.subtype], at)
    sent_by = message.user or message.bot_id or ""
    return Activity(
        source, message_id(space.id, message.ts), at, sent_by, space.id, space.direct, system=True
    )


def _sent(source: str, space: Space, message: Message) -> Activity:
    person, bot = message.user, message.bot_id
    by_bot = bool(bot) or message.subtype in _OF_BOTS or person == _SLACKBOT
    if not person and message.file is not None:  # as some of the older exports have it
        person = message.file.user
    if not person and not by_bot:
        raise Unfit("has no sender")
    files = _files(message) if message.files or message.file else NO_FILES
    return Activity(
        source,
        message_id(space.id, message.ts),
        from_decimal(message.ts),
        person or bot or "",
        space.id,
        space.direct,
        Client.UNKNOWN,
        *files,
        by_bot=by_bot,
    )


def _deleted(source: str, space: Space, message: Message) -> Converted:
    """A deletion that was logged, with the message where the log holds it."""
    raws = [bytes(raw) for raw in (message.previous_message, message.original)]
    before = next((_MESSAGE.one(raw) for raw in raws if raw != b"null"), None)
    gone = message.deleted_ts or (before.ts if before else None)
    if gone is None:
        return Skipped("deletion of an unknown message")
    sent = None
    if before is not None and before.ts == gone and before.subtype in _SENT and before.user:
        sent = _sent(source, space, before)
    return Deletion(source, message_id(space.id, gone), from_decimal(message.ts), sent)


def _media(shown_as: str | None) -> str | None:
    return shown_as if shown_as in _CLIPS.values() else None


def _files(message: Message) -> Counted:
    files = Files()
    for file in message.files or [message.file]:
        if file is None:
            continue
        size = None if file.mode in _GONE else file.size
        kind = _CLIPS.get(file.subtype or "") or _media(file.media_display_type) or file.mimetype
        files.add(size, kind, file.name)
    return files.counted()
