"""Webex: messages as the API lists them, or events (compliance), in a list, in `items`, or one on each line.

* Items of /messages are messages. Of /events and webhooks those with the resource messages count: created
  is a message, deleted a deletion; updated is an edit; other resources (memberships, meetings) are skipped.
* Spaces go by `roomId`; `roomType` direct or group. Nothing names the client.
* Bots are known by their address (@webex.bot, @sparkbot.io), which is not kept.
* Files are URLs, so their size and kind are unknown; a name at the end of a URL tells its kind.
"""

from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Deletion, Id, Record, Skipped
from postroom.sources.archive import Archive
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import Converted, Form, Outline, outline, records, unreadable, without_messages
from postroom.sources.times import from_iso
from postroom.sources.trouble import Unfit

NAME = "webex"
EXPECTED = (
    "messages of Webex in JSON: what the API answers to /messages or /events (a list, or `items`), or one of "
    "them on each line."
)
_LISTS = ("items",)
_BOTS = ("@webex.bot", "@sparkbot.io")


class Message(msgspec.Struct, rename="camel"):
    """A message, or an event with a message in `data`."""

    id: Id
    created: str | None = None
    room_id: Id | None = None
    room_type: str | None = None
    person_id: Id | None = None
    person_email: str | None = None
    files: list[str] | None = None
    resource: str | None = None
    type: str | None = None
    event: str | None = None
    data: "Message | None" = None


_MESSAGE = Form(Message)


def fits(archive: Archive) -> bool:
    """Whether some file has messages or events."""
    outlines = (outline(archive, name, _LISTS) for name in archive.texts)
    return any(found is not None and _has_messages(found) for found in outlines)


def _has_messages(found: Outline) -> bool:
    return found.has("id", "roomId", "personId", "created") or found.has("id", "resource", "data")


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all files."""
    for name in archive.texts:
        found = outline(archive, name, _LISTS)
        if found is None:
            yield unreadable(name)
        elif _has_messages(found):
            yield from records(archive, name, found, _MESSAGE, partial(record, source))
        elif found.has("roomId", "personId"):
            yield without_messages(name)


def record(source: str, told: Message) -> Converted:
    """What a message, or an event, tells."""
    if told.resource is None:
        return _sent(source, told)
    if told.resource != "messages" or told.data is None:
        return Skipped("event of something else")
    match told.type or told.event:
        case "created":
            return _sent(source, told.data)
        case "deleted":
            return Deletion(source, told.data.id, from_iso(told.created) if told.created else None)
        case _:
            return Skipped("edit")


def _sent(source: str, message: Message) -> Activity:
    if message.person_id is None or message.room_id is None or message.created is None:
        raise Unfit("has no personId, no roomId or no created")
    if message.room_type not in {"direct", "group"}:
        raise Unfit("has no roomType that is direct or group")
    files = _files(message.files) if message.files else NO_FILES
    return Activity(
        source,
        message.id,
        from_iso(message.created),
        message.person_id,
        message.room_id,
        message.room_type == "direct",
        Client.UNKNOWN,
        *files,
        by_bot=(message.person_email or "").endswith(_BOTS),
    )


def _files(urls: list[str]) -> Counted:
    files = Files()
    for url in urls:
        files.add(name=url.partition("?")[0].rpartition("/")[2])
    return files.counted()
