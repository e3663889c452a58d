"""Rocket.Chat's outgoing webhooks.

* The integration's token is in the body.
* The events Message Sent and File Uploaded carry messages; of the others there is nothing to count. A message
  that was edited comes again, marked so, and changes nothing.
* Message Sent tells nothing of files, and File Uploaded comes after it. So a message of a person without text
  counts as one with a file of unknown size; where only File Uploaded is sent here, sizes and kinds are known.
* A room is direct when its id is made of its two users', or when File Uploaded says so.
* Bots: a `bot` that is set, and rocket.cat.

https://docs.rocket.chat/docs/outgoing-integration-scripts
"""

import msgspec

from postroom.domain.activity import Activity, Client, Id, Skipped
from postroom.sources import rocketchat
from postroom.sources.live.request import REJECTED, Heard, Request, decoded, heard, same
from postroom.sources.media import NO_FILES, Files
from postroom.sources.records import Converted
from postroom.sources.rocketchat import House, Message, Room, Time
from postroom.sources.trouble import Unfit


class _Token(msgspec.Struct):
    token: str


class _Event(msgspec.Struct):
    message_id: Id | None = None
    channel_id: Id | None = None
    user_id: Id | None = None
    timestamp: Time | None = None
    text: str | None = None
    bot: msgspec.Raw = msgspec.Raw(b"null")
    edited: bool = msgspec.field(default=False, name="isEdited")
    message: Message | None = None
    room: Room | None = None


_TOKEN = msgspec.json.Decoder(_Token).decode
_EVENT = msgspec.json.Decoder(_Event).decode


def verified(secret: str, request: Request) -> bool:
    """Whether the token is the integration's."""
    found = decoded(_TOKEN, request.body)
    return found is not None and same(found.token.encode("utf-8", "replace"), secret.encode())


def read(source: str, request: Request) -> Heard:
    """What the event says."""
    event = decoded(_EVENT, request.body)
    return REJECTED if event is None else heard(lambda: _told(source, event))


def _told(source: str, event: _Event) -> Converted:
    if event.message_id is None:
        return Skipped("event of something else")
    if event.edited:
        return Skipped("edit")
    house = House()
    if event.room is not None:
        house.room(event.room)
    if event.message is not None:
        return rocketchat.sent(source, house, event.message)
    return _sent(source, house, event, event.message_id)


def _sent(source: str, house: House, event: _Event, message_id: str) -> Activity:
    if event.channel_id is None or event.user_id is None or event.timestamp is None:
        raise Unfit("has no channel_id, no user_id or no timestamp")
    by_bot = house.is_bot(event.user_id, event.bot)
    files = Files()
    if not event.text and not by_bot:
        files.add()
    return Activity(
        source,
        message_id,
        rocketchat.time_of(event.timestamp),
        event.user_id,
        event.channel_id,
        house.is_direct(event.channel_id, event.user_id),
        Client.UNKNOWN,
        *(files.counted() if files.count else NO_FILES),
        by_bot=by_bot,
    )
