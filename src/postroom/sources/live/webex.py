"""Webex's webhooks for messages.

* `X-Spark-Signature` is the HMAC-SHA1 of the body with the webhook's secret, in hexadecimal. A longer one, of
  SHA-256 or SHA-512, is taken too, also as `X-Webex-Signature`: nobody can make one without the secret.
* What a webhook tells is the event: no text, and of files only their URLs, so their sizes are unknown. Its
  `created` is when the webhook was made, so when a message was deleted is unknown as well.
* Other resources, and edits, are ignored, whatever they look like.

https://developer.webex.com/docs/receive-and-verify-webhooks
"""

import hmac

import msgspec

from postroom.sources import webex
from postroom.sources.live.request import IGNORED, REJECTED, Heard, Request, decoded, heard, same

_HEADERS = (b"x-spark-signature", b"x-webex-signature")
_ALGORITHMS = {40: "sha1", 64: "sha256", 128: "sha512"}  # by the length of a signature
_TOLD = {"created", "deleted"}


class _Kind(msgspec.Struct):
    resource: str
    event: str


_KIND = msgspec.json.Decoder(_Kind).decode
_EVENT = msgspec.json.Decoder(webex.Message).decode


def verified(secret: str, request: Request) -> bool:
    """Whether Webex signed it."""
    if not secret:
        return False
    return any(_is_signature(request.header(name), secret, request.body) for name in _HEADERS)


def _is_signature(given: bytes, secret: str, body: bytes) -> bool:
    digits = given.rpartition(b"=")[2].strip().lower()
    algorithm = _ALGORITHMS.get(len(digits))
    if algorithm is None:
        return False
    return same(digits, hmac.new(secret.encode(), body, algorithm).hexdigest().encode())


def read(source: str, request: Request) -> Heard:
    """What the webhook says."""
    kind = decoded(_KIND, request.body)
    if kind is None:
        return REJECTED
    if kind.resource != "messages" or kind.event not in _TOLD:
        return IGNORED
    event = decoded(_EVENT, request.body)
    if event is None or event.data is None:
        return REJECTED
    return heard(lambda: webex.record(source, msgspec.structs.replace(event, created=None)))
