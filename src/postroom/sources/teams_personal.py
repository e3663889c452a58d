"""A person's own export of Teams (free) or Skype: messages.json with `conversations`, each with a
MessageList.

* Spaces: a conversation 19:.. is a group; others are direct. The id of a direct one names the other
  participant. So its space is made of both, and is the same in the other's export.
* A message's id is its space and its id there. `properties.deletetime` (ms): deleted, and sent all the
  same.
* ThreadActivity/.., Event/.. and notices are the service's own; a sender 28:.. is a bot.
* Files: RichText/UriObject, Media_GenericFile, Media_Video, Media_AudioMsg, Media_CallRecording; their size
  is in the text. Media_CallRecording is a recording.
"""

import re
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Deletion, Id, Record, joined
from postroom.sources.archive import Archive
from postroom.sources.json_stream import JsonStream
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, from_list, guarded
from postroom.sources.times import from_iso, from_ms
from postroom.sources.trouble import Unfit

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
    id: Id
    originalarrivaltime: str
    messagetype: str | None = None
    conversationid: Id | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    properties: _Properties | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


_MESSAGE = Form(_Message)


def read_file(archive: Archive, name: str, source: str) -> Iterator[Record]:
    """The messages of all conversations of one export."""
    return guarded(name, _read(archive, name, source))


def _read(archive: Archive, name: str, source: str) -> Iterator[Record]:
    owner = _owner(archive, name)
    with archive.open(name) as member:
        json = JsonStream(member.read)
        for key in json.properties():
            if key == "conversations":
                for number, _ in enumerate(json.entries(), 1):
                    yield from _of_conversation(json, f"{name}: conversation {number}", source, owner)


def _owner(archive: Archive, name: str) -> str:
    with archive.open(name) as member:
        json = JsonStream(member.read)
        for key in json.properties():
            if key == "userId":
                return _CONTENT(json.raw())
    raise Unfit("has no userId")


def _of_conversation(json: JsonStream, place: str, source: str, owner: str) -> Iterator[Record]:
    identity = ""
    for key in json.properties():
        if key == "id":
            identity = _CONTENT(json.raw())
        elif key == "MessageList":
            yield from from_list(json, _MESSAGE, partial(_message, source, owner, identity), place)


def _message(source: str, owner: str, identity: str, message: _Message) -> Converted:
    sent = _sent(source, owner, message.conversationid or identity, message)
    if message.properties is None or message.properties.deletetime is None:
        return sent
    return sent, Deletion(source, sent.message_id, _deleted(message.properties.deletetime))


def _deleted(at: int | str) -> int | None:
    text = str(at)
    return from_ms(int(text)) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _sent(source: str, owner: str, conversation: str, message: _Message) -> Activity:
    if not conversation:
        raise Unfit("has no conversation")
    kind, sender = message.messagetype or "", message.sender or ""
    direct = not conversation.startswith("19:")
    space = joined(*sorted((owner, conversation))) if direct else conversation
    system = kind.startswith(_OWN) and kind != _ENCRYPTED
    if not sender and not system:
        raise Unfit("has no sender")
    files = _files(kind, message) if kind in _FILES else NO_FILES
    return Activity(
        source,
        joined(space, message.id),
        from_iso(message.originalarrivaltime),
        sender,
        space,
        direct,
        Client.UNKNOWN,
        *files,
        by_bot=sender.startswith(_BOT),
        system=system,
    )


def _files(kind: str, message: _Message) -> Counted:
    files = Files(recording=kind == _RECORDING)
    size = _SIZE.search(bytes(message.content))
    files.add(int(size[1]) if size else None, _FILES[kind])
    return files.counted()
