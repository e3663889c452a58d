"""Zulip's outgoing webhooks, in Zulip's own format.

* The bot's token is in the body.
* Zulip calls for messages in which the bot is mentioned, and in private conversations that the bot is in; not
  for those of bots.
* A message is as in an answer of the API.

https://zulip.com/api/outgoing-webhook-payload
"""

import msgspec

from postroom.sources import zulip
from postroom.sources.live.request import REJECTED, Heard, Request, decoded, heard, same


class _Token(msgspec.Struct):
    token: str


class _Call(msgspec.Struct):
    message: zulip.Message


_TOKEN = msgspec.json.Decoder(_Token).decode
_CALL = msgspec.json.Decoder(_Call).decode


def verified(secret: str, request: Request) -> bool:
    """Whether the token is the bot's."""
    found = decoded(_TOKEN, request.body)
    return found is not None and same(found.token.encode("utf-8", "replace"), secret.encode())


def read(source: str, request: Request) -> Heard:
    """What the message says."""
    call = decoded(_CALL, request.body)
    return REJECTED if call is None else heard(lambda: zulip.sent(source, call.message))
