"""A person's own export of Teams (free) or Skype: messages.json with `conversations`, each with a MessageList.

* Spaces: a conversation 19:.. is a group; others are direct. The id of a direct one names the other participant,
  so its space is made of both: it is the same in the other's export.
* A message's id is its space and its id there. `properties.deletetime` (ms): deleted, and sent all the same.
* ThreadActivity/.., Event/.. and notices are the service's own; a sender 28:.. is a bot.
* Files: RichText/UriObject, Media_GenericFile, Media_Video, Media_AudioMsg, Media_CallRecording; their size is
  in the text. Media_CallRecording is a recording.
"""

import re
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Damaged, Deletion, Record, joined
from postroom.sources.archive import Archive
from postroom.sources.json_stream import JsonStream
from postroom.sources.media import NO_FILES, Files
from postroom.sources.records import Converted, Form, from_list, guarded
from postroom.sources.times import from_iso, from_ms
from postroom.sources.trouble import FAULTS, Unfit

_SIZE = re.compile(rb'(?i)<FileSize v=\\?"(\d{1,15})\\?"')
_FILES = {
    "RichText/UriObject": "image",
    "RichText/Media_GenericFile": "",
    "RichText/Media_Video": "video",
    "RichText/Media_AudioMsg": "audio",
    "RichText/Media_CallRecording": "video",
}
_RECORDING = "RichText/Media_CallRecording"
_OWN = ("ThreadActivity/", "Event/", "EndToEndEncryption/", "Notice", "PopCard")
_ENCRYPTED = "EndToEndEncryption/EncryptedText"
_BOT = "28:"
_CONTENT = msgspec.json.Decoder(str).decode


class _Properties(msgspec.Struct):
    deletetime: int | str | None = None


class _Message(msgspec.Struct):
    id: str
    originalarrivaltime: str
    messagetype: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    properties: _Properties | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


_MESSAGE = Form(_Message)


class _Conversation:
    """Whose messages come."""

    def __init__(self, source: str, owner: str, identity: str) -> None:
        self.source = source
        self.direct = not identity.startswith("19:")
        self.space = joined(*sorted((owner, identity))) if self.direct else identity


def read_file(archive: Archive, name: str, source: str) -> Iterator[Record]:
    """The messages of all conversations of one export."""
    return guarded(name, _read(archive, name, source))


def _read(archive: Archive, name: str, source: str) -> Iterator[Record]:
    owner = _owner(archive, name)
    with archive.open(name) as member:
        json = JsonStream(member.read)
        for key in json.properties():
            if key == "conversations":
                for _ in json.entries():
                    yield from _of_conversation(json, name, source, owner)


def _owner(archive: Archive, name: str) -> str:
    with archive.open(name) as member:
        json = JsonStream(member.read)
        for key in json.properties():
            if key == "userId":
                return _CONTENT(json.raw())
    raise Unfit("has no userId")


def _of_conversation(json: JsonStream, name: str, source: str, owner: str) -> Iterator[Record]:
    conversation: _Conversation | None = None
    for key in json.properties():
        if key == "id":
            conversation = _Conversation(source, owner, _CONTENT(json.raw()))
        elif key == "MessageList" and conversation is not None:
            place = f"{name}: {conversation.space}"
            yield from from_list(json, _MESSAGE, partial(_message, conversation), place)
        elif key == "MessageList":
            yield Damaged(name, "has a conversation whose id does not come before its messages; left out")
