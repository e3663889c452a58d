"""Microsoft Teams: chatMessages of Graph, or of an export of teams and users, and a person's own export.

Three outlines are read:
* Graph's chatMessage (`id`, `createdDateTime`), in a list, in `value`, or one on each line.
* The same with capitals (`Id`, `CreatedDateTime`), a list for each team and each user. A direct chat is in
  both participants' files with the same ids; so are a group's messages in its members' files.
* messages.json of a person's own export: see `teams_personal.py`.

Rules:
* A message's id is its chat or channel, and its id there.
* Spaces: a chat ..@unq.gbl.spaces is direct, and so are one's own notes; ..@thread.v2 and channels are
  groups.
* `from.application` is a bot. Without a sender, or of any type but message, it is Teams' own.
* `deletedDateTime`: deleted, and sent all the same.
* Files: attachments that are references, or audio, video and pictures of their own; cards, quotes and
  forwarded messages are none. None has a size.
* Recordings: Teams' own notice that a call's recording is there, and files that are named like one.
"""

import re
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Deletion, Id, Record, joined
from postroom.sources import teams_personal
from postroom.sources.archive import Archive
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, outline, records, unreadable, without_messages
from postroom.sources.times import from_iso
from postroom.sources.trouble import Unfit

NAME = "teams"
EXPECTED = (
    "messages of Microsoft Teams in JSON: chatMessages of Graph (a list, or one on each line), an export "
    "with messages_....json for each team and user, or messages.json of a person's own export."
)
_PERSONAL = "conversations"
_LISTS = ("value", _PERSONAL)
_PLAIN = ("id", "createdDateTime", "messageType")
_CAPITAL = ("Id", "CreatedDateTime", "MessageType")
_RECORDED = re.compile(rb'(?i)"callRecordingStatus"\s*:\s*"success"')
_DIRECT = ("@unq.gbl.spaces", "48:notes")
_FILES = {
    "reference": "",
    "application/vnd.microsoft.teams.file.download.info": "",
    "application/vnd.microsoft.card.audio": "audio",
    "application/vnd.microsoft.card.video": "video",
}


class _Party(msgspec.Struct):
    id: str | None = None


class _Sender(msgspec.Struct):
    user: _Party | None = None
    application: _Party | None = None


class _Channel(msgspec.Struct, rename="camel"):
    channel_id: Id | None = None


class _Attachment(msgspec.Struct, rename="camel"):
    content_type: str | None = None
    name: str | None = None


class _Message(msgspec.Struct, rename="camel"):
    id: Id
    created_date_time: str
    message_type: str | None = None
    deleted_date_time: str | None = None
    sender: _Sender | None = msgspec.field(default=None, name="from")
    attachments: list[_Attachment] | None = None
    channel_identity: _Channel | None = None
    chat_id: Id | None = None
    event_detail: msgspec.Raw = msgspec.Raw(b"null")


class _CapitalParty(msgspec.Struct, rename="pascal"):
    id: str | None = None


class _CapitalSender(msgspec.Struct, rename="pascal"):
    user: _CapitalParty | None = None
    application: _CapitalParty | None = None


class _CapitalChannel(msgspec.Struct, rename="pascal"):
    channel_id: Id | None = None


class _CapitalAttachment(msgspec.Struct, rename="pascal"):
    content_type: str | None = None
    name: str | None = None


class _CapitalMessage(msgspec.Struct, rename="pascal"):
    id: Id
    created_date_time: str
    message_type: str | None = None
    deleted_date_time: str | None = None
    sender: _CapitalSender | None = msgspec.field(default=None, name="From")
    attachments: list[_CapitalAttachment] | None = None
    channel_identity: _CapitalChannel | None = None
    chat_id: Id | None = None
    event_detail: msgspec.Raw = msgspec.Raw(b"null")


_MESSAGE, _CAPITAL_MESSAGE = Form(_Message), Form(_CapitalMessage)


def fits(archive: Archive) -> bool:
    """Whether some file has messages in one of the outlines."""
    return any(_fits(archive, name) for name in archive.texts)


def _fits(archive: Archive, name: str) -> bool:
    found = outline(archive, name, _LISTS)
    if found is None:
        return False
    return found.key == _PERSONAL or found.has(*_PLAIN) or found.has(*_CAPITAL)


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all files, as often as they are there; their ids tell which are the same."""
    for name in archive.texts:
        yield from _of_file(archive, name, source)


def _of_file(archive: Archive, name: str, source: str) -> Iterator[Record]:
    found = outline(archive, name, _LISTS)
    if found is None:
        yield unreadable(name)
    elif found.key == _PERSONAL:
        yield from teams_personal.read_file(archive, name, source)
    elif found.has(*_PLAIN):
        yield from records(archive, name, found, _MESSAGE, partial(_message, source))
    elif found.has(*_CAPITAL):
        yield from records(archive, name, found, _CAPITAL_MESSAGE, partial(_message, source))
    elif found.has("messageType") or found.has("MessageType"):
        yield without_messages(name)


def _message(source: str, message: _Message | _CapitalMessage) -> Converted:
    channel = message.channel_identity
    space = message.chat_id or (channel.channel_id if channel else None)
    if space is None:
        raise Unfit("has neither a chat nor a channel")
    sent = _sent(source, space, message)
    if message.deleted_date_time is None:
        return sent
    return sent, Deletion(source, sent.message_id, from_iso(message.deleted_date_time))


def _sent(source: str, space: str, message: _Message | _CapitalMessage) -> Activity:
    person, by_bot = _person(message)
    recorded = _RECORDED.search(bytes(message.event_detail)) is not None
    files = _files(message, recorded) if message.attachments or recorded else NO_FILES
    return Activity(
        source,
        joined(space, message.id),
        from_iso(message.created_date_time),
        person,
        space,
        space.endswith(_DIRECT),
        Client.UNKNOWN,
        *files,
        by_bot=by_bot,
        system=not person or message.message_type != "message",
    )


def _person(message: _Message | _CapitalMessage) -> tuple[str, bool]:
    sender = message.sender
    if sender is None:
        return "", False
    if sender.user is not None and sender.user.id:
        return sender.user.id, False
    if sender.application is not None:
        return sender.application.id or "", True
    return "", False


def _files(message: _Message | _CapitalMessage, recorded: bool) -> Counted:
    files = Files(recording=recorded)
    for attachment in message.attachments or ():
        kind = attachment.content_type or ""
        if kind in _FILES:
            files.add(kind=_FILES[kind], name=attachment.name)
        elif kind.startswith(("audio/", "video/", "image/")):
            files.add(kind=kind, name=attachment.name)
    return files.counted()
