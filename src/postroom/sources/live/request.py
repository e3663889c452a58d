"""What a platform sends, and what was heard of it."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from postroom.domain.activity import Activity, Deletion
from postroom.sources.records import Converted
from postroom.sources.trouble import FAULTS

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True):
    """A request as it came, at `at` (ms UTC); names of headers are in lower case.

    `token` is what stands in the query.
    """

    headers: Mapping[bytes, bytes]
    body: bytes
    at: int
    token: str = ""

    def header(self, name: bytes) -> bytes:
        """A header; empty when it was not sent."""
        return self.headers.get(name, b"")

    @property
    def is_form(self) -> bool:
        """Whether the body is the form of a web page."""
        return self.header(b"content-type").lower().startswith(b"application/x-www-form-urlencoded")


class Heard(msgspec.Struct, frozen=True):
    """What to keep of a request; how many of its events are none to keep, and how many could not be read.

    `challenge` is what the platform wants to hear back.
    """

    records: tuple[Activity | Deletion, ...] = ()
    ignored: int = 0
    rejected: int = 0
    challenge: str | None = None


IGNORED = Heard(ignored=1)
REJECTED = Heard(rejected=1)


def same(given: bytes, secret: bytes) -> bool:
    """Whether somebody knows a secret, told in constant time; a secret that is empty nobody knows."""
    return bool(secret) and hmac.compare_digest(given, secret)


def decoded(decode: Callable[[bytes], T], body: bytes) -> T | None:
    """The body; None when it is not what it must be."""
    try:
        return decode(body)
    except FAULTS:
        return None


def heard(convert: Callable[[], Converted]) -> Heard:
    """What `convert` tells of one event, which may be unfit."""
    try:
        told = convert()
    except FAULTS:
        return REJECTED
    records = told if isinstance(told, tuple) else (told,)
    kept = tuple(record for record in records if isinstance(record, (Activity, Deletion)))
    return Heard(kept, ignored=0 if kept else 1)


def together(parts: Iterable[Heard]) -> Heard:
    """What was heard of several events of one request."""
    parts = list(parts)
    return Heard(
        tuple(record for part in parts for record in part.records),
        sum(part.ignored for part in parts),
        sum(part.rejected for part in parts),
    )
