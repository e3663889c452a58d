"""Slack's Events API.

* `X-Slack-Signature` is `v0=` and the HMAC-SHA256 of `v0:` timestamp `:` body, with the app's signing secret.
  The timestamp is a part of it, so that an old request cannot be sent again: it holds for five minutes.
* `url_verification` asks for its challenge back, when the URL is entered.
* Of the events those of the type message count, as in an export. Other types are ignored.
* `channel_type` im (and app_home, a conversation with an app) is direct; channel, group and mpim are groups.
* A message with replies that is deleted comes as message_changed into a tombstone.

https://docs.slack.dev/authentication/verifying-requests-from-slack
https://docs.slack.dev/reference/events/message
"""

import hashlib
import hmac

import msgspec

from postroom.domain.activity import Deletion, Id
from postroom.domain.clock import MINUTE, SECOND
from postroom.sources import slack
from postroom.sources.live.request import IGNORED, REJECTED, Heard, Request, decoded, heard, same
from postroom.sources.records import Converted
from postroom.sources.times import from_decimal

FRESH = 5 * MINUTE
_DIRECT = {"im", "app_home"}


class _Envelope(msgspec.Struct):
    type: str
    challenge: str | None = None
    event: msgspec.Raw = msgspec.Raw(b"null")


class _Kind(msgspec.Struct):
    type: str | None = None


class _Sent(slack.Message, kw_only=True):
    channel: Id
    channel_type: str | None = None
    message: slack.Message | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope).decode
_KIND = msgspec.json.Decoder(_Kind).decode
_SENT = msgspec.json.Decoder(_Sent).decode


def verified(secret: str, request: Request) -> bool:
    """Whether Slack signed it, not long ago."""
    timestamp = request.header(b"x-slack-request-timestamp")
    signed = b"v0:" + timestamp + b":" + request.body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    if not secret or not same(request.header(b"x-slack-signature"), expected.encode()):
        return False
    fresh = timestamp.isdigit() and len(timestamp) < 15
    return fresh and abs(int(timestamp) * SECOND - request.at) <= FRESH


def read(source: str, request: Request) -> Heard:
    """What the event says."""
    envelope = decoded(_ENVELOPE, request.body)
    if envelope is None:
        return REJECTED
    if envelope.type == "url_verification":
        return Heard(challenge=envelope.challenge or "")
    if envelope.type != "event_callback":
        return IGNORED
    kind = decoded(_KIND, bytes(envelope.event))
    if kind is not None and kind.type != "message":
        return IGNORED
    return heard(lambda: _told(source, _SENT(bytes(envelope.event))))


def _told(source: str, event: _Sent) -> Converted:
    now = event.message
    if event.subtype == "message_changed" and now is not None and now.subtype == "tombstone":
        return Deletion(source, slack.message_id(event.channel, now.ts), from_decimal(event.ts))
    return slack.record(source, slack.Space(event.channel, _is_direct(event)), event)


def _is_direct(event: _Sent) -> bool:
    if event.channel_type is None:  # as in the first years of the API
        return event.channel.startswith("D")
    return event.channel_type in _DIRECT
