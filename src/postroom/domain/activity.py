"""Activity of chat platforms: the counted facts, and what else a source may tell."""

import hashlib
from enum import IntEnum
from typing import Annotated

import msgspec

EARLIEST = 631_152_000_000
"""1990-01-01 UTC in ms; seconds that were taken for milliseconds lie before it."""
LATEST = 4_102_444_800_000
"""2100-01-01 UTC in ms; microseconds that were taken for milliseconds lie after it."""
LONGEST_ID = 1000  # characters
MOST_FILES = 10_000
MOST_BYTES = 1 << 42
"""Of one message's files; 64 bits hold the sum of two million such messages."""

Time = Annotated[int, msgspec.Meta(ge=EARLIEST, lt=LATEST)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]
FileCount = Annotated[int, msgspec.Meta(ge=0, le=MOST_FILES)]
ByteCount = Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)]


class Client(IntEnum):
    """What a message was sent from; most platforms do not tell."""

    UNKNOWN = 0
    DESKTOP = 1
    MOBILE = 2
    OTHER = 3


class Activity(msgspec.Struct, frozen=True, gc=False):
    """A message sent in a space; `at` is ms UTC. `message_id` is unique within `source`.

    All ids are the platform's, or digests where it knows things by name only. `person` is empty where
    the platform names no sender, which it leaves out only for bots and for its own messages (`system`).
    """

    source: str
    message_id: str
    at: int
    person: str
    space: str
    direct: bool
    client: Client = Client.UNKNOWN
    files: int = 0
    file_bytes: int = 0
    files_of_unknown_size: int = 0
    video: bool = False
    audio: bool = False
    recording: bool = False
    by_bot: bool = False
    system: bool = False


class Deletion(msgspec.Struct, frozen=True, gc=False):
    """The message was deleted, at `at` (ms UTC) where that is known; it was sent all the same.

    `sent` is the message, where it is told with its deletion. Where it is known it is no duplicate.
    """

    source: str
    message_id: str
    at: int | None = None
    sent: Activity | None = None


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """A record that is no message, by which rule; `at` (ms UTC) where it says so.

    Rules are phrases of the reader, never the export's words, so they are few.
    """

    rule: str
    at: int | None = None


class Damaged(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What could not be read, and where: a member, and the line or record in it."""

    place: str
    detail: str


Record = Activity | Deletion | Skipped | Damaged


def joined(*parts: str) -> str:
    """One id of several parts; different parts never make the same id."""
    plain = "/".join(parts)
    if "~" not in plain and plain.count("/") == len(parts) - 1:
        return plain
    return "/".join([part.replace("~", "~0").replace("/", "~1") for part in parts])


def digest(*parts: str) -> str:
    """An id for what is known by its name or text only; these never leave a reader."""
    return hashlib.blake2b(joined(*parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
