"""Discord: the JSON of DiscordChatExporter, a file for each channel or thread, or several parts of one.

* Default and Reply are messages; all other types (joins, pins, calls, boosts, commands) are Discord's own.
* A message's id is unique in all of Discord, so parts and exports may overlap.
* Spaces: DirectTextChat is direct; a group of direct messages, channels and threads are groups.
* `isBot` is a bot, also a webhook's.
* Files are `attachments`, with their size; their kind goes by their name (voice messages end in .ogg).
  Those of a forwarded message were shared before, and stickers are none.
"""

from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Damaged, Id, Record
from postroom.sources.archive import Archive
from postroom.sources.json_stream import JsonStream
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Form, from_list, guarded
from postroom.sources.times import from_iso
from postroom.sources.trouble import FAULTS, Unreadable

NAME = "discord"
EXPECTED = (
    'channels of Discord in the JSON of DiscordChatExporter, each a file with "guild", "channel" and '
    '"messages".'
)
_MESSAGES = {"Default", "Reply"}
_DIRECT = "DirectTextChat"


class _Channel(msgspec.Struct):
    id: Id
    type: str


class _Author(msgspec.Struct, rename="camel"):
    id: Id
    is_bot: bool = False


class _Attachment(msgspec.Struct, rename="camel"):
    file_size_bytes: int | float | None = None
    file_name: str | None = None


class _Message(msgspec.Struct):
    id: Id
    type: str
    timestamp: str
    author: _Author
    attachments: list[_Attachment] | None = None


_MESSAGE = Form(_Message)
_CHANNEL = msgspec.json.Decoder(_Channel).decode


def fits(archive: Archive) -> bool:
    """Whether some file is a channel with messages."""
    return any(isinstance(_channel(archive, name), _Channel) for name in archive.texts)


def _channel(archive: Archive, name: str) -> _Channel | str:
    """The channel that a file is of, or why it is of none."""
    try:
        with archive.open(name) as member:
            json = JsonStream(member.read)
            for key in json.properties():
                if key == "channel":
                    return _CHANNEL(json.raw())
        return "is not a channel of DiscordChatExporter"
    except (Unreadable, *FAULTS):
        return "cannot be read"


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all channels."""
    for name in archive.texts:
        channel = _channel(archive, name)
        if isinstance(channel, _Channel):
            yield from guarded(name, _of_channel(archive, name, source, channel))
        else:
            yield Damaged(name, channel)


def _of_channel(archive: Archive, name: str, source: str, channel: _Channel) -> Iterator[Record]:
    with archive.open(name) as member:
        json = JsonStream(member.read)
        for key in json.properties():
            if key == "messages":
                yield from from_list(json, _MESSAGE, partial(_message, source, channel), name)


def _message(source: str, channel: _Channel, message: _Message) -> Activity:
    files = _files(message) if message.attachments else NO_FILES
    return Activity(
        source,
        message.id,
        from_iso(message.timestamp),
        message.author.id,
        channel.id,
        channel.type == _DIRECT,
        Client.UNKNOWN,
        *files,
        by_bot=message.author.is_bot,
        system=message.type not in _MESSAGES,
    )


def _files(message: _Message) -> Counted:
    files = Files()
    for attachment in message.attachments or ():
        files.add(attachment.file_size_bytes, name=attachment.file_name)
    return files.counted()
