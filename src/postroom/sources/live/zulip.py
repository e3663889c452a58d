"""Zulip's outgoing webhooks, in Zulip's own format.

* The bot's token is in the body.
* Zulip calls for messages in which the bot is mentioned, and in private conversations that the bot is in; not
  for those of bots.
* Streams are groups; a private conversation of two is direct, of more a group.
* Files are links /user_uploads/ in the text: their sizes are unknown.

https://zulip.com/api/outgoing-webhook-payload
"""

import re

import msgspec

from postroom.domain.activity import Activity, Client
from postroom.sources import zulip
from postroom.sources.live.request import REJECTED, Heard, Request, decoded, heard, same
from postroom.sources.media import Counted, Files
from postroom.sources.times import from_seconds
from postroom.sources.trouble import Unfit

_LINK = re.compile(r"/user_uploads/[^\s)\]>\"]*")


class _Token(msgspec.Struct):
    token: str


class _User(msgspec.Struct):
    id: int


class _Message(msgspec.Struct):
    id: int
    sender_id: int
    timestamp: int | float
    type: str
    client: str | None = None
    recipient_id: int | None = None
    stream_id: int | None = None
    display_recipient: str | list[_User] = ""
    content: str = ""


class _Call(msgspec.Struct):
    message: _Message


_TOKEN = msgspec.json.Decoder(_Token).decode
_CALL = msgspec.json.Decoder(_Call).decode


def verified(secret: str, request: Request) -> bool:
    """Whether the token is the bot's."""
    found = decoded(_TOKEN, request.body)
    return found is not None and same(found.token.encode("utf-8", "replace"), secret.encode())


def read(source: str, request: Request) -> Heard:
    """What the message says."""
    call = decoded(_CALL, request.body)
    return REJECTED if call is None else heard(lambda: _sent(source, call.message))


def _sent(source: str, message: _Message) -> Activity:
    space, direct = _space(message)
    return Activity(
        source,
        str(message.id),
        from_seconds(message.timestamp),
        str(message.sender_id),
        space,
        direct,
        zulip.client_of(message.client) if message.client else Client.UNKNOWN,
        *_files(message.content),
    )


def _space(message: _Message) -> tuple[str, bool]:
    if message.type == "stream" and message.stream_id is not None:
        return zulip.stream(message.stream_id), False
    if isinstance(message.display_recipient, str):
        raise Unfit("has neither a stream nor recipients")
    members = sorted({user.id for user in message.display_recipient} | {message.sender_id})
    if len(members) <= 2:
        return zulip.between(members[0], members[-1]), True
    if message.recipient_id is None:
        raise Unfit("has no recipient_id")
    return zulip.group(message.recipient_id), False


def _files(content: str) -> Counted:
    files = Files()
    for link in _LINK.findall(content):
        files.add(name=link.rpartition("/")[2])
    return files.counted()
